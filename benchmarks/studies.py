"""What a study costs beside its fits, what kills change in it, and how soon it answers."""

from __future__ import annotations

import contextlib
import csv
import ctypes
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measuring import Result, median_ratio, ratio_interval
from callbacks.records.fold_record import file_hash, seal
from experiments.crossval.folder import CrossvalFolder
from experiments.study.arguments import parse
from experiments.study.cells import CellFolders

_LIGHTNING = (sys.executable, "-m", "experiments")
_CLASSES = [f"class_{n}" for n in range(7)]
_MADE_FOLDS = 3  # of a finished cross-validation
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)
_TABLES = ("study.md", "study.json", "study.csv")


def measure_kills(*, quick: bool = False) -> Result:
    """Kill a study 20 times at random moments, and compare its table with that of a whole one.

    The whole group of processes is killed at a moment drawn evenly from the time that the study
    takes undisturbed. A study that is done before its kill is compared, and begun anew.
    """
    kills, seed = (1 if quick else 20), 0
    drawn, differing, compared = random.Random(seed), 0, 0
    moments: list[float] = []
    with TemporaryDirectory() as folder:
        command, runs = _tiny_study(Path(folder)), Path(folder) / "runs"
        _run(command)  # fills the cache
        shutil.rmtree(runs)
        began = time.monotonic()
        _run(command)
        whole = time.monotonic() - began
        wanted = _tables(runs)
        shutil.rmtree(runs)
        while len(moments) < kills:
            moment = drawn.uniform(0, whole)
            if _killed(command, moment):
                moments.append(round(moment, 1))
                continue
            compared, differing = compared + 1, differing + (_tables(runs) != wanted)
            shutil.rmtree(runs)
        _run(command)
        compared, differing = compared + 1, differing + (_tables(runs) != wanted)
    return {
        "what": f"tables of a study that differ after {kills} kills, of {compared}",
        "ratio": differing / compared,
        "bound": "none, byte for byte",
        "details": {"seed": seed, "seconds_undisturbed": round(whole, 1), "killed_after": moments},
    }


def measure_overhead(*, quick: bool = False) -> Result:
    """Compare a study of one job with its fits and tests started by hand, by processor time.

    Fits are so small that nearly all is start, end and what is between: of a training of minutes
    the share is a fraction of this one.
    """
    turns = 1 if quick else 5
    with TemporaryDirectory() as folder:
        study, runs = _tiny_study(Path(folder)), Path(folder) / "runs"
        by_hand = list(_steps_by_hand(Path(folder)))
        _run(study)  # fills the cache
        times: dict[str, list[float]] = {"study": [], "by_hand": []}
        for _ in range(turns):
            for name, commands in (("study", [study]), ("by_hand", by_hand)):
                shutil.rmtree(runs, ignore_errors=True)
                times[name].append(sum(map(_processor_seconds, commands)))
    return {
        "what": "processor time of a study of four fits / the same fits and tests by hand",
        "ratio": median_ratio(times["study"], times["by_hand"]),
        "bound": "at most 1.03",
        "details": {
            "interval": ratio_interval(times["study"], times["by_hand"]),
            **{f"{name}_s": [round(t, 2) for t in several] for name, several in times.items()},
        },
    }


def measure_answers(*, quick: bool = False) -> Result:
    """Time commands on finished cells, which need no PyTorch: the largest of 1,000 cells."""
    count = 10 if quick else 1000
    details: dict[str, Any] = {"unit": "processor seconds", "cells": count}
    with TemporaryDirectory() as place:
        folder = Path(place)
        arguments = _finished_study(folder, seeds=count // 10)
        few = []
        for number in range(7):
            whole = CrossvalFolder(folder / "whole" / f"crossval-{number:06x}")
            _write_cell(whole, f"{number:064x}", 0, [], right=60 + number, folds=range(_MADE_FOLDS))
            few.append(str(whole.path))
        commands = {
            "study": ["study", *arguments],
            "study_summarize": ["study", *arguments, "--summarize"],
            "compare_7": ["compare", *few],
            "report_7": ["report", *few, "-o", str(folder / "page.html")],
        }
        for name, command in commands.items():
            taken = [_processor_seconds([sys.executable, "-c", _WITHOUT_TORCH, *command])]
            taken += [_processor_seconds([*_LIGHTNING, *command]) for _ in range(1 if quick else 4)]
            details[name] = [round(t, 2) for t in taken]
    return {
        "what": f"processor seconds of lightning study on {count} finished cells / 2 s",
        "ratio": sorted(details["study"])[len(details["study"]) // 2] / 2,
        "bound": "at most 1",
        "details": details,
    }


_WITHOUT_TORCH = (
    "import sys; from experiments.cli import main; main(sys.argv[1:]); "
    "assert 'torch' not in sys.modules"
)


def _fit(folder: Path) -> list[str]:
    return [
        "--config=experiments/flow_cnn.yaml",
        "--model.size=32",
        "--data.synthetic_subjects=20",
        "--trainer.max_epochs=2",
        "--trainer.accelerator=cpu",
        "--wandb=disabled",
        f"--data.cache_dir={folder / 'cache'}",
        f"--runs_dir={folder / 'runs'}",
    ]


_ROWS = {"few dropped": "--model.dropout=0.1", "many dropped": "--model.dropout=0.5"}
_FOLDS = (0, 1)


def _tiny_study(folder: Path) -> list[str]:
    """Write the file of a study of two rows; return the command that runs two folds of each."""
    rows = {name: f"--config=experiments/flow_cnn.yaml {word}" for name, word in _ROWS.items()}
    (folder / "tiny.yaml").write_text(json.dumps({"rows": rows}))  # JSON is YAML
    folds = map(str, _FOLDS)
    return [*_LIGHTNING, "study", str(folder / "tiny.yaml"), "--fold", *folds, *_fit(folder)[1:]]


def _steps_by_hand(folder: Path) -> Iterator[list[str]]:
    for number, word in enumerate(_ROWS.values()):
        for fold in _FOLDS:
            given = [*_fit(folder), word, f"--data.fold={fold}", f"--experiment=hand{number}{fold}"]
            yield [*_LIGHTNING, "fit", *given]
            yield [*_LIGHTNING, "test", *given, "--ckpt_path=best"]


def _finished_study(folder: Path, seeds: int) -> list[str]:
    """Make a study of ten rows whose cells are all done; return its command line."""
    fit = "--config=experiments/flow_cnn.yaml --model.dropout=0."
    rows = {f"row {number}": f"{fit}{number}" for number in range(10)}
    (folder / "made.yaml").write_text(json.dumps({"rows": rows, "fold": [0]}))
    command = [str(folder / "made.yaml"), f"--runs_dir={folder / 'runs'}", f"--seeds={seeds}"]
    known = CellFolders(folder / "runs" / "studies" / "made")
    for number, plan in enumerate(parse(command).cells()):
        cell = CrossvalFolder(folder / "runs" / "made" / f"crossval-{number:06x}")
        _write_cell(cell, f"{number:064x}", plan.seed, plan.fit, right=60 + number % 7)
        known.remember(plan, cell)
    known.save()
    return command


def _write_cell(
    cell: CrossvalFolder,
    digest: str,
    seed: int,
    fit: Sequence[str],
    right: int,
    folds: Sequence[int] = (0,),
) -> None:
    """Write a cross-validation of which some folds are tested, each on 70 samples of its own."""
    about = {
        "experiment": "made",
        "config_hash": digest,
        "model": "FlowCNNClassifier",
        "data": "OccludedCKPlusDataModule",
        "seed": seed,
    }
    cell.path.mkdir(parents=True)
    described = {
        **about,
        "model_arguments": {},
        "data_arguments": {},
        "trainer_arguments": {"callbacks": []},
        "headline": None,
        "arguments": list(fit),
        "setting_hash": digest,
        "created": "1.0",
    }
    (cell.path / "crossval.json").write_text(json.dumps(described))
    code = {"commit": "c0ffee", "dirty": False}
    for fold in folds:
        run = cell.fold(fold).path
        run.mkdir()
        people = [f"S{10 * fold + n:03d}" for n in range(10)]
        with (run / "predictions.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["source", "sample_id", "sample", "label", "predicted"])
            for n in range(70):
                answer = _CLASSES[(n + (n >= right)) % 7]
                name = f"{people[n // 7]}/{n % 7}"
                writer.writerow(["synthetic", n, name, _CLASSES[n % 7], answer])
        split = {
            "fold": fold,
            "folds": _MADE_FOLDS,
            "fold_mode": "stratified",
            "folds_hash": "f" * 16,
            "manifest_hash": "d" * 16,
            "source": "synthetic",
            "class_names": _CLASSES,
            "subjects": people,
            "shared_subjects": [],
        }
        (run / "split.json").write_text(json.dumps(split))
        record = {
            **about,
            **split,
            "code": {"trained": code, "tested": code},
            "n_test": 70,
            "checkpoint": "best.ckpt",
            "departures": [],
            "validation": {},
            "metrics": {"test/accuracy": right / 70},
            "predictions": file_hash(run / "predictions.csv"),
        }
        (run / "fold.json").write_text(json.dumps(seal(record)))


def _tables(runs: Path) -> list[bytes]:
    return [(runs / "studies" / "tiny" / name).read_bytes() for name in _TABLES]


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _killed(command: Sequence[str], moment: float) -> bool:
    """Run a command, and kill its group of processes at a moment; tell whether it came to that."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def _processor_seconds(command: Sequence[str]) -> float:
    """Run a command; return what it and all that it started worked, orphans too."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)

    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = spent()
    _run(command)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)  # its fork server, which ends after it
    return spent() - before

"""`lightning sweep` as a person calls it; workers and folds are real processes."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from experiments.cli import main
from experiments.command.console import quiet
from experiments.command.resolve import ResolvedExperiment
from experiments.crossval.folder import find_folder
from experiments.sweep import command
from tests.experiments.sweep.test_sweep_file import write
from tests.experiments.sweep.test_worker import EXPERIMENT

Refused = Callable[..., tuple[int, str]]
PARAMETERS = {"model.lr": {"distribution": "log_uniform_values", "min": 0.001, "max": 1.0}}


@pytest.fixture
def folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a search over a tiny experiment."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[3]))
    (folder / "a.yaml").write_text(EXPERIMENT)
    write(folder, parameters=PARAMETERS)
    return folder


def only(pattern: str) -> Path:
    (path,) = Path("runs").glob(pattern)
    return path


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 500
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow  # five processes import PyTorch one after another
@pytest.mark.timeout(1200)
def test_a_killed_search_goes_on_to_the_best_config(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["sweep", "search.yaml", "--trials=2", "--fold", "0"]
    line = [sys.executable, "-m", "experiments", *arguments]
    with Path("said.txt").open("w") as said, subprocess.Popen(line, stdout=said) as search:
        # The worker is killed in its first trial, and the command in that of the next worker.
        wait_for(lambda: bool([*Path("runs").glob("sweeps/*/locks/00000")]))
        os.kill(holder(only("sweeps/*/locks/00000")), signal.SIGKILL)
        wait_for(lambda: bool([*Path("runs").glob("a/*/fold_00/status.json")]))
        search.kill()
    assert "worker 0: killed by SIGKILL (out of memory?); another one takes up its trial" in (
        Path("said.txt").read_text()
    )
    main(arguments)

    sweep = only("sweeps/search-*")
    summary = json.loads((sweep / "sweep.json").read_text())
    assert [one["state"] for one in summary["trials"]] == ["done", "done"]
    assert summary["source"] == "synthetic"
    said_now = capfd.readouterr().out
    assert (sweep / "sweep.md").read_text() in said_now
    assert said_now.splitlines()[-1] == f"lightning crossval --config {sweep / 'best.yaml'}"
    with (sweep / "trials.csv").open(newline="") as file:
        rates = {line["model.lr"] for line in csv.DictReader(file)}
    assert rates == {one["setting"]["model.lr"] for one in summary["trials"]}
    # Whatever was killed: two settings, one fold each, and nothing was tested.
    assert len([*Path("runs").glob("a/*/fold_*/status.json")]) == 2
    assert not [*Path("runs").glob("a/*/fold_*/fold.json")]
    assert not any("test/" in file.read_text() for file in Path("runs").glob("a/*/*/metrics.csv"))

    # The best config is a config, and comes to the folder of its trial.
    best = max(summary["trials"], key=lambda one: sum(one["accuracies"]))
    assert summary["best"] == best["trial"]
    with quiet():
        config = ResolvedExperiment([f"--config={sweep / 'best.yaml'}"])
    path = find_folder(config.runs_dir, config.experiment, config.digest).path
    assert path == Path(best["folder"])

    # All is done: the same command starts nothing.
    before = {path: path.stat().st_mtime_ns for path in Path("runs").rglob("log.txt")}
    main(arguments)
    assert before == {path: path.stat().st_mtime_ns for path in Path("runs").rglob("log.txt")}


def holder(path: Path) -> int:
    """Return the process that holds the lock on a file."""
    number = path.stat().st_ino
    for line in Path("/proc/locks").read_text().splitlines():
        words = line.split()
        if words[5].endswith(f":{number}"):
            return int(words[4])
    raise AssertionError(f"Nobody holds {path}.")


def test_it_shows_now_and_then_where_each_worker_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_SHOW_EVERY", 0.0)
    trials = mock.Mock(told=list)
    workers = command.Workers(mock.Mock(), folder, trials, mock.Mock())
    job = mock.Mock(last_line=lambda: "trial 0, fold 3: 0.7143")
    job.step.name = "worker 1"
    workers.look([job])
    assert capsys.readouterr().out == "worker 1: trial 0, fold 3: 0.7143\n"


def test_help_needs_no_torch(folder: Path) -> None:
    code = (
        "import sys\nfrom experiments.cli import main\n"
        "try:\n    main(['sweep', '--help'])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "assert not {'torch', 'optuna', 'matplotlib'} & {*sys.modules}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--workers" in done.stdout
    assert "--worker " not in done.stdout


@pytest.mark.parametrize(
    ("changed", "args", "sentence"),
    [
        ({}, [], "sweep: give the number of trials, e.g. --trials 40, or run_cap in search.yaml"),
        ({}, ["--trials=0"], "sweep: argument --trials: must be at least 1, but is 0."),
        ({}, ["--trials=1", "--fresh"], "sweep takes no --fresh: move or delete the folders"),
        (
            {"parameters": {"model.rate": {"value": 1}}},
            ["--trials=1"],
            "TinySearched takes no rate",
        ),
        ({"parameters": {"trainer.max_epoch": {"value": 1}}}, ["--trials=1"], "There is no key tr"),
        # Which the text does not show: each value is parsed before the first trial.
        ({"parameters": {"model.lr": {"values": [0.1, "x"]}}}, ["--trials=1"], "model.lr"),
        ({"parameters": {"data.fold": {"value": 1}}}, ["--trials=1"], "crossval takes no --data.f"),
        ({}, ["--trials=1", "--model.rate=1"], "TinySearched takes no rate"),
        ({}, ["--trials=1", "--devices=,"], "sweep: --devices names no device"),
    ],
)
def test_what_is_refused_before_the_first_trial(
    folder: Path, refused: Refused, changed: dict[str, Any], args: list[str], sentence: str
) -> None:
    write(folder, **{"parameters": PARAMETERS, **changed})
    code, said = refused("sweep", "search.yaml", *args)
    assert code == 2
    assert sentence in said
    assert not Path("runs").exists()

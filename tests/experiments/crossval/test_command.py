"""`lightning crossval` as a person calls it; the folds are real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from experiments.cli import main
from experiments.command.console import quiet
from experiments.command.resolve import ResolvedExperiment
from experiments.crossval.folder import CrossvalFolder
from experiments.run.validation import chosen_validation
from tests.experiments.crossval import made
from tests.experiments.wandb_file import read_offline_runs
from tests.experiments.wandb_server import WandbServer, assert_one_group

EXPERIMENT = """
model:
  class_path: tests.experiments.crossval.tiny_folds.TinyClassifier
data:
  class_path: tests.experiments.crossval.tiny_folds.TinyFolds
  init_args:
    folds: 3
headline: [upside_down]
checkpoint:
  monitor: val/loss
trainer:
  accelerator: cpu
  max_epochs: 2
  callbacks:
    - callbacks.Predictions
"""

Refused = Callable[..., tuple[int, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a tiny experiment, and no W&B."""
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "tiny.yaml").write_text(EXPERIMENT)
    return tmp_path


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str]) -> Refused:
    """Run a command that must fail; return its exit code and what it said."""

    def run(*args: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as exit_:
            main(["crossval", *args])
        said = capfd.readouterr().err
        return int(exit_.value.code or 0), said[said.rindex("lightning: ") :].strip()

    return run


def only(folder: Path) -> CrossvalFolder:
    (path,) = (folder / "runs" / "tiny").glob("crossval-*")
    return CrossvalFolder(path)


def test_three_folds_end_to_end(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    wandb_server: WandbServer,
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_RUN_ID", "a-trial-of-a-sweep")
    main(["crossval", "--config=tiny.yaml", "--jobs=2", "--model.lr=0.5"])
    crossval = only(folder)
    summary = json.loads((crossval.path / "summary.json").read_text())
    assert summary["done"] == [0, 1, 2]
    assert summary["missing"] == {}
    assert summary["n_test"] == 36
    assert summary["arguments"] == ["--config=tiny.yaml", "--model.lr=0.5"]
    assert capsys.readouterr().out.splitlines()[-1].startswith("tiny, data synthetic: accuracy ")
    # What the test logged is that of the method's own answers; the headline is another.
    assert summary["metrics"]["test/accuracy"]["mean"] == pytest.approx(
        summary["conditions"]["predicted"]["pooled"]["accuracy"]
    )
    assert summary["accuracy"] == summary["conditions"]["predicted_upside_down"]["accuracy"]

    chosen = [chosen_validation(crossval.fold(fold).path)["val/accuracy"] for fold in range(3)]
    assert summary["val_accuracy"]["mean"] == pytest.approx(sum(chosen) / 3)

    description = crossval.description()
    for fold in range(3):
        path = crossval.fold(fold).path
        assert "test/accuracy" in (path / "metrics.csv").read_text()
        config = yaml.safe_load((path / "config.yaml").read_text())
        assert config["data"]["init_args"]["fold"] == fold
        assert config["model"]["init_args"]["lr"] == 0.5
        trained, tested = read_offline_runs(path)
        for run in (trained, tested):
            assert run.run_id == description.wandb_id(path.name)
            assert (run.group, run.job_type) == (description.group, "cv-fold")
        assert trained.name == f"TinyClassifier-TinyFolds-lr=0.5-f{fold:02d}-s0"
        assert tested.summary["test/accuracy"] == pytest.approx(
            json.loads((path / "fold.json").read_text())["metrics"]["test/accuracy"]
        )
    assert len({json.dumps(crossval.split(fold)) for fold in range(3)}) == 3
    main(["sync"])
    parent = wandb_server.runs.pop(description.wandb_id("summary"))
    assert_one_group(parent, "cv-summary")
    assert [row["cv/n_folds"] for row in parent.history] == [1, 2, 3]
    assert not any("trainer/global_step" in row for row in parent.history)
    assert "cv/*" in json.dumps(parent.config["_wandb"])  # whose x axis is cv/n_folds
    assert parent.summary["cv/val_accuracy_mean"] == summary["val_accuracy"]["mean"]
    assert len(wandb_server.runs) == 3
    for sent in wandb_server.runs.values():
        assert_one_group(sent, "cv-fold")
        assert sent.groups[0] == parent.groups[0]
        losses = [row["val/loss"] for row in sent.history if "val/loss" in row]
        assert sent.summary["val/loss"] == {"min": min(losses)}
        assert "test/accuracy" in sent.summary

    # The same command again trains nothing, and says the same.
    before = (crossval.path / "summary.json").read_bytes()
    monkeypatch.setenv("WANDB_MODE", "disabled")
    main(["crossval", "--config=tiny.yaml", "--model.lr=0.5"])
    assert (crossval.path / "summary.json").read_bytes() == before
    assert (crossval.fold(0).path / "log.txt").read_text().count("--- ") == 2


def test_the_childs_sentence_and_no_other_fold(folder: Path, refused: Refused) -> None:
    code, said = refused("--config=tiny.yaml", "--folds=9", "--jobs=2")
    assert said == (
        "lightning: Got 9 folds but only 6 subjects; set folds to at most 6, or to null to have "
        "it chosen."
    )
    assert code == 1
    assert only(folder).started() == [0]


@pytest.mark.slow
def test_a_killed_training_is_taken_up_in_its_place(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Fold 1 alone, as in a cluster array: killed once, ended by SIGTERM once, then done."""
    arguments = ["crossval", "--config=tiny.yaml", "--fold=1", "--trainer.max_epochs=400"]
    command = [sys.executable, "-m", "experiments", *arguments]
    paths = [path or str(Path.cwd()) for path in sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    for number in (signal.SIGKILL, signal.SIGTERM):
        parent = subprocess.Popen(
            command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        try:
            fold = first_checkpoint(folder)
            later = epoch_of(fold) + 3
            while epoch_of(fold) < later:
                time.sleep(0.05)
            parent.send_signal(number)
            _, said = parent.communicate()
        finally:
            parent.kill()
        assert parent.returncode == (-9 if number == signal.SIGKILL else 143)
    assert "Stopped. 0 of 3 folds are done; the same command goes on." in said
    assert epoch_of(fold) < 400
    main(arguments)
    assert "from its last checkpoint" in capfd.readouterr().err
    assert epoch_of(fold) == 400
    # To the last digit what an uninterrupted one leaves.
    main([*arguments, "--runs_dir=other"])
    (other,) = (folder / "other" / "tiny").glob("crossval-*/fold_01")
    for name in ("fold.json", "predictions.csv"):
        assert (other / name).read_bytes() == (fold / name).read_bytes()


@pytest.mark.slow
def test_a_fold_on_two_processes(folder: Path) -> None:
    main(["crossval", "--config=tiny.yaml", "--fold=0"])
    two = ["--trainer.devices=2", "--trainer.strategy=ddp"]
    main(["crossval", "--config=tiny.yaml", "--fold=0", "--runs_dir=two", *two])
    one, both = (
        json.loads(next(folder.glob(f"{name}/tiny/crossval-*/fold_00/fold.json")).read_text())
        for name in ("runs", "two")
    )
    # The loaders deal each process all samples; each is counted once.
    assert both["n_test"] == one["n_test"] == 12
    assert both["subjects"] == one["subjects"]
    (fold,) = folder.glob("two/tiny/crossval-*/fold_00")
    lines = (fold / "predictions.csv").read_text().splitlines()
    assert len(lines) == 13


def first_checkpoint(folder: Path) -> Path:
    """Wait until the fold has one; return the fold."""
    while True:
        for path in (folder / "runs" / "tiny").glob("crossval-*/fold_01/checkpoints/last.ckpt"):
            return path.parent.parent
        time.sleep(0.05)


def epoch_of(fold: Path) -> int:
    saved = torch.load(fold / "checkpoints" / "last.ckpt", weights_only=True)
    return int(saved["epoch"]) + 1


def test_nothing_begun_is_nothing_to_sum_up(folder: Path, refused: Refused) -> None:
    _, said = refused("--config=tiny.yaml", "--summarize")
    assert "is no cross-validation" in said


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("--config=tiny.yaml --modle.lr=1", 2, "There is no key modle.lr; did you mean model?"),
        ("--config=tinny.yaml", 2, "The config file "),
        ("--fold=1", 2, "The command names no model and no data"),
        (
            "--config=tiny.yaml "
            "--data.class_path=lightning.pytorch.demos.boring_classes.BoringDataModule",
            2,
            "BoringDataModule makes no folds (it takes no data.fold)",
        ),
        ("--config=tiny.yaml --devices=0", 2, "--devices names GPU 0, but this machine shows none"),
        ("--summarize", 1, "There is no cross-validation in runs"),
    ],
)
def test_wrong_commands_are_one_sentence(
    folder: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch, line: str, code: int, said: str
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    found, sentence = refused(*line.split())
    assert sentence.startswith(f"lightning: {said}")
    assert "\n" not in sentence
    assert found == code
    assert not (folder / "runs" / "tiny" / "fold_00").exists()


def test_what_there_is_is_summed_up(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = made.write_crossval(folder / "runs" / "tiny" / "crossval-abcdef", [0, 1, 3])
    (path / "fold_01" / "fold.json").unlink()
    main(["crossval", "--summarize"])
    output = capsys.readouterr().out
    assert "missing: fold 1, unfinished" in output
    assert "over 2 of 3 folds" in output.splitlines()[-1]
    assert (path / "summary.md").exists()


@pytest.mark.parametrize("done", [True, False])
def test_folds_of_another_commit_are_not_added_to(
    folder: Path, refused: Refused, done: bool
) -> None:
    with quiet():
        experiment = ResolvedExperiment(["--config=tiny.yaml"])
    path = folder / "runs" / "tiny" / f"crossval-{experiment.digest[:6]}"
    made.write_description(path, config_hash=experiment.digest)
    made.write_fold(path / "fold_00", 0, config_hash=experiment.digest)
    if not done:  # trained as far as a checkpoint
        (path / "fold_00" / "fold.json").unlink()
        (path / "fold_00" / "environment.json").write_text('{"git": {"commit": "c0ffee"}}')
        (path / "fold_00" / "checkpoints").mkdir()
        (path / "fold_00" / "checkpoints" / "last.ckpt").touch()
    code, said = refused("--config=tiny.yaml")
    assert "fold 0 was made with commit c0ffee, and this is" in said
    assert code == 1
    assert not (path / "fold_00" / "log.txt").exists()


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, said in (
        (["--help"], ("crossval", "compare")),
        (["crossval", "--help"], ("--jobs", "--devices", "--summarize", "lightning fit")),
        (["compare", "--help"], ("--measures",)),
    ):
        with pytest.raises(SystemExit) as exit_:
            main(arguments)
        assert exit_.value.code == 0
        output = capsys.readouterr().out
        assert all(word in output for word in said)

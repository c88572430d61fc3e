"""A worker whose folds are processes: a fast child stands for `lightning fit`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from optuna.trial import TrialState

from experiments.command.errors import CommandError
from experiments.crossval.folder import CrossvalFolder
from experiments.jobs import step
from experiments.sweep.arguments import Options, parse
from experiments.sweep.trials import FOLDER, WHY, Trials
from experiments.sweep.worker import validation_accuracy, work
from tests.experiments.crossval import made
from tests.experiments.sweep.test_sweep_file import write

EXPERIMENT = """
model: tests.experiments.sweep.tiny_sweep.TinySearched
data: {class_path: tests.experiments.crossval.tiny_folds.TinyFolds, init_args: {folds: 3}}
checkpoint: {monitor: val/loss}
trainer: {accelerator: cpu, max_epochs: 2}
"""


@pytest.fixture
def options(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Options:
    """A search over learning rates, with fast children."""
    fake = Path(__file__).resolve().parent / "fake_fit.py"
    monkeypatch.setattr(step, "PROGRAM", (sys.executable, "-S", str(fake)))
    (folder / "a.yaml").write_text(EXPERIMENT)
    (folder / "runs").mkdir()
    rates = {"values": [0.1, 0.4]}
    file = write(folder, method="grid", parameters={"model.lr": rates})
    return parse([str(file)])


def trials_of(options: Options, folder: str = "sweep") -> Trials:
    trials = Trials(Path(folder), options.sweep, options.trials, options.storage)
    trials.prepare()
    return trials


def calls() -> list[str]:
    return [line.split()[0] for line in Path("runs/calls.txt").read_text().splitlines()]


def test_a_trial_is_the_mean_of_its_folds_and_nothing_is_tested(options: Options) -> None:
    trials = trials_of(options)
    work(options, trials)
    told = {trials.setting(t.params)["model.lr"]: t for t in trials.told()}
    assert told["0.1"].value == pytest.approx(1 - 0.4 - 0.01)
    assert told["0.4"].value == pytest.approx(1 - 0.1 - 0.01)
    assert told["0.4"].intermediate_values == pytest.approx({0: 0.9, 1: 0.89, 2: 0.88})
    assert calls() == ["fit"] * 6
    # A cross-validation of the same settings is in the same folder.
    folder = CrossvalFolder(Path(told["0.4"].user_attrs[FOLDER]))
    assert folder.description().arguments == ("--config=a.yaml", "--model.lr=0.4")


def test_what_was_run_is_not_run_again_and_its_test_cannot_enter(options: Options) -> None:
    work(options, trials_of(options))
    # A person cross-validates all of it: every sample of every test part is answered rightly.
    for path in Path("runs/a").iterdir():
        for fold in range(3):
            digest = CrossvalFolder(path).description().config_hash
            run = path / f"fold_{fold:02d}"
            made.write_fold(run, fold, wrong=0, config_hash=digest)
            (run / "metrics.csv").write_text("step,val/accuracy,test/accuracy\n0,1.0,1.0\n")
    again = trials_of(options, "other")
    work(options, again)
    assert calls() == ["fit"] * 6
    assert max(trial.value or 0.0 for trial in again.told()) == pytest.approx(0.89)


def test_only_the_folds_that_are_wanted(options: Options) -> None:
    options = parse([*options.given, "--fold", "2", "1"])
    trials = trials_of(options)
    work(options, trials)
    assert [list(t.intermediate_values) for t in trials.told()] == [[1, 2], [1, 2]]


def test_a_failed_trial_says_why_and_does_not_stop_the_next(
    options: Options, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = trials_of(options)
    Path("runs/fails").touch()
    work(options, trials)
    assert [trial.state for trial in trials.told()] == [TrialState.FAIL] * 2
    assert trials.told()[0].user_attrs[WHY].startswith("fold 00: no luck (its log: runs/a/cross")
    assert "trial 1: failed: fold 00: no luck" in capsys.readouterr().out
    Path("runs/fails").unlink()
    trials.prepare()
    work(options, trials)
    assert [trial.state for trial in trials.told()] == [TrialState.COMPLETE] * 2


def test_where_all_trials_fail_the_search_ends(options: Options) -> None:
    rates = {"values": [0.1, 0.2, 0.3, 0.4]}
    options = parse([str(write(Path(), method="grid", parameters={"model.lr": rates}))])
    Path("runs/fails").touch()
    with pytest.raises(CommandError, match=r"^3 trials in a row failed, the last one: fold 00: no"):
        work(options, trials_of(options))


def test_a_method_without_accuracy_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "fold_00"
    run.mkdir()
    (run / "status.json").write_text(json.dumps({"validation": {"val/loss": 0.1}}))
    with pytest.raises(CommandError, match=r"logged no finite val/accuracy, to search by") as error:
        validation_accuracy(CrossvalFolder(tmp_path), 0)
    assert error.value.exit_code == 2

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import pytest
import yaml
from optuna.trial import TrialState

from experiments.command.errors import CommandError
from experiments.sweep.arguments import Options, parse
from experiments.sweep.report import write_report
from experiments.sweep.trials import FOLDER, WHY, Trials
from tests.experiments.crossval import made
from tests.experiments.sweep.objective import run
from tests.experiments.sweep.test_sweep_file import write

PARAMETERS = {"lr": {"min": 0.0, "max": 1.0}, "kind": {"values": ["a", "b"]}}
TOP: dict[str, Any] = {"data": {"init_args": {"fold": 0, "root": None}}, "experiment": "tiny"}


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return parse([str(write(tmp_path, parameters=PARAMETERS)), "--trials=8"])


def test_what_a_search_found(options: Options, capsys: pytest.CaptureFixture[str]) -> None:
    crossval = Path("runs/tiny/crossval-abcdef")
    made.write_description(crossval)
    fold = crossval / "fold_00"
    fold.mkdir()
    (fold / "split.json").write_text(json.dumps(made.split_of(0, 5)))
    (fold / "config.yaml").write_text(yaml.safe_dump({**TOP, "runs_dir": "runs", "wandb": None}))
    folder = Path("sweep")
    trials = Trials(folder, options.sweep, options.trials, None)
    while (taken := trials.take()) is not None:
        taken.trial.set_user_attr(FOLDER, str(crossval))
        if taken.trial.number == 2:
            taken.trial.set_user_attr(WHY, "no luck")
            trials.study.tell(taken.trial, state=TrialState.FAIL)
        elif taken.trial.number == 3:
            taken.trial.report(0.99, step=0)  # of one fold alone, which is not the best
            trials.study.tell(taken.trial, state=TrialState.PRUNED)
        elif taken.trial.number == 4:
            taken.held.release()  # as of a process that was killed
        else:
            run(trials, taken)
    write_report(folder, options, trials)

    summary = json.loads((folder / "sweep.json").read_text())
    assert len(summary["trials"]) == 8
    done = [one for one in summary["trials"] if one["state"] == "done"]
    best = max(done, key=lambda one: sum(one["accuracies"]))
    assert summary["best"] == best["trial"]
    assert sum(summary["importance"].values()) == pytest.approx(1)
    assert max(summary["importance"], key=summary["importance"].get) == "lr"
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert lines[0].split()[1::2] == ["trial", "validation", "folds", "lr", "kind", "state"]
    assert lines[2].split()[1] == str(best["trial"])
    assert [line.split("|")[-2].strip() for line in lines[-2:]] == ["stopped early", "failed"]
    text = (folder / "sweep.md").read_text()
    assert "trial 2 failed: no luck" in text
    assert "trial 5 took up trial 4, which was killed or failed." in text
    for name in ("history.png", "importance.png"):
        assert cv2.imread(str(folder / name)).std() > 1
    text = (folder / "best.yaml").read_text()
    assert text.startswith(f"# Trial {best['trial']} of the sweep search: ")
    assert yaml.safe_load(text) == {"data": {"init_args": {"root": None}}, "experiment": "tiny"}


def test_where_no_trial_is_done_it_says_why(options: Options) -> None:
    trials = Trials(Path("sweep"), options.sweep, 1, None)
    with pytest.raises(CommandError, match=r"^No trial in sweep is done\. None was started\.$"):
        write_report(Path("sweep"), options, trials)
    taken = trials.take()
    assert taken is not None
    taken.trial.set_user_attr(WHY, "no luck")
    trials.study.tell(taken.trial, state=TrialState.FAIL)
    with pytest.raises(CommandError, match=r"^No trial in sweep is done\. trial 0: no luck$"):
        write_report(Path("sweep"), options, trials)

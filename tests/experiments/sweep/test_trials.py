"""Trials that several workers share; a number stands for a fold."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.trial import TrialState

from experiments.command.errors import CommandError
from experiments.sweep.space import Choice
from experiments.sweep.sweep_file import Sweep
from experiments.sweep.trials import JOURNAL, MOST_STARTS, WHY, Taken, Trials
from tests.experiments.sweep.objective import FOLDS, SWEEP, WANTED, run

GRID = replace(SWEEP, method="grid", space={"lr": Choice(("0.1", "0.5")), "kind": Choice(("a",))})


def take(trials: Trials) -> Taken:
    taken = trials.take()
    assert taken is not None
    return taken


def finish(trials: Trials) -> list[dict[str, str]]:
    """Run all trials that are left; return their settings."""
    settings = []
    while (taken := trials.take()) is not None:
        settings.append(taken.setting)
        run(trials, taken)
    return settings


def test_as_many_trials_as_wanted_and_more_later(tmp_path: Path) -> None:
    assert len(finish(Trials(tmp_path, SWEEP, 3, None))) == 3
    again = Trials(tmp_path, SWEEP, 3, None)
    assert finish(again) == []
    assert again.nothing_left()
    assert len(finish(Trials(tmp_path, SWEEP, 5, None))) == 2


def test_a_database_in_place_of_the_journal(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'sweep.db'}"
    assert len(finish(Trials(tmp_path, SWEEP, 1, address))) == 1
    assert Trials(tmp_path, SWEEP, 1, address).nothing_left()
    assert not (tmp_path / JOURNAL).exists()


def test_two_workers_never_try_the_same(tmp_path: Path) -> None:
    first, second = Trials(tmp_path, SWEEP, 4, None), Trials(tmp_path, SWEEP, 4, None)
    taken = [take(first), take(second), take(first), take(second)]
    assert len({tuple(one.setting.items()) for one in taken}) == 4
    assert first.take() is None
    # The others do what is left.
    assert second.nothing_left()
    assert second.told() == []


def test_a_search_that_goes_on_draws_what_it_would_have(tmp_path: Path) -> None:
    whole = finish(Trials(tmp_path / "whole", SWEEP, 6, None))
    finish(Trials(tmp_path / "parts", SWEEP, 3, None))
    assert finish(Trials(tmp_path / "parts", SWEEP, 6, None)) == whole[3:]


def test_the_trial_of_a_killed_worker_is_taken_up(tmp_path: Path) -> None:
    trials = Trials(tmp_path, SWEEP, 2, None)
    killed = take(trials)
    killed.trial.report(0.5, step=0)
    alive = take(trials)
    assert trials.nothing_left()
    killed.held.release()  # as the system does it
    assert not trials.nothing_left()
    again = take(trials)
    assert again.setting == killed.setting
    assert trials.take() is None
    run(trials, again)
    run(trials, alive)
    assert [trial.state for trial in trials.told()] == [TrialState.COMPLETE] * 2
    assert {t.number for t in trials.told()} == {again.trial.number, alive.trial.number}


def test_what_kills_every_worker_ends(tmp_path: Path) -> None:
    trials = Trials(tmp_path, SWEEP, 1, None)
    starts = 0
    while (taken := trials.take()) is not None:
        starts += 1
        taken.held.release()
    assert starts == MOST_STARTS
    (trial,) = trials.told()
    assert trial.state == TrialState.FAIL


def test_what_failed_is_tried_again_by_the_next_command_only(tmp_path: Path) -> None:
    trials = Trials(tmp_path, SWEEP, 1, None)
    with (failed := take(trials)).held:
        failed.trial.set_user_attr(WHY, "no luck")
        trials.study.tell(failed.trial, state=TrialState.FAIL)
    assert trials.take() is None
    assert trials.nothing_left()
    trials.prepare()
    assert not trials.nothing_left()
    assert finish(trials) == [failed.setting]


def test_a_grid_is_tried_once_and_ends(tmp_path: Path) -> None:
    trials = Trials(tmp_path, GRID, 2, None)
    trials.prepare()
    trials.prepare()
    assert [setting["lr"] for setting in finish(trials)] == ["0.1", "0.5"]
    trials.prepare()
    assert trials.nothing_left()


def test_a_space_without_further_settings_ends(tmp_path: Path) -> None:
    few: Sweep = replace(GRID, method="random")
    trials = Trials(tmp_path, few, 5, None)
    assert len(finish(trials)) == 2
    assert trials.is_exhausted
    assert trials.nothing_left()
    assert len(trials.told()) == 2


def test_a_bad_trial_is_stopped_by_its_folds(tmp_path: Path) -> None:
    trials = Trials(tmp_path, replace(SWEEP, prune_after=3), 12, None)
    finish(trials)
    told = trials.told()
    early = [trial for trial in told if trial.state == TrialState.PRUNED]
    assert early
    # Three folds that are all worse are so by chance once in 8, four once in 16.
    assert all(len(trial.intermediate_values) == 4 for trial in early)
    assert all(trial.intermediate_values[0] < trials.study.best_value for trial in early)


def test_what_a_full_disk_left_of_a_line_is_cut_off(tmp_path: Path) -> None:
    finish(Trials(tmp_path, SWEEP, 1, None))
    with (tmp_path / JOURNAL).open("a") as journal:
        journal.write('{"op_code":')
    assert len(finish(Trials(tmp_path, SWEEP, 2, None))) == 1


def test_a_database_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"^sweep: --storage nonsense cannot be opened: Could"):
        Trials(tmp_path, SWEEP, 1, "nonsense")


def test_workers_killed_at_any_moment_leave_a_whole_sweep(tmp_path: Path) -> None:
    draw, journal = random.Random(0), tmp_path / JOURNAL
    command = [sys.executable, "-m", "tests.experiments.sweep.objective", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    for _ in range(2):
        size = journal.stat().st_size if journal.exists() else 0
        workers = [subprocess.Popen(command, env=environment) for _ in range(2)]
        while not journal.exists() or journal.stat().st_size < size + 1_000:
            assert any(worker.poll() is None for worker in workers)
            time.sleep(0.01)
        time.sleep(draw.uniform(0.0, 0.1))
        for worker in workers:
            worker.kill()
            worker.wait()
    trials = Trials(tmp_path, SWEEP, WANTED, None)
    finish(trials)
    told = trials.told()
    assert len(told) == WANTED < len(trials.study.get_trials())
    assert all(trial.state == TrialState.COMPLETE for trial in told)
    assert all(len(trial.intermediate_values) == FOLDS for trial in told)
    assert len({tuple(trials.setting(trial.params).items()) for trial in told}) == WANTED

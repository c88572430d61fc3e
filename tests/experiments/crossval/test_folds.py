"""Folds as processes: a fast child stands for the command."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from callbacks.records.fold_record import RECORD_FILE
from experiments.command.errors import CommandError
from experiments.crossval.folder import CrossvalFolder
from experiments.crossval.folds import FoldQueue, fold_steps
from experiments.crossval.report import write_report
from experiments.crossval.summary import collect, summarize
from experiments.jobs import step
from experiments.jobs.local import LocalJob, LocalLauncher
from experiments.jobs.slurm_launcher import SlurmJob
from experiments.jobs.step import Step, failure
from tests.experiments.crossval import made

HERE = Path(__file__).resolve().parent
FOLDS = 4


# -S: no site packages, which it does not need, and a faster start.
PROGRAM = (sys.executable, "-S", str(HERE / "fake_child.py"))


def make_queue(
    folder: CrossvalFolder,
    slots: Sequence[str | None] = (None,),
    kind: type[FoldQueue] = FoldQueue,
    **options: Any,
) -> FoldQueue:
    return kind(folder, [f"--folds={FOLDS}"], LocalLauncher(slots), **options)


@pytest.fixture(autouse=True)
def _fast_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "PROGRAM", PROGRAM)


@pytest.fixture
def folder(tmp_path: Path) -> CrossvalFolder:
    made.write_description(tmp_path / "crossval-abcdef")
    return CrossvalFolder(tmp_path / "crossval-abcdef")


def behave(folder: CrossvalFolder, **behaviour: Any) -> None:
    """Say what happens to folds: `fold_1={"fit begin": "kill"}`."""
    plain = {name.removeprefix("fold_"): value for name, value in behaviour.items()}
    (folder.path / "behaviour.json").write_text(json.dumps(plain))


def run(folder: CrossvalFolder, folds: Sequence[int] | None = None, **options: Any) -> list[str]:
    """Run folds; return what was said of them, without accuracies and logs."""
    said = io.StringIO()
    make_queue(folder, console=Console(file=said), **options).run(folds)
    text = re.sub(r", accuracy .+ %", "", said.getvalue())
    assert all(Path(path).exists() for path in re.findall(r"\n  its log: (.+)", text))
    return re.sub(r"\n  its log: .+", "", text).removeprefix("fold ").strip().split("\nfold ")


def files(folder: CrossvalFolder) -> list[bytes]:
    records, missing = collect(folder)
    write_report(folder.path, summarize(folder.description(), records, missing), records)
    return [(folder.path / n).read_bytes() for n in ("summary.json", "summary.md", "folds.csv")]


@pytest.fixture
def uninterrupted(tmp_path: Path) -> list[bytes]:
    made.write_description(tmp_path / "whole")
    whole = CrossvalFolder(tmp_path / "whole")
    run(whole, slots=(None, None))
    return files(whole)


def calls(folder: CrossvalFolder) -> list[str]:
    return (folder.path / "calls.txt").read_text().splitlines()


def test_the_first_fold_goes_alone_until_its_data_are_set_up(folder: CrossvalFolder) -> None:
    pause = {"fit begin": "pause"}
    behave(folder, fold_0=pause, fold_1=pause, fold_2=pause)
    begun: list[tuple[str, bool]] = []
    running: list[int] = []

    class Watched(FoldQueue):
        def starting(self, step: Step) -> None:
            super().starting(step)
            begun.append((step.name, (folder.fold(0).path / "split.json").exists()))

        def look(self, jobs: Sequence[LocalJob]) -> None:
            super().look(jobs)
            running.append(len(jobs))

    run(folder, slots=(None, None), kind=Watched)
    assert begun[0] == (f"{folder.path / 'fold_00'} fit", False)
    assert {*begun[1:]} == {
        (f"{folder.path / f'fold_{fold:02d}'} {verb}", True)
        for fold in range(FOLDS)
        for verb in ("fit", "test")
        if (fold, verb) != (0, "fit")
    }
    assert max(running) == 2
    assert collect(folder)[1] == {}


def test_data_of_one_split_say_so_and_name_seeds(folder: CrossvalFolder) -> None:
    said = io.StringIO()
    queue = FoldQueue(folder, ["--folds=1"], LocalLauncher([None]), console=Console(file=said))
    queue.run(None)
    sentence = "These data have one split of their own and no folds: for a mean"
    assert said.getvalue().count(sentence) == 1
    assert "--seeds 5" in files(folder)[1].decode()


@pytest.mark.parametrize("terminal", [False, True])
def test_what_is_shown(
    folder: CrossvalFolder, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    monkeypatch.setattr("experiments.crossval.folds._BAR_EVERY", 0.0)
    monkeypatch.setattr("experiments.crossval.folds._LINES_EVERY", 0.0)
    behave(folder, fold_1={"fit step 2": "pause", "fit step 3": {"says": "[x] no", "code": 1}})
    made.write_fold(folder.fold(0).path, 0, folds=FOLDS)
    said = io.StringIO()
    console = Console(file=said, force_terminal=terminal, width=200)
    queue = make_queue(folder, console=console, finished_before=1)
    queue.run(None)
    assert queue.failures == {1: "[x] no"}
    lines = said.getvalue().splitlines()
    if terminal:
        assert any("folds" in line and "3/4" in line for line in lines)
        assert any("fold 1: starting" in line for line in lines)
    else:
        assert lines[0] == "fold 1: training"
        assert "fold 1: starting" in lines
        assert f"  its log: {folder.fold(1).path / 'log.txt'}" in lines
        assert re.fullmatch(r"fold 3: done, accuracy \d+\.\d %", lines[-1])


def test_finished_folds_are_skipped(folder: CrossvalFolder) -> None:
    run(folder)
    assert run(folder) == [""]


def test_one_fold_alone(folder: CrossvalFolder) -> None:
    assert run(folder, [2]) == ["2: training", "2: testing", "2: done"]
    assert folder.started() == [2]
    assert [line for line in run(folder) if "done" in line] == ["0: done", "1: done", "3: done"]


def test_each_fold_sees_one_device(folder: CrossvalFolder) -> None:
    run(folder, slots=("4", "7"))
    seen = [call.split() for call in calls(folder)]
    assert {device for _, _, device in seen} == {"4", "7"}
    for fold in range(FOLDS):  # trained and tested on the same one
        assert len({device for _, number, device in seen if number == str(fold)}) == 1


@pytest.mark.parametrize("moment", ["fit begin", "fit step 2", "fit step 4", "test begin"])
def test_a_killed_fold_is_named_and_taken_up_again(
    folder: CrossvalFolder, uninterrupted: list[bytes], moment: str
) -> None:
    behave(folder, fold_1={moment: "kill"})
    said = run(folder, slots=(None, None))
    assert "1: failed: killed by SIGKILL (out of memory?)" in said
    assert sorted(t for t in said if "done" in t) == ["0: done", "2: done", "3: done"]
    assert collect(folder)[1] == {
        1: "failed, see fold_01/log.txt: killed by SIGKILL (out of memory?)"
    }
    behave(folder)
    again = run(folder)
    last_step_done = moment in ("test begin",)
    resumed = "" if "begin" in moment else ", from its last checkpoint"
    first = "1: testing" if last_step_done else f"1: training{resumed}"
    assert again[0] == first
    assert failure(folder.fold(1).path) is None
    assert files(folder) == uninterrupted


def test_a_failing_fold_does_not_stop_the_others(folder: CrossvalFolder) -> None:
    said = "Traceback ...\nlightning: The disk is full\nand more."
    behave(folder, fold_2={"fit step 1": {"says": said, "code": 1}})
    said = run(folder)
    assert "2: failed: The disk is full\nand more." in said
    assert "3: done" in said


def test_a_bug_is_named_by_its_last_line(folder: CrossvalFolder) -> None:
    said = "Traceback (most recent call last):\n  line 3\nRuntimeError: shapes differ"
    behave(folder, fold_1={"test begin": {"says": said, "code": 1}})
    assert "1: failed: RuntimeError: shapes differ" in run(folder)


def test_a_wrong_config_starts_no_other_fold(folder: CrossvalFolder) -> None:
    said = "lightning: Got 10 folds but only 4 subjects"
    behave(folder, fold_0={"fit begin": {"says": said, "code": 2}})
    with pytest.raises(CommandError, match=r"^Got 10 folds but only 4 subjects$") as error:
        run(folder, slots=(None, None))
    assert error.value.exit_code == 2
    assert calls(folder) == ["fit 0 -"]


def test_a_config_changed_meanwhile_starts_no_more_folds(folder: CrossvalFolder) -> None:
    behave(folder, fold_1={"fit begin": {"says": "lightning: no longer that", "code": 2}})
    said = run(folder)
    assert said[-1] == "1: failed: no longer that"
    assert folder.started() == [0, 1]


def test_a_killed_first_fold_lets_the_next_one_go_first(folder: CrossvalFolder) -> None:
    for fold in range(FOLDS):
        made.write_fold(folder.fold(fold).path, fold, folds=FOLDS)
        if fold < 2:
            (folder.fold(fold).path / RECORD_FILE).unlink()
    behave(folder, fold_0={"fit begin": "kill"})
    said = run(folder, slots=(None, None))
    assert said == [
        "0: training",
        "0: failed: killed by SIGKILL (out of memory?)",
        "1: training",
        "1: testing",
        "1: done",
    ]


@pytest.mark.parametrize("content", ["", '{"checksum": 1}'])
def test_a_damaged_record_is_rebuilt_from_its_test(
    folder: CrossvalFolder, uninterrupted: list[bytes], content: str
) -> None:
    run(folder)
    (folder.fold(2).path / RECORD_FILE).write_text(content)
    assert [step.is_done() for step in fold_steps(folder, 2, [])] == [True, False]
    assert run(folder) == ["2: testing", "2: done"]
    assert files(folder) == uninterrupted


def test_a_step_that_leaves_nothing_has_failed(folder: CrossvalFolder) -> None:
    behave(folder, fold_3={"test begin": {"says": "nothing to do", "code": 0}})
    assert "3: failed: its test ended without a result" in run(folder)


def test_data_that_changed_are_noticed_before_training(folder: CrossvalFolder) -> None:
    with pytest.raises(CommandError, match="The data have changed"):
        make_queue(folder, expected=("other", "data")).run(None)
    assert folder.started() == [0]


def test_the_parent_killed_takes_its_folds_along(
    folder: CrossvalFolder, uninterrupted: list[bytes]
) -> None:
    behave(folder, fold_1={"fit step 3": "wait"}, fold_2={"fit step 1": "wait"})
    parent = subprocess.Popen(
        [sys.executable, str(HERE / "parent.py"), str(folder.path)],
        env={**os.environ, "PYTHONPATH": str(HERE.parents[2])},
    )
    try:
        for fold in (1, 2):
            wait_for(folder.fold(fold).path / "waits")
        children = children_of(parent.pid)
        assert len(children) == 2
        parent.kill()
        parent.wait()
        wait_until(lambda: not any(alive(child) for child in children))
    finally:
        parent.kill()
    behave(folder)
    again = run(folder, slots=(None, None))
    assert {
        "1: training, from its last checkpoint",
        "2: training, from its last checkpoint",
    } <= set(again)
    assert "0: training" not in again
    assert files(folder) == uninterrupted


def wait_for(path: Path, seconds: float = 120) -> None:
    wait_until(path.exists, seconds)


def wait_until(true: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(process: int) -> bool:
    """Whether a process runs; one that is dead and not yet waited for does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def children_of(process: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == process:
            found.append(int(entry.name))
    return found


def test_the_split_of_an_adopted_first_fold_lets_the_others_start(folder: CrossvalFolder) -> None:
    train, _ = fold_steps(folder, 0, [])
    train.folder.mkdir()
    (train.folder / "split.json").write_text(json.dumps(made.split_of(0, FOLDS)))
    started, adopted = (make_queue(folder, console=Console(file=io.StringIO())) for _ in "ab")
    started.starting(train)
    adopted.adopted(train)
    for queue in (started, adopted):
        queue.look([SlurmJob(train, 0, "1")])
    assert (started.may_start(train), adopted.may_start(train)) == (False, True)

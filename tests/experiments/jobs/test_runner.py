"""Steps as real processes of a few lines, which need no project and no torch."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from experiments.command.errors import CommandError
from experiments.jobs.local import LocalJob, LocalLauncher
from experiments.jobs.runner import Runner, Watcher
from experiments.jobs.signals import ends_in_order
from experiments.jobs.step import Step, failure

# Notes its name and device, does what it is asked to, and leaves what makes it done.
CODE = """
import os, pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
with open(folder.parent / "calls.txt", "a") as calls:
    calls.write(folder.name + " " + os.environ.get("CUDA_VISIBLE_DEVICES", "-") + "\\n")
exec(sys.argv[2])
(folder / "done").touch()
"""
WAIT = "(folder / 'waits').touch(); time.sleep(60)"


class Notes(Watcher):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.most = 0

    def starting(self, step: Step) -> None:
        self.told.append(f"start {step.name}")

    def look(self, jobs: Sequence[LocalJob]) -> None:
        self.most = max(self.most, len(jobs))

    def done(self, step: Step) -> None:
        self.told.append(f"done {step.name}")

    def failed(self, step: Step, why: str, exit_code: int) -> None:
        self.told.append(f"failed {step.name}: {why} ({exit_code})")


def step(name: str, *needs: str, does: str = "") -> Step:
    folder = Path.cwd() / name
    command = [sys.executable, "-S", "-c", CODE, str(folder), does]
    return Step(name, "fit", folder, lambda: command, (folder / "done").exists, needs)


def run(
    *steps: Step, slots: Sequence[str | None] = (None,), notes: Notes | None = None
) -> tuple[Runner, list[str]]:
    notes = notes or Notes()
    runner = Runner(LocalLauncher(slots), notes)
    runner.add(steps)
    runner.run()
    return runner, notes.told


def calls() -> list[str]:
    return Path("calls.txt").read_text().splitlines()


def test_a_step_waits_for_what_it_needs() -> None:
    slow = "time.sleep(0.3)"
    notes = Notes()
    run(
        step("a", does=slow),
        step("b", does=slow),
        step("c", "a", "b"),
        step("d", "c"),
        slots=(None, None, None),
        notes=notes,
    )
    assert notes.told[:2] == ["start a", "start b"]
    assert {*notes.told[2:4]} == {"done a", "done b"}
    assert notes.told[4:] == ["start c", "done c", "start d", "done d"]
    assert notes.most == 2


def test_no_more_run_at_once_than_there_are_slots() -> None:
    notes = Notes()
    run(*(step(name, does="time.sleep(0.1)") for name in "abcde"), slots=("4", "7"), notes=notes)
    assert notes.most == 2
    assert {line.split()[1] for line in calls()} == {"4", "7"}


def test_a_step_runs_on_the_device_of_what_it_needs() -> None:
    steps = [step(name) for name in "abc"] + [step(f"{name}2", name) for name in "abc"]
    run(*steps, slots=("0", "1", "2"))
    device_of = dict(line.split() for line in calls())
    assert [device_of[name] for name in "abc"] == ["0", "1", "2"]
    assert all(device_of[f"{name}2"] == device_of[name] for name in "abc")


def test_a_failed_step_costs_only_what_needs_it() -> None:
    said = "print('lightning: The disk is full.'); sys.exit(1)"
    runner, told = run(step("a", does=said), step("b", "a"), step("c", "b"), step("d"))
    assert told == ["start a", "failed a: The disk is full. (1)", "start d", "done d"]
    assert runner.failures == {"a": "The disk is full."}
    assert failure(Path("a")) == "The disk is full."
    assert json.loads(Path("a/failure.json").read_text())["step"] == "fit"
    assert (failure(Path("b")), failure(Path("d"))) == (None, None)
    # Given again, it goes on where it was.
    _, told = run(step("a"), step("b", "a"), step("c", "b"), step("d"))
    assert told[::2] == ["start a", "start b", "start c"]
    assert failure(Path("a")) is None


def test_a_killed_step_is_named_with_its_signal() -> None:
    runner, _ = run(step("a", does="os.kill(os.getpid(), signal.SIGKILL)"))
    assert runner.failures == {"a": "killed by SIGKILL (out of memory?)"}


def test_a_step_that_leaves_nothing_has_failed() -> None:
    _, told = run(step("a", does="sys.exit(0)"))
    assert told == ["start a", "failed a: its fit ended without a result (0)"]


def test_what_is_done_is_not_run_and_does_not_need_its_needs() -> None:
    Path("b").mkdir()
    Path("b/done").touch()
    runner, told = run(step("a", does="sys.exit(1)"), step("b", "a"), step("c", "b"))
    assert told[0] == "start a"
    assert told[2:] == ["start c", "done c"]
    assert [*runner.failures] == ["a"]


def test_a_need_that_is_not_known_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="b needs a, which is not known"):
        run(step("b", "a"))


def test_a_step_that_was_given_twice_runs_once() -> None:
    run(step("a"), step("a"))
    assert calls() == ["a -"]


def test_a_closed_gate_keeps_others_back_while_one_runs() -> None:
    class Gate(Notes):
        """Opens once the first step says so."""

        def may_start(self, step: Step) -> bool:
            return Path("a/open").exists()

        def starting(self, step: Step) -> None:
            super().starting(step)
            alone.append(not Path("a/open").exists())

    alone: list[bool] = []
    opens = "time.sleep(0.3); (folder / 'open').touch(); time.sleep(0.5)"
    gate = Gate()
    run(step("a", does=opens), step("b"), step("c"), slots=(None, None, None), notes=gate)
    assert gate.told[0] == "start a"
    assert alone == [True, False, False]
    assert gate.most == 3


def test_a_gate_that_never_opens_lets_one_at_a_time_through() -> None:
    class Gate(Notes):
        def may_start(self, step: Step) -> bool:
            return False

    gate = Gate()
    run(*(step(name) for name in "abc"), slots=(None, None), notes=gate)
    assert gate.most == 1
    assert [told for told in gate.told if "done" in told] == ["done a", "done b", "done c"]


def test_steps_are_added_while_others_run() -> None:
    class Adding(Notes):
        def look(self, jobs: Sequence[LocalJob]) -> None:
            if jobs[0].step.name == "a":
                runner.add([step("a"), step("b", "a"), step("c")])

    notes = Adding()
    runner = Runner(LocalLauncher([None]), notes)
    runner.add([step("a")])
    runner.run()
    assert notes.told[::2] == ["start a", "start b", "start c"]


def test_the_waiting_can_be_dropped() -> None:
    class Strict(Notes):
        def failed(self, step: Step, why: str, exit_code: int) -> None:
            super().failed(step, why, exit_code)
            runner.drop_waiting()

    runner = Runner(LocalLauncher([None]), Strict())
    runner.add([step("a", does="sys.exit(2)"), step("b"), step("c")])
    runner.run()
    assert calls() == ["a -"]


def test_an_error_of_the_watcher_ends_what_runs() -> None:
    class Broken(Notes):
        def failed(self, step: Step, why: str, exit_code: int) -> None:
            raise CommandError(why, exit_code)

    runner = Runner(launcher := LocalLauncher([None, None]), Broken())
    wait = "while not (folder.parent / 'b/waits').exists(): time.sleep(0.01)\nsys.exit(3)"
    runner.add([step("a", does=wait), step("b", does=WAIT)])
    with pytest.raises(CommandError) as error:
        runner.run()
    assert error.value.exit_code == 3
    assert [job.exit_code for job in launcher.running] == [-signal.SIGTERM]


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """A shell makes what it starts in the background deaf to Ctrl-C, and nohup to a hang-up."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    hang_up = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGINT, before)
    signal.signal(signal.SIGHUP, hang_up)


@pytest.mark.usefixtures("_interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_steps_in_order(number: signal.Signals) -> None:
    # A step that is asked to end may still keep a checkpoint.
    keeps = (
        "def end(*_): (folder / 'kept').touch(); sys.exit(9)\n"
        f"signal.signal(signal.SIGTERM, end)\n{WAIT}"
    )
    launcher = LocalLauncher([None])
    runner = Runner(launcher, Notes())
    runner.add([step("a", does=keeps), step("b")])

    def send() -> None:
        wait_until(Path("a/waits").exists)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=send)
    thread.start()
    before = signal.getsignal(number)
    with pytest.raises(CommandError) as error, ends_in_order(lambda: "0 of 2 steps are done"):
        runner.run()
    thread.join()
    assert str(error.value) == "Stopped. 0 of 2 steps are done; the same command goes on."
    assert error.value.exit_code == 128 + number
    assert signal.getsignal(number) == before
    assert Path("a/kept").exists()
    assert [job.exit_code for job in launcher.running] == [9]
    assert calls() == ["a -"]
    assert runner.failures == {}


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ends_in_order(lambda: ""):  # nohup means it
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_handler_of_any_error_does_not_swallow_a_signal() -> None:
    def send() -> None:
        # As around W&B, which may fail in any way.
        with contextlib.suppress(Exception):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)

    with pytest.raises(CommandError) as error, ends_in_order(lambda: ""):
        send()
    assert error.value.exit_code == 143


def wait_until(true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)

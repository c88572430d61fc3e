from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.jobs.context import StepContext, outlives_parent, wandb_id

# A parent that starts a child, is told what that printed, and is then killed. The child holds the
# standard output, which ends when both are gone.
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-S", "-c", sys.argv[1]], stdin=subprocess.DEVNULL)
child.wait()
"""
CHILD = """
import sys, time
sys.path.insert(0, {root!r})
from experiments.jobs import context
{prepare}
print("ready", flush=True)
time.sleep(120)
"""

Run = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def run(repository: Path) -> Run:
    def start(prepare: str) -> subprocess.Popen[str]:
        child = CHILD.format(root=str(repository), prepare=prepare)
        return subprocess.Popen(
            [sys.executable, "-S", "-c", PARENT, child], stdout=subprocess.PIPE, text=True
        )

    return start


@pytest.mark.parametrize(
    "prepare",
    [
        "context.die_with_parent(None)",
        # Where the kernel cannot be asked.
        "context._ask_the_kernel = lambda: False; context.die_with_parent(None)",
        # As if it were somebody else's process.
        "import os; context.die_with(os.getppid())",
    ],
)
def test_a_child_is_gone_when_its_parent_is_killed(run: Run, prepare: str) -> None:
    parent = run(prepare)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    parent.kill()
    assert parent.stdout.read() == ""  # returns once the child has let go of it
    parent.stdout.close()
    parent.wait()


def test_a_child_whose_parent_is_gone_already_does_nothing(run: Run) -> None:
    parent = run("context.die_with_parent(parent=1)")
    output, _ = parent.communicate()
    assert output == ""


def test_a_process_is_told_by_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert StepContext.current() is None
    context = StepContext("runs/x/crossval-1/fold_00", "group", "0a", "ff")
    assert context.parent == os.getpid()
    for name, value in context.environment().items():
        monkeypatch.setenv(name, value)
    assert StepContext.current() == context


def test_ids_are_the_same_for_the_same_and_others_for_others() -> None:
    assert wandb_id("group", 0, "1.5", "fold_00") == wandb_id("group", 0, "1.5", "fold_00")
    assert wandb_id("group", 0, "1.5", "fold_01") != wandb_id("group", 0, "1.5", "fold_00")
    assert len(wandb_id("x")) == 8


def test_a_step_on_another_node_has_no_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    context = StepContext("runs/x", "group", "0a", "ff")
    (told,) = outlives_parent(context.environment()).items()
    monkeypatch.setenv(*told)
    found = StepContext.current()
    assert found is not None
    assert found == dataclasses.replace(context, parent=None)
    assert outlives_parent({"A": "b"}) == {"A": "b"}

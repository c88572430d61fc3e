from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

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
from experiments.jobs import parent as lifeline
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
        "lifeline.die_with_parent()",
        # Where the kernel cannot be asked.
        "lifeline._ask_the_kernel = lambda: False; lifeline.die_with_parent()",
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
    parent = run("lifeline.die_with_parent(parent=1)")
    output, _ = parent.communicate()
    assert output == ""

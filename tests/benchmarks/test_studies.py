"""The workings of the benchmark of studies; what it measures, a test cannot say."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import studies
from experiments.cli import main


def test_a_finished_study_is_shown_and_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["study", *studies._finished_study(tmp_path, seeds=1)])
    rows = json.loads((tmp_path / "runs" / "studies" / "made" / "study.json").read_text())["rows"]
    assert len(rows) == 10
    assert all(row["missing"] == [] and row["cells"]["accuracy"]["n"] == 1 for row in rows)
    assert "steps to do" not in capsys.readouterr().out


def test_a_command_is_killed_at_its_moment_or_has_ended() -> None:
    began = time.monotonic()
    assert studies._killed([sys.executable, "-c", "import time; time.sleep(60)"], 0.2)
    assert not studies._killed([sys.executable, "-c", ""], 60)
    assert time.monotonic() - began < 50


def test_the_work_of_orphans_counts() -> None:
    work = "while __import__('time').process_time() < 0.5: pass"
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {work!r}])"
    # In a process of its own: it waits for all that this one has started.
    measure = f"_processor_seconds([{sys.executable!r}, '-c', {parent!r}])"
    code = f"from benchmarks import studies; print(studies.{measure})"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert float(done.stdout) > 0.5

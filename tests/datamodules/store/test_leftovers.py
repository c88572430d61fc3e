from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from datamodules.store.replacing import own_path, remove_leftovers, replacing, write_json


def test_the_next_start_removes_what_a_killed_process_left(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from datamodules.store.replacing import *\n"
        "with replacing(Path(sys.argv[1]) / 'm.onnx') as aside:\n"
        "    aside.touch(); os._exit(9)"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=env, check=False)
    (left,) = tmp_path.iterdir()
    others = [tmp_path / ".lock", tmp_path / left.name.replace("-", "-0"), tmp_path / ".m.1.onnx"]
    for path in others:
        path.touch()
    write_json(tmp_path / "other.json", {})
    assert {*tmp_path.iterdir()} == {*others, tmp_path / "other.json"}


def test_processes_at_once_write_apart_and_leave_each_other_alone(tmp_path: Path) -> None:
    beside = own_path(tmp_path / "a.csv").name.replace(str(os.getpid()), str(os.getppid()))
    (tmp_path / beside).touch()
    with replacing(tmp_path / "a.csv") as aside:
        assert aside.name != beside
        aside.touch()
        remove_leftovers(tmp_path)
        assert aside.exists()
    assert (tmp_path / beside).exists()

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from callbacks.records.source import source_state


def test_a_checkout_knows_its_commit_and_changes(tmp_path: Path) -> None:
    assert source_state(tmp_path) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    assert source_state(tmp_path) is None  # no commit yet
    (tmp_path / "a.py").write_text("1")
    subprocess.run([*git, "add", "a.py"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "a"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    assert source_state(tmp_path, tmp_path / "build.json") == {
        "commit": head.stdout.strip(),
        "dirty": False,
    }
    (tmp_path / "a.py").write_text("2")
    assert source_state(tmp_path, tmp_path / "build.json") == {
        "commit": head.stdout.strip(),
        "dirty": True,
    }


def test_what_is_built_knows_the_commit_and_the_tested_versions(
    tmp_path: Path, repository: Path
) -> None:
    build = [sys.executable, "setup.py", "-q", "egg_info", f"--egg-base={tmp_path}"]
    subprocess.run([*build, "build_py", f"--build-lib={tmp_path}"], cwd=repository, check=True)
    written = tmp_path / "callbacks" / "records" / "build.json"
    known = source_state()
    assert known is not None
    assert json.loads(written.read_text())["commit"] == known["commit"]
    assert source_state(tmp_path, written) == json.loads(written.read_text())
    pinned = (tmp_path / "experiments" / "constraints.txt").read_text()
    assert pinned == (repository / "constraints.txt").read_text()
    for package in ("losses", "datamodules", "lightning_modules", "callbacks", "experiments"):
        assert (tmp_path / package / "py.typed").is_file()
    packaged = {path.name for path in (tmp_path / "experiments").rglob("*.yaml")}
    assert packaged == {path.name for path in (repository / "experiments").rglob("*.yaml")}

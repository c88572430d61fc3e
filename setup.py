"""Adds to what is built the commit that it was built from, and the versions it was tested with."""

import json
import shutil
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).parent
BUILD = Path("callbacks", "records", "build.json")  # callbacks/records/source.py reads it
CONSTRAINTS = Path("experiments", "constraints.txt")


def git(*arguments: str) -> str:
    """Ask git; empty outside a checkout, such as in an unpacked source distribution."""
    if not (ROOT / ".git").exists():
        return ""
    done = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True)
    return done.stdout.strip()


def record_commit(folder: Path) -> None:
    """Write the commit, unless it is not known or was written already."""
    if commit := git("rev-parse", "HEAD"):
        dirty = bool(git("status", "--porcelain", "--untracked-files=no"))
        (folder / BUILD).write_text(json.dumps({"commit": commit, "dirty": dirty}))


class BuildPy(build_py):
    """Builds the packages."""

    def run(self) -> None:
        """Build them, and add both files."""
        super().run()
        if not self.editable_mode:
            record_commit(Path(self.build_lib))
            shutil.copy(ROOT / "constraints.txt", Path(self.build_lib) / CONSTRAINTS)


class Sdist(sdist):
    """Makes a source distribution, from which wheels are built outside the checkout."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Add the commit to the files."""
        super().make_release_tree(base_dir, files)
        record_commit(Path(base_dir))


setup(cmdclass={"build_py": BuildPy, "sdist": Sdist})

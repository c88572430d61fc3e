"""What a cache is keyed by: the files, and the code that reads them."""

import hashlib
import os
import shutil
import types
from pathlib import Path

import cv2
import pytest

from datamodules.store.digests import code_digest, files_digest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for name in ("S1/a.png", "S1/b.png", "S2/a.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def digest(root: Path) -> str:
    return files_digest(root.rglob("*.png"), root)


def test_order_and_place_of_the_whole_do_not_matter(root: Path, tmp_path: Path) -> None:
    files = list(root.rglob("*.png"))
    assert files_digest(files, root) == files_digest(files[::-1], root)
    copy = Path(shutil.copytree(root, tmp_path / "copy"))  # keeps the times
    assert digest(copy) == digest(root)


def test_files_come_in_the_order_of_paths(root: Path) -> None:
    names = ["S1 b/a.png", "S1-b/a.png", "S1/a b.png", "S1/a/b.png", "S1.png", "S10/a.png", "a.png"]
    digest = hashlib.sha256()
    for path in sorted(root / name for name in names):
        digest.update(f"{path.relative_to(root)}\0missing\0".encode())
    for given in (root, Path(), Path("/")):
        assert files_digest([given / name for name in names], given) == digest.hexdigest()


def test_whatever_changes_shows(root: Path) -> None:
    seen = {digest(root)}
    (root / "S1/a.png").write_text("longer than before")
    seen.add(digest(root))
    os.utime(root / "S1/b.png", (1, 1))
    seen.add(digest(root))
    (root / "S1/a.png").rename(root / "S1/c.png")
    seen.add(digest(root))
    (root / "S2/a.png").unlink()
    seen.add(digest(root))
    assert len(seen) == 5


def test_a_link_to_nowhere_counts_as_missing(root: Path) -> None:
    before = digest(root)
    (root / "S3.png").symlink_to(root / "nowhere.png")
    assert digest(root) != before


def test_code_and_opencv_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("module")
    module.__file__ = str(tmp_path / "module.py")
    Path(module.__file__).write_text("a = 1")
    first = code_digest(module)
    assert code_digest(module) == first
    Path(module.__file__).write_text("a = 2")
    second = code_digest(module)
    monkeypatch.setattr(cv2, "__version__", "0")
    assert len({first, second, code_digest(module)}) == 3

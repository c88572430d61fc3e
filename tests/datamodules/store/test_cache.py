import errno
import fcntl
import hashlib
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules.errors import BadSample, BadSamples, DatasetError
from datamodules.store import cache as module
from datamodules.store.cache import Cache, build_cache, code_digest, files_digest
from datamodules.store.rows import ArraySpec, RowStore
from tests.datamodules import cache_child
from tests.datamodules.cache_child import ARRAYS, ROWS, row_of

FINGERPRINT = {"files": "abc", "size": 16}


class Computer:
    """Computes rows, counts them, and finds some of them bad."""

    def __init__(self, bad: Mapping[int, str] | None = None) -> None:
        self.bad = dict(bad or {})
        self.rows: list[int] = []

    def __call__(self, row: int) -> Mapping[str, NDArray[Any]]:
        self.rows.append(row)
        if row in self.bad:
            raise BadSample(self.bad[row], "truncated")
        return row_of(row)


def build(folder: Path, compute: Callable[..., Any], **options: Any) -> Cache:
    return build_cache(folder, FINGERPRINT, ROWS, ARRAYS, compute, **options)


def assert_whole(cache: Cache, without: tuple[int, ...] = ()) -> None:
    rows = [row for row in range(ROWS) if row not in without]
    assert np.flatnonzero(cache.valid).tolist() == rows
    for name in ARRAYS:
        np.testing.assert_array_equal(cache.arrays[name][rows], [row_of(n)[name] for n in rows])


def as_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_checked", set())


def test_rows_are_computed_once_and_mapped_read_only(tmp_path: Path) -> None:
    first, second = Computer(), Computer()
    cache = build(tmp_path / "a" / "cache", first, label="faces", workers=3)
    assert sorted(first.rows) == list(range(ROWS))
    assert_whole(cache)
    assert cache.path.parent == tmp_path / "a" / "cache"
    assert cache.path.name == f"faces-{cache.key[:12]}"
    assert isinstance(cache.arrays["image"], np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        cache.arrays["image"][0] = 0
    assert_whole(build(tmp_path / "a" / "cache", second, label="faces"))
    assert second.rows == []


@pytest.mark.parametrize(
    "change",
    [
        {"fingerprint": {**FINGERPRINT, "files": "abd"}},
        {"rows": ROWS - 1},
        {"arrays": {**ARRAYS, "number": ArraySpec((), "int32")}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_was_made_of_something_else_is_not_used(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    old = build(tmp_path, Computer())
    made = {"fingerprint": FINGERPRINT, "rows": ROWS, "arrays": ARRAYS, **change}
    computed: list[int] = []

    def compute(row: int) -> Mapping[str, NDArray[Any]]:
        computed.append(row)
        dtype = made["arrays"]["number"].dtype
        return {**row_of(row), "number": row_of(row)["number"].astype(dtype)}

    new = build_cache(tmp_path, compute=compute, **made)
    assert sorted(computed) == list(range(made["rows"]))
    assert new.path != old.path
    assert_whole(build(tmp_path, Computer()))


def flip(path: Path, position: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(position * len(data))] ^= 0x10
    path.write_bytes(data)


# Damage, and how many rows have to be computed again.
DAMAGE: dict[str, tuple[Callable[[Path], object], int]] = {
    "a byte of a row": (lambda path: flip(path / "image.npy", 0.5), 1),
    "the last byte": (lambda path: flip(path / "number.npy", 0.9999), 1),
    "a header": (lambda path: flip(path / "image.npy", 0.0), 0),
    "a record": (lambda path: flip(path / "done.npy", 0.9), 1),
    "the manifest": (lambda path: flip(path / "manifest.json", 0.5), 0),
    "no manifest": (lambda path: (path / "manifest.json").unlink(), 0),
    "an empty manifest": (lambda path: (path / "manifest.json").write_text(""), 0),
    "another manifest": (lambda path: (path / "manifest.json").write_text("[]"), 0),
    "half an array": (lambda path: os.truncate(path / "image.npy", 128 + 20 * 768), 20),
    "too much": (lambda path: os.truncate(path / "image.npy", 10**6), 0),
    "no array": (lambda path: (path / "image.npy").unlink(), ROWS),
    "no records": (lambda path: (path / "done.npy").unlink(), ROWS),
    "an empty folder": (lambda path: [file.unlink() for file in path.iterdir()], ROWS),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found_and_no_more_than_that_computed_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    damage, again = DAMAGE[name]
    path = build(tmp_path, Computer()).path
    damage(path)
    as_a_new_process(monkeypatch)
    computer = Computer()
    assert_whole(build(tmp_path, computer))
    assert len(computer.rows) == again
    assert f"The cache {path} is damaged" in caplog.text
    assert not path.with_name(path.name + ".building").exists()


def test_rows_are_checked_once_unless_files_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[int] = []
    intact = RowStore.intact

    def count(store: RowStore, first: int, rows: int) -> NDArray[np.bool_]:
        checked.extend(range(first, first + rows))
        return intact(store, first, rows)

    monkeypatch.setattr(RowStore, "intact", count)
    monkeypatch.setattr(module, "_BLOCK", 5000)  # a few rows
    path = build(tmp_path, Computer()).path

    def checks() -> int:
        checked.clear()
        as_a_new_process(monkeypatch)
        build(tmp_path, Computer())
        build(tmp_path, Computer())
        assert sorted(checked) == list(range(len(checked)))
        return len(checked)

    assert checks() == 0  # it was just computed
    os.utime(path / "image.npy")
    assert [checks(), checks()] == [ROWS, 0]
    state = (path / "image.npy").stat()
    flip(path / "image.npy", 0.5)
    flip(path / "image.npy", 0.5)
    os.utime(path / "image.npy", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert [checks(), checks()] == [ROWS, 0]  # whoever sets the clock back is noticed
    path.with_name(f"{path.name}.checked").unlink()
    assert [checks(), checks()] == [ROWS, 0]


def start(repository: Path, folder: Path, log: Path, pause: float) -> subprocess.Popen[str]:
    child = [sys.executable, cache_child.__file__, str(repository), str(folder), str(log)]
    return subprocess.Popen([*child, str(pause)], stderr=subprocess.PIPE, text=True)


def wait_for_rows(log: Path, rows: int) -> None:
    deadline = time.monotonic() + 60
    while not log.exists() or len(log.read_text().split()) < rows:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_killed_build_goes_on_where_it_was(tmp_path: Path, repository: Path) -> None:
    folder, log = tmp_path / "cache", tmp_path / "log"
    for rows in (7, 21):
        child = start(repository, folder, log, 0.01)
        wait_for_rows(log, rows)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert child.returncode == -signal.SIGKILL
        assert [path.suffix for path in folder.iterdir() if path.is_dir()] == [".building"]
    assert_whole(cache_child.build(folder, log))
    computed = [int(row) for row in log.read_text().split()]
    assert set(computed) == set(range(ROWS))
    # Each kill costs at most the row that each of the two threads was at.
    assert len(computed) <= ROWS + 2 * 2


def test_of_two_processes_one_builds_and_the_other_waits(tmp_path: Path, repository: Path) -> None:
    name = cache_child.build(tmp_path / "to learn the name", tmp_path / "log").path.name
    folder, log = tmp_path / "cache", tmp_path / "rows"
    folder.mkdir()
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        children = [start(repository, folder, log, 0.01) for _ in range(2)]
        for child in children:
            assert child.stderr is not None
            assert "waiting for it" in child.stderr.readline()
    # Both set out at once now.
    for child in children:
        child.communicate(timeout=60)
    assert [child.returncode for child in children] == [0, 0]
    assert sorted(int(row) for row in log.read_text().split()) == list(range(ROWS))
    assert_whole(cache_child.build(folder, log))


def test_what_another_process_built_meanwhile_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = build(tmp_path, Computer()).path
    before = (path / "manifest.json").stat().st_ctime_ns
    open_cache, looks = module._Builder.open, iter([None])
    # The first look comes too early, before the other process is done.
    monkeypatch.setattr(
        module._Builder, "open", lambda self: open_cache(self) if next(looks, 1) else None
    )
    assert_whole(build(tmp_path, Computer()))
    assert (path / "manifest.json").stat().st_ctime_ns == before


def test_a_full_disk_is_said_before_the_work_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computer = Computer()
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", no_space, raising=False)
        with pytest.raises(DatasetError, match=r"disk is full: .* needs 0\.00 GB, .* cache_dir"):
            build(tmp_path, computer)
    assert computer.rows == []
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
    assert_whole(build(tmp_path, computer))


def no_space(*_: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_fills_up_on_the_way_leaves_nothing_that_looks_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computer = Computer()
    pwrite, left = os.pwrite, iter(range(50))
    with monkeypatch.context() as patch:
        patch.setattr(
            os, "pwrite", lambda *a: no_space() if next(left, None) is None else pwrite(*a)
        )
        with pytest.raises(DatasetError, match="The disk is full"):
            build(tmp_path, computer, workers=2)
    assert [path.suffix for path in tmp_path.iterdir() if path.is_dir()] == [".building"]
    failed = len(computer.rows)
    assert 0 < failed < ROWS
    assert_whole(build(tmp_path, computer))
    assert len(computer.rows) <= ROWS + 2  # what was written is kept


def test_bad_samples_are_all_named_in_one_error(tmp_path: Path) -> None:
    computer = Computer({30: "b.png", 3: "a.png", 31: "b.png"})
    with pytest.raises(BadSamples) as caught:
        build(tmp_path, computer)
    assert caught.value.bad == [("a.png", "truncated"), ("b.png", "truncated")]
    assert sorted(computer.rows) == list(range(ROWS))
    # Repaired, only what was bad is computed.
    repaired = Computer()
    assert_whole(build(tmp_path, repaired))
    assert sorted(repaired.rows) == [3, 30, 31]


def test_skipped_samples_are_remembered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for computer in (Computer({30: "b.png", 3: "a.png"}), Computer()):
        caplog.clear()
        as_a_new_process(monkeypatch)
        cache = build(tmp_path, computer, on_bad_sample="skip", label="faces")
        assert cache.bad == [("a.png", "truncated"), ("b.png", "truncated")]
        assert_whole(cache, without=(3, 30))
        assert (
            f"Skipped 2 of {ROWS} samples of faces: a.png: truncated; b.png: truncated"
            in caplog.text
        )
    assert computer.rows == []
    with pytest.raises(BadSamples, match=r"a\.png: truncated"):
        build(tmp_path, Computer(), label="faces")


def test_nothing_but_bad_samples_is_an_error_also_when_they_may_be_skipped(tmp_path: Path) -> None:
    everything = Computer({row: f"{row}.png" for row in range(ROWS)})
    with pytest.raises(BadSamples):
        build(tmp_path, everything, on_bad_sample="skip")


def test_an_error_of_the_code_stops_the_build_which_goes_on_later(tmp_path: Path) -> None:
    computer = Computer()

    def broken(row: int) -> Mapping[str, NDArray[Any]]:
        if row == 20:
            raise ZeroDivisionError
        return computer(row)

    with pytest.raises(ZeroDivisionError):
        build(tmp_path, broken, workers=1)
    assert computer.rows == list(range(20))
    assert_whole(build(tmp_path, computer))
    assert sorted(computer.rows) == list(range(ROWS))


def test_ten_times_the_rows_need_no_more_memory(tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        block = np.zeros((256, 256), np.uint8)
        tracemalloc.start()
        cache = build_cache(
            tmp_path,
            {},
            rows,
            {"block": ArraySpec(block.shape, "uint8")},
            lambda row: {"block": block + np.uint8(row % 256)},
            workers=2,
        )
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert cache.arrays["block"].shape == (rows, *block.shape)
        return found

    peak(2)  # fills what Python keeps for later
    few, many = peak(100), peak(1000)  # 64 kB a row
    assert many < few + 2 * 256 * 256


def test_a_cache_pickles_as_its_path(tmp_path: Path) -> None:
    cache = build(tmp_path, Computer({3: "a.png"}), on_bad_sample="skip")
    pickled = pickle.dumps(cache)
    assert len(pickled) < 1000
    copy = pickle.loads(pickled)
    assert_whole(copy, without=(3,))
    assert (copy.bad, copy.key) == (cache.bad, cache.key)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match=r"folder .*file/cache cannot be written .* cache_dir"):
        build(tmp_path / "file" / "cache", Computer())


def test_no_rows_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one row"):
        build_cache(tmp_path, FINGERPRINT, 0, ARRAYS, Computer())


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


def test_a_finished_cache_is_read_on_a_disk_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    build(tmp_path, Computer())
    monkeypatch.setattr(module, "lock", refuse)
    monkeypatch.setattr(module, "replacing", refuse)
    opened = build(tmp_path, Computer())
    assert_whole(opened)
    assert opened.read_or_compute("x.npy", lambda: np.ones(2)).tolist() == [1, 1]
    with pytest.raises(DatasetError, match="cannot be written"):
        build(tmp_path / "other", Computer())

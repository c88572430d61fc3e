import errno
import os
import pickle
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules.errors import BadSample, BadSamples, DatasetError
from datamodules.store import cache as module
from datamodules.store.cache import Cache, build_cache
from datamodules.store.rows import ArraySpec, RowStore
from tests.datamodules.cache_child import ARRAYS, ROWS, assert_whole, row_of

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

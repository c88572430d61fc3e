import os
from pathlib import Path

import numpy as np
import pytest

from datamodules.store.rows import ArraySpec, RowStore

ARRAYS = {
    "flow": ArraySpec((2, 4, 4), "float16"),
    "label": ArraySpec((), "int64"),
    "valid": ArraySpec((3,), "bool"),
}


def row_of(number: int) -> dict[str, np.ndarray]:
    return {
        "flow": np.full((2, 4, 4), number, np.float16),
        "label": np.array(number),
        "valid": np.array([True, False, number % 2 == 0]),
    }


def test_rows_come_back_through_numpy(tmp_path: Path) -> None:
    with RowStore(tmp_path, 5, ARRAYS, writable=True) as store:
        for number in (4, 0, 2):
            store.write(number, row_of(number))
        store.sync()
        assert store.written().tolist() == [True, False, True, False, True]
        assert store.intact(0, 5).tolist() == [True, False, True, False, True]
    for name, spec in ARRAYS.items():
        array = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
        assert array.shape == (5, *spec.shape)
        assert array.dtype == spec.dtype
        for number in (4, 0, 2):
            np.testing.assert_array_equal(array[number], row_of(number)[name])


def test_views_are_written_as_they_look(tmp_path: Path) -> None:
    values = np.arange(32, dtype=np.float16).reshape(4, 4, 2).transpose(2, 0, 1)
    with RowStore(tmp_path, 1, {"flow": ARRAYS["flow"]}, writable=True) as store:
        store.write(0, {"flow": values})
    np.testing.assert_array_equal(np.load(tmp_path / "flow.npy")[0], values)


def test_a_disk_that_takes_a_few_bytes_at_a_time_gets_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RowStore(tmp_path, 2, ARRAYS, writable=True) as store:
        pwrite = os.pwrite
        monkeypatch.setattr(os, "pwrite", lambda file, data, at: pwrite(file, data[:7], at))
        store.write(1, row_of(1))
        assert store.intact(1, 1).all()
    np.testing.assert_array_equal(np.load(tmp_path / "flow.npy")[1], row_of(1)["flow"])


def test_what_is_there_survives_opening_again(tmp_path: Path) -> None:
    with RowStore(tmp_path, 3, ARRAYS, writable=True) as store:
        store.write(1, row_of(1))
    with RowStore(tmp_path, 3, ARRAYS, writable=True) as store:
        assert store.intact(1, 1).all()
    with RowStore(tmp_path, 3, ARRAYS, writable=False) as store:
        assert store.written().tolist() == [False, True, False]


def test_files_that_are_not_whole_do_not_open_for_reading(tmp_path: Path) -> None:
    with RowStore(tmp_path, 3, ARRAYS, writable=True):
        pass
    with pytest.raises(OSError, match=r"flow\.npy has another size or header"):
        RowStore(tmp_path, 4, ARRAYS, writable=False)
    (tmp_path / "label.npy").unlink()
    with pytest.raises(FileNotFoundError):
        RowStore(tmp_path, 3, ARRAYS, writable=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flow": np.zeros((2, 4, 4), np.float32)}, r"float16\[2, 4, 4\], but is float32"),
        ({"flow": np.zeros((2, 4, 5), np.float16)}, r"but is float16\[2, 4, 5\]"),
        ({"more": np.zeros(1)}, r"needs \['flow', 'label', 'valid'\], but got"),
    ],
)
def test_a_row_of_another_kind_is_refused(
    tmp_path: Path, change: dict[str, np.ndarray], message: str
) -> None:
    with RowStore(tmp_path, 1, ARRAYS, writable=True) as store:
        with pytest.raises(ValueError, match=message):
            store.write(0, {**row_of(0), **change})
        assert not store.intact(0, 1).any()

"""Arrays on disk whose rows are written one by one, by several threads, with a checksum each."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_RECORDS = "done"  # the array of checksums; no other array may have its name
_WRITTEN = 1 << 32  # set in the record of a written row, above the 32 bits of its checksum


class ArraySpec(NamedTuple):
    """Shape of a row of an array, and the name of its NumPy type."""

    shape: tuple[int, ...]
    dtype: str


class _RowFile:
    """A .npy file of a fixed number of rows.

    Rows are written with `pwrite` and read with `pread`, not through a memory map: a full disk
    is then an error instead of a SIGBUS that kills the process, and going through a file that is
    larger than the memory does not fill it. All blocks are reserved when the file is opened for
    writing, so that a full disk is found before the work and not after it.
    """

    def __init__(self, path: Path, rows: int, spec: ArraySpec, *, writable: bool) -> None:
        self.spec = spec
        self._dtype = np.dtype(spec.dtype)
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header,
            {
                "descr": np.lib.format.dtype_to_descr(self._dtype),
                "fortran_order": False,
                "shape": (rows, *spec.shape),
            },
        )
        self._start = header.tell()
        self.row_bytes = int(np.prod(spec.shape, dtype=np.int64)) * self._dtype.itemsize
        size = self._start + rows * self.row_bytes
        self._file = os.open(path, os.O_RDWR | os.O_CREAT if writable else os.O_RDONLY, 0o644)
        try:
            if writable:
                os.ftruncate(self._file, size)
                if hasattr(os, "posix_fallocate"):  # macOS has none
                    os.posix_fallocate(self._file, 0, size)
                os.pwrite(self._file, header.getvalue(), 0)
            elif (
                os.fstat(self._file).st_size != size
                or os.pread(self._file, self._start, 0) != header.getvalue()
            ):
                raise OSError(f"{path.name} has another size or header")
        except BaseException:
            self.close()
            raise

    def encode(self, value: NDArray[Any]) -> memoryview:
        """Take the bytes of a row, after a look at whether they are what the file holds."""
        if value.shape != self.spec.shape or value.dtype != self._dtype:
            raise ValueError(
                f"A row must be {self._dtype}{list(self.spec.shape)}, "
                f"but is {value.dtype}{list(value.shape)}."
            )
        return np.ascontiguousarray(value).reshape(-1).view(np.uint8).data

    def write(self, row: int, data: memoryview) -> None:
        offset = self._start + row * self.row_bytes
        while data:
            written = os.pwrite(self._file, data, offset)
            data, offset = data[written:], offset + written

    def read(self, first: int, rows: int = 1) -> bytes:
        return os.pread(self._file, rows * self.row_bytes, self._start + first * self.row_bytes)

    def sync(self) -> None:
        os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)


class RowStore(AbstractContextManager["RowStore"]):
    """A folder of arrays with equally many rows, and a record for each row.

    A record says that its row was written and with which checksum over all arrays, so it tells a
    whole row from one that a killed process, a lost power or a failing disk left behind.

    Args:
        folder: An existing folder.
        rows: Number of rows.
        arrays: What the arrays hold, by their names.
        writable: Whether to create or complete the files; else they must be whole.

    Raises:
        OSError: If the files are not whole, or the disk has no room for them.
    """

    def __init__(
        self, folder: Path, rows: int, arrays: Mapping[str, ArraySpec], *, writable: bool
    ) -> None:
        self._rows = rows
        self._files: dict[str, _RowFile] = {}
        with ExitStack() as stack:
            for name, spec in {**arrays, _RECORDS: ArraySpec((), "<u8")}.items():
                path = folder / f"{name}.npy"
                self._files[name] = _RowFile(path, rows, spec, writable=writable)
                stack.callback(self._files[name].close)
            self._open = stack.pop_all()
        self._records = self._files.pop(_RECORDS)

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def write(self, row: int, values: Mapping[str, NDArray[Any]]) -> None:
        """Write a row of each array, and only then its record.

        Raises:
            ValueError: If an array is missing, unknown, or of another type or shape.
            OSError: If the disk cannot take it.
        """
        if values.keys() != self._files.keys():
            raise ValueError(f"A row needs {sorted(self._files)}, but got {sorted(values)}.")
        checksum = 0
        for name, file in self._files.items():
            data = file.encode(values[name])
            checksum = zlib.crc32(data, checksum)
            file.write(row, data)
        self._records.write(row, self._records.encode(np.array(_WRITTEN | checksum, "<u8")))

    def intact(self, first: int, rows: int) -> NDArray[np.bool_]:
        """Tell which of some rows in a block were written and still are what was written."""
        records = np.frombuffer(self._records.read(first, rows), "<u8")
        checksums = [0] * rows
        for file in self._files.values():
            data = memoryview(file.read(first, rows))
            for row in range(rows):
                part = data[row * file.row_bytes : (row + 1) * file.row_bytes]
                checksums[row] = zlib.crc32(part, checksums[row])
        return np.asarray(records == np.array(checksums, "<u8") + np.uint64(_WRITTEN))

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of all arrays."""
        return sum(file.row_bytes for file in self._files.values())

    def written(self) -> NDArray[np.bool_]:
        """Tell which rows were written: bool [rows]."""
        return np.frombuffer(self._records.read(0, self._rows), "<u8").astype(np.bool_)

    def sync(self) -> None:
        """Return once the disk has everything."""
        for file in (*self._files.values(), self._records):
            file.sync()

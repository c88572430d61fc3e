from __future__ import annotations

from pathlib import Path

import pytest

from datamodules.errors import BadSample
from datamodules.sets.lists.facs import present, read_facs


def test_intensity_zero_is_present(tmp_path: Path) -> None:
    path = tmp_path / "S005_001_00000011_facs.txt"
    path.write_bytes(
        b"   9.0000000e+00   5.0000000e+00\r\n   1.2000000e+01   0.0000000e+00\n\n"
        b"   6.2000000e+01   2.0000000e+00"
    )
    units = read_facs(path)
    assert units == {9: 5.0, 12: 0.0, 62: 2.0}
    assert present(units, (1, 9, 12, 27)).tolist() == [0, 1, 1, 0]


def test_no_line_is_no_unit(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    assert read_facs(tmp_path / "empty.txt") == {}
    assert present({}, (1, 2)).tolist() == [0, 0]


@pytest.mark.parametrize("text", ["9.0", "9.0 a", "9 5 1"])
def test_other_lines_are_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.txt"
    path.write_text(f"1.0 2.0\n{text}\n")
    with pytest.raises(BadSample, match="line 2 is not a unit and an intensity"):
        read_facs(path)
    with pytest.raises(BadSample, match="cannot be read"):
        read_facs(tmp_path / "missing.txt")

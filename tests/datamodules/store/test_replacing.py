from __future__ import annotations

import math
from pathlib import Path

import pytest

from datamodules.store.replacing import read_json, replacing, write_json


def test_file_appears_when_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "summary.json"
    with replacing(path) as aside:
        aside.write_text("whole")
        assert not path.exists()
        assert aside.suffix == ".json"
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_old_file_survives_an_error(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as aside:
            aside.write_text("hal")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_written_is_read_in_its_order(tmp_path: Path) -> None:
    path = tmp_path / "new" / "status.json"
    values = {"state": "running", "é": [1, 2.5, None], "a": {"b": True}}
    write_json(path, values)
    assert read_json(path) == values
    assert list(read_json(path) or ()) == list(values)
    assert path.read_bytes().endswith(b"}\n")
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("text", [b"", b'{"a": ', b"[1]", b"\xff\xfe", b'"text"'])
def test_a_damaged_file_reads_as_none(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "status.json"
    path.write_bytes(text)
    assert read_json(path) is None


def test_a_missing_file_reads_as_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert read_json(tmp_path / "status.json") is None
    assert read_json(tmp_path / "file" / "status.json") is None


@pytest.mark.parametrize("value", [math.nan, object()])
def test_what_json_cannot_hold_leaves_the_old_file(tmp_path: Path, value: object) -> None:
    path = tmp_path / "status.json"
    write_json(path, {"a": 1})
    with pytest.raises((ValueError, TypeError)):
        write_json(path, {"a": value})
    assert read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]

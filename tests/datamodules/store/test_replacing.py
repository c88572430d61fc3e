from __future__ import annotations

from pathlib import Path

import pytest

from datamodules.store.replacing import replacing


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

from __future__ import annotations

from pathlib import Path

import pytest

from datamodules.errors import DatasetError
from datamodules.labels import Expression
from datamodules.sets.lists.lille import expression_codes, key, read_rows

ROWS = [("S001", "001", "4"), ("S001", "012", "3")]


@pytest.mark.parametrize(
    "text",
    [
        "S001;001;4\nS001;012;3\n",
        "subject;file;emotion\nS001;1;4\nS001;12;3",
        "\ufeffSub_ID;seq_id;label;\r\nS001;001;4;\r\nS001;012;3;\r\n\r\n",
        "S001,001,4\n\nS001 , 012, 3 ,",
    ],
    ids=["plain", "header and stripped zeros", "spreadsheet", "commas"],
)
def test_variants_give_the_same_rows(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.csv").write_bytes(text.encode())
    assert [row[:3] for row in read_rows(tmp_path / "list.csv")] == ROWS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("S001;001\n", "Line 1 of .*list.csv is 'S001;001'"),
        ("S001;001;1\nS001;;1\n", "Line 2 of"),
        ("subject;file;emotion\n", "has no rows"),
    ],
)
def test_broken_lists_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_rows(tmp_path / "list.csv")


def test_missing_list(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        read_rows(tmp_path / "list.csv")


def test_names_join_whatever_their_zeros_and_case() -> None:
    assert key("S001", "001") == key("s001", "1")
    assert key("001", "ABC") == key("1", "abc")
    assert key("S001", "001") != key("S01", "001")


def test_codes_of_lille_and_of_the_user() -> None:
    assert expression_codes(None)["6"] is Expression.SADNESS
    assert expression_codes({"a": "Happiness"}) == {"a": Expression.HAPPINESS}
    with pytest.raises(ValueError, match="label_map names 'glee' for code 0; expected one of neu"):
        expression_codes({"0": "glee"})

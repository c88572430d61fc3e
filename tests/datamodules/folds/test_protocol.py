from pathlib import Path

import pytest

from datamodules.errors import DatasetError
from datamodules.folds.protocol import ProtocolRow, folds_hash, read_protocol, write_protocol

PROTOCOL = [
    ProtocolRow("S1", "001", "0", 0),
    ProtocolRow("S1", "002", "1", 0),
    ProtocolRow("S2", "001", "2", 1),
    ProtocolRow("S3", "happy", "3", 2),
]


def test_a_protocol_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "protocols" / "SNAP_proto.csv"
    write_protocol(path, PROTOCOL)
    lines = path.read_text().splitlines()
    assert lines[0] == "sub_id;seq_id;label;Fold 1;Fold 2;Fold 3"
    assert lines[3] == "S2;001;2;0;1;0"
    assert read_protocol(path) == PROTOCOL
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "text",
    [
        "S1;1;0;1;0;0\nS1;2;1;1;0;0\nS2;1;2;0;7;0\nS3;happy;3;0;0;1",
        "\ufeffsubject;file;emotion;Fold 1;Fold 2;Fold 3\r\n"
        "S1;001;0;1;0;0;\r\nS1;002;1;1;0;0;\r\n\r\nS2;001;2;0;1;0;\r\nS3;happy;3;0;0;1;\r\n",
        "SUB_ID; seq_id;label;a;b;c\nS1; 1;0;1;0;0\nS1;2;1;1;0;0\nS2;1;2;0;1;0\nS3;happy;3;0;0;1\n",
    ],
    ids=["bare", "windows", "spaces"],
)
def test_protocols_are_read_as_they_are_found(tmp_path: Path, text: str) -> None:
    path = tmp_path / "proto.csv"
    path.write_bytes(text.encode())
    assert read_protocol(path) == PROTOCOL


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("S1;1;0;1;0\nS1;2;0;1\n", "Line 2 of .* has 4 cells"),
        ("S1;1;0\n", "Line 1 of .* has 3 cells"),
        ("S1;1;0;0;0\n", "Line 1 of .* tests its sequence in 0 folds"),
        ("S1;1;0;1;1\n", "in 2 folds"),
        ("S1;1;0;1;0\nS1;001;0;0;1\n", "Line 2 of .* repeats the sequence S1/001"),
        ("sub_id;seq_id;label;Fold 1\n", "has no sequences"),
        ("\0\udc80", "cannot be read"),
    ],
)
def test_a_protocol_that_makes_no_sense_is_named_with_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "proto.csv"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DatasetError, match=message):
        read_protocol(path)


def test_a_missing_protocol_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"proto\.csv cannot be read"):
        read_protocol(tmp_path / "proto.csv")


def test_the_hash_is_of_the_assignment_and_not_of_the_order() -> None:
    shuffled = [PROTOCOL[i] for i in (2, 0, 3, 1)]
    assert folds_hash(shuffled) == folds_hash(PROTOCOL)
    moved = [row._replace(fold=fold) for row, fold in zip(PROTOCOL, (0, 0, 2, 1), strict=True)]
    assert folds_hash(moved) != folds_hash(PROTOCOL)
    assert len(folds_hash(PROTOCOL)) == 64

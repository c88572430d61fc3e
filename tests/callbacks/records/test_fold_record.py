from __future__ import annotations

import json
from pathlib import Path

import pytest

from callbacks.records.fold_record import (
    MAIN,
    DamagedRecordError,
    file_hash,
    is_tested,
    read_record,
    seal,
)
from tests.experiments.crossval import made


@pytest.fixture
def fold(tmp_path: Path) -> Path:
    made.write_fold(tmp_path / "fold_01", 1, wrong=2)
    return tmp_path / "fold_01"


def test_a_record_comes_back_with_its_predictions(fold: Path) -> None:
    record = read_record(fold)
    assert record is not None
    assert record["subjects"] == ["S002", "S003"]
    assert record.metrics["test/accuracy"] == 4 / 6
    assert record.predictions is not None
    assert record.predictions.samples[:2] == ("S002/000", "S002/001")
    assert list(record.predictions.answers) == [MAIN, "predicted_eyes"]
    wrong = [
        label != answer
        for label, answer in zip(
            record.predictions.labels, record.predictions.answers[MAIN], strict=True
        )
    ]
    assert wrong == [True, True, False, False, False, False]


def test_a_fold_without_a_record_has_none(tmp_path: Path) -> None:
    assert read_record(tmp_path / "fold_00") is None


def test_an_edited_number_is_noticed(fold: Path) -> None:
    text = (fold / "fold.json").read_text()
    (fold / "fold.json").write_text(text.replace(f"{4 / 6}", "0.99"))
    with pytest.raises(DamagedRecordError, match="checksum"):
        read_record(fold)


@pytest.mark.parametrize("content", [b"", b'{"metrics": {"test/acc', b"[]", b"\xff\xfe\x00"])
def test_a_cut_record_is_noticed(fold: Path, content: bytes) -> None:
    (fold / "fold.json").write_bytes(content)
    with pytest.raises(DamagedRecordError, match="is damaged"):
        read_record(fold)
    assert not is_tested(fold)


def test_predictions_of_another_test_are_noticed(fold: Path) -> None:
    made.write_predictions(fold, 1, wrong=0)
    with pytest.raises(DamagedRecordError, match="does not belong to the predictions"):
        read_record(fold)
    (fold / "predictions.csv").unlink()
    with pytest.raises(DamagedRecordError, match=r"lost its predictions\.csv"):
        read_record(fold)


def test_a_fold_may_have_no_predictions(fold: Path) -> None:
    values = json.loads((fold / "fold.json").read_text())
    (fold / "fold.json").write_text(json.dumps(seal({**values, "predictions": None})))
    (fold / "predictions.csv").unlink()
    record = read_record(fold)
    assert record is not None
    assert record.predictions is None


def test_a_seal_breaks_with_any_change() -> None:
    record = seal({"metrics": {"test/accuracy": 0.5}, "fold": 1})
    assert seal(record) == record
    assert seal({**record, "fold": 2})["checksum"] != record["checksum"]
    assert seal({"fold": 1, "metrics": {"test/accuracy": 0.5}}) == record


def test_action_units_are_no_answers_in_classes(fold: Path) -> None:
    path = fold / "predictions.csv"
    header, *rows = (line.split(",") for line in path.read_text().splitlines())
    place = header.index(MAIN)
    lines = [header, *([*row[:place], "1+2+5", *row[place + 1 :]] for row in rows)]
    path.write_text("\n".join(map(",".join, lines)))
    record = json.loads((fold / "fold.json").read_text())
    (fold / "fold.json").write_text(json.dumps(seal({**record, "predictions": file_hash(path)})))
    found = read_record(fold)
    assert found is not None
    assert found.predictions is None

"""That growth and schedules are measured on what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import schedule
from benchmarks.scale import build, make_faces, make_sequences, open_warm


@pytest.mark.parametrize("kind", ["faces", "sequences"])
def test_each_stage_of_made_rows_is_measured(kind: str, tmp_path: Path) -> None:
    assert all(value >= 0 for value in build(kind, 1500, tmp_path).values())
    found = open_warm(kind, 1500, tmp_path)
    assert found["index_bytes_a_row"] > 0
    assert {"index_s", "folds_s", "open_cache_s", "first_batch_s", "epoch_s"} <= found.keys()


def test_rows_are_of_many_people() -> None:
    assert len(make_faces(1000).people) == 10
    index = make_sequences(30)
    assert len(index.people) == 3
    assert len(list(index.all_files())) == 600


def test_devices_are_busy_as_counted_by_hand() -> None:
    assert schedule.busy_share([1.0] * 8) == pytest.approx(1)
    assert schedule.busy_share([1.0] * 10) == pytest.approx(10 / 16)
    assert schedule.busy_share([2.0] * 7 + [1.0] * 2) == pytest.approx(1)

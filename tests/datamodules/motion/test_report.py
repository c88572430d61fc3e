from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from datamodules.motion.report import report_magnitudes, some_of


def test_magnitudes_are_those_of_numpy(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    flows = rng.normal(0, 3, (6, 2, 32, 32)).astype(np.float16)
    lines = report_magnitudes(tmp_path / "report", {"flow": flows, "posed_flow": 2 * flows}, 5.0)
    length = np.linalg.norm(flows.astype(np.float64), axis=1)
    found = json.loads((tmp_path / "report" / "flow_magnitude.json").read_text())
    assert found["clip"] == 5.0
    quartiles = np.quantile(length, [0.25, 0.5, 0.75])
    values = found["flow"]
    assert [values["q1"], values["median"], values["q3"]] == pytest.approx(quartiles, abs=0.02)
    assert values["share_clipped"] == pytest.approx((length > 5).mean())
    assert found["posed_flow"]["q3"] == pytest.approx(2 * quartiles[2], abs=0.03)
    counts, _ = np.histogram(length, values["edges"])
    np.testing.assert_array_equal(values["histogram"], counts)
    assert f"Q3 {values['q3']:.2f}" in lines[0]
    assert f"cuts {100 * (length > 5).mean():.2f} %" in lines[0]


def test_histogram_is_drawn_again_only_for_other_numbers(tmp_path: Path) -> None:
    flows = np.ones((1, 2, 4, 4))
    report_magnitudes(tmp_path, {"flow": flows}, 5.0)
    picture = tmp_path / "flow_magnitude.png"
    first = cv2.imread(str(picture))
    assert first.std() > 5
    picture.write_text("kept")
    report_magnitudes(tmp_path, {"flow": flows}, 5.0)
    assert picture.read_bytes() == b"kept"
    report_magnitudes(tmp_path, {"flow": 2 * flows}, 5.0)
    assert (cv2.imread(str(picture)) != first).any()


def test_some_rows_are_spread_evenly() -> None:
    rows = np.arange(100, 200)
    assert some_of(rows, most=4).tolist() == [100, 125, 150, 175]
    np.testing.assert_array_equal(some_of(rows[:3], most=4), rows[:3])

from __future__ import annotations

import json

import pytest

from benchmarks import pcnn


@pytest.mark.parametrize("measure", [pcnn.measure_forward, pcnn.measure_step])
def test_readings_take_turns(measure):
    result = measure(quick=True)
    json.dumps(result, allow_nan=False)
    assert result["ratio"] == result["details"]["224"]["ratio"] > 0
    for size in ("64", "224"):
        details = result["details"][size]
        assert len(details["fast_ms"]) == len(details["plain_ms"]) == 2
        assert 0 < details["convolution_share"] < 1

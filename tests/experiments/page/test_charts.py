from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from callbacks.figures.style import PALETTE
from experiments.page.charts import COLOURS, curves, leaderboard, reliability, trade
from experiments.page.evidence import Curve


def numbers(svg: str, tag: str, attribute: str) -> list[float]:
    return [float(node.get(attribute, "nan")) for node in ElementTree.fromstring(svg).iter(tag)]


def test_the_leaderboard_places_folds_by_their_values() -> None:
    estimate = {"mean": 0.5, "low": 0.4, "high": 0.6}
    svg = leaderboard([("a & b", estimate, [0.4, 0.5, 0.6]), ("c", None, [])], percent=True)
    dots = numbers(svg, "circle", "cx")
    assert dots[1] - dots[0] == pytest.approx(dots[2] - dots[1], abs=0.11)
    assert dots == sorted(dots)
    assert "a & b" in [node.text for node in ElementTree.fromstring(svg).iter("text")]


def test_no_share_is_above_one() -> None:
    wide = {"mean": 0.9, "low": -0.4, "high": 2.2}
    svg = leaderboard([("a", wide, [0.8, 1.0])], percent=True)
    shown = [node.text for node in ElementTree.fromstring(svg).iter("text")]
    assert shown[0] == "0"
    assert shown[-2] == "100"  # before the name of the row
    assert max(numbers(svg, "line", "x2")) <= 700


def test_a_long_name_has_two_lines_and_a_ninth_method_another_line() -> None:
    name = "Flow-CNN that learned on occluded flows, mouth hidden"
    svg = leaderboard([(name, {"mean": 0.5, "low": 0.4, "high": 0.6}, [0.5])], percent=True)
    lines = [node.text or "" for node in ElementTree.fromstring(svg).iter("text")][-2:]
    assert " ".join(lines) == name
    assert max(map(len, lines)) < 30
    told = {"a": Curve("x", (0.0, 1.0), (0.0, 1.0), (0.0, 0.0))}
    assert 'class="line c1 again" points' in curves(told, {"a": 9})


def test_equal_values_and_none_at_all() -> None:
    assert leaderboard([("a", None, [])], percent=False) == ""
    flat = {"mean": 1.0, "low": None, "high": None}
    assert all(
        0 < x < 720
        for x in numbers(leaderboard([("a", flat, [1.0])], percent=True), "circle", "cx")
    )


def test_a_curve_rises_as_its_values_do() -> None:
    svg = curves({"a": Curve("val/x", (0.0, 10.0), (0.2, 0.8), (0.1, 0.0))}, {"b": 0, "a": 1})
    line = re.search(r'polyline class="line c1" points="([^"]+)"', svg)
    assert line is not None
    (x0, y0), (x1, y1) = (map(float, pair.split(",")) for pair in line.group(1).split())
    assert x1 > x0
    assert y1 < y0  # upwards on a screen


def test_perfect_confidence_lies_on_the_diagonal() -> None:
    svg = reliability({"a": [(0.25, 0.25, 5), (0.75, 0.75, 5)]}, {"a": 0})
    xs, ys = numbers(svg, "circle", "cx"), numbers(svg, "circle", "cy")
    width, height = 300, 220  # of the chart's inside
    assert (xs[1] - xs[0]) / width == pytest.approx((ys[0] - ys[1]) / height, abs=1e-3)


def test_ten_times_the_time_is_a_decade_to_the_right() -> None:
    points = {"a": (1.0, 0.5), "b": (10.0, 0.7), "c": (100.0, 0.7)}
    svg = trade(points, {"a": 0, "b": 1, "c": 2}, "accuracy", percent=True)
    xs, ys = numbers(svg, "circle", "cx"), numbers(svg, "circle", "cy")
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)
    assert xs[1] > xs[0] + 50
    assert ys[1] == ys[2] < ys[0]
    shown = [node.text for node in ElementTree.fromstring(svg).iter("text")]
    assert {"0.1", "1", "10", "100", "1000", "50", "70"} <= {*shown}
    svg = trade({"a": (3.0, 0.5)}, {"a": 0}, "accuracy", percent=True)
    shown = [node.text for node in ElementTree.fromstring(svg).iter("text")]
    assert shown[-6:-2] == ["1", "2", "5", "10"]
    assert trade({}, {}, "accuracy", percent=True) == ""


def test_the_page_has_the_colours_of_all_pictures() -> None:
    assert COLOURS == PALETTE

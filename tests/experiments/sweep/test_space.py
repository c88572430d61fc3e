from __future__ import annotations

import math
import re
from typing import Any

import pytest

from experiments.command.errors import CommandError
from experiments.sweep.space import Choice, Parameter, Range, corners, grid, read_parameter


@pytest.mark.parametrize(
    ("told", "parameter"),
    [
        ({"value": 3}, Choice(("3",))),
        ({"values": [1, 1.5, True, None, "a", [1, 2], 1]}, Choice(
            ("1", "1.5", "true", "null", "a", "[1, 2]")
        )),
        ({"distribution": "categorical", "values": ["a"]}, Choice(("a",))),
        ({"min": 1, "max": 4}, Range(1, 4, whole=True)),
        ({"min": 1, "max": 4.0}, Range(1, 4.0)),
        ({"distribution": "int_uniform", "min": 1, "max": 4}, Range(1, 4, whole=True)),
        ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.1}, Range(0, 1, quantum=0.1)),
        (
            {"distribution": "log_uniform_values", "min": 1e-3, "max": 1.0},
            Range(1e-3, 1.0, log=True),
        ),
        # Its limits are exponents.
        (
            {"distribution": "log_uniform", "min": 0, "max": 2},
            Range(1.0, math.exp(2), log=True),
        ),
        (
            {"distribution": "q_log_uniform_values", "min": 8, "max": 64, "q": 8},
            Range(8, 64, log=True, quantum=8),
        ),
    ],
)  # fmt: skip
def test_the_schema_of_wandb(told: dict[str, Any], parameter: Parameter) -> None:
    assert read_parameter("x", told) == parameter


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (3, "x must be a section such as {values: [1, 2]} or {min: 0.0, max: 1.0}"),
        ({"distribution": "normal", "mu": 0, "sigma": 1}, "x has the distribution normal, which"),
        ({"values": []}, "x must have a list of values, but has []"),
        ({"values": [1, 2], "probabilities": [0.1, 0.9]}, "x has probabilities; categorical"),
        ({"min": 1}, "x lacks max; uniform takes max, min"),
        ({"parameters": {"lr": {"value": 1}}}, "x lacks max; uniform takes max, min"),
        ({"min": "1e-5", "max": 1.0}, "x has '1e-5' for min, which must be a number: YAML takes"),
        ({"min": 2.0, "max": 1.0}, "x needs min below max, but has 2.0 and 1.0"),
        ({"min": 0.0, "max": math.inf}, "x needs min below max, but has 0.0 and inf"),
        ({"distribution": "log_uniform", "min": 0, "max": 1000}, "x needs min below max"),
        ({"distribution": "log_uniform_values", "min": 0, "max": 1}, "x needs a min above 0"),
        ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0}, "x needs a q above 0"),
        ({"distribution": "int_uniform", "min": 0.5, "max": 1}, "x draws whole numbers"),
    ],
)
def test_what_cannot_be_drawn_is_refused(told: Any, sentence: str) -> None:
    with pytest.raises(CommandError, match=f"^{re.escape(sentence)}"):
        read_parameter("x", told)


def test_numbers_as_a_command_line_has_them() -> None:
    assert Range(0, 1).text(1 / 3) == "0.333333"
    assert Range(0, 1, log=True).text(1.23456789e-5) == "1.23457e-05"
    assert Range(1, 4, whole=True).text(3) == "3"
    assert Range(0, 1, quantum=0.1).text(0.32) == "0.3"
    assert Range(8, 64, quantum=8).text(29.9) == "32"


def test_the_edges_of_a_space_are_checked() -> None:
    space: dict[str, Parameter] = {"a": Choice(("x", "y")), "b": Range(1, 3, whole=True)}
    assert list(corners(space)) == [
        {"a": "x", "b": "1"},
        {"a": "y", "b": "1"},
        {"a": "x", "b": "3"},
    ]


def test_a_grid_is_all_settings() -> None:
    space: dict[str, Parameter] = {"a": Choice(("x", "y")), "b": Choice(("1", "2"))}
    assert len({tuple(setting.items()) for setting in grid(space)}) == 4

import numpy as np
import pytest

from datamodules.labels import Expression
from datamodules.synthetic.action_units import intensities
from datamodules.synthetic.difficulty import Difficulty
from datamodules.synthetic.expressions import PROTOTYPES, mix, sample_apex, sample_rest

EASY = Difficulty(weakest=1.0, strongest=1.0, unit_spread=0.0, missing=0.0, extra=0.0)


def test_each_expression_has_drawable_prototypes() -> None:
    assert set(PROTOTYPES) == set(Expression)
    for variants in PROTOTYPES.values():
        for units in variants:
            intensities(units)


def test_prototypes_hold_their_marks() -> None:
    marks = {
        Expression.HAPPINESS: 12,
        Expression.SURPRISE: 2,
        Expression.SADNESS: 1,
        Expression.ANGER: 4,
        Expression.DISGUST: 9,
        Expression.FEAR: 20,
    }
    for expression, unit in marks.items():
        assert all(unit in units for units in PROTOTYPES[expression])


@pytest.mark.parametrize("expression", list(Expression))
def test_easy_takes_are_the_prototypes(expression: Expression) -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        assert sample_apex(expression, rng, EASY) in PROTOTYPES[expression]


@pytest.mark.parametrize("expression", list(Expression))
def test_takes_vary_within_bounds(expression: Expression) -> None:
    rng = np.random.default_rng(1)
    largest = max(len(units) for units in PROTOTYPES[expression])
    smallest = min(len(units) for units in PROTOTYPES[expression])
    takes = [sample_apex(expression, rng, Difficulty(), 1.2) for _ in range(100)]
    for units in takes:
        intensities(units)
        assert smallest - 1 <= len(units) <= largest + 1
    if expression is not Expression.NEUTRAL:
        assert len({len(units) for units in takes}) > 1, "units are missed or added"


def test_neutral_shows_nothing() -> None:
    rng = np.random.default_rng(2)
    assert all(sample_apex(Expression.NEUTRAL, rng, Difficulty()) == {} for _ in range(30))


def test_intensity_is_drawn_between_the_bounds() -> None:
    rng = np.random.default_rng(3)
    half = Difficulty(weakest=0.5, strongest=0.5, unit_spread=0.0, missing=0.0, extra=0.0)
    units = sample_apex(Expression.CONTEMPT, rng, half)
    assert sorted(units.values()) == [pytest.approx(0.325), pytest.approx(0.425)]


def test_rest_is_small() -> None:
    rng = np.random.default_rng(4)
    values = [v for _ in range(50) for v in sample_rest(rng, Difficulty()).values()]
    assert 0 < np.mean(values) < 0.1
    assert max(values) <= 0.3


def test_mix_adds_and_clips() -> None:
    total = mix([(0.5, {1: 0.4, "L12": 1.0}), (1.0, {1: 0.1, 4: 0.9}), (1.0, {4: 0.9})])
    assert total == {1: pytest.approx(0.3), "L12": 0.5, 4: 1.0}

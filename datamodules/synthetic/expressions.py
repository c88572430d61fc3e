"""Expressions as action units: prototypes and how single takes depart from them."""

from __future__ import annotations

import numpy as np

from datamodules.labels import Expression
from datamodules.synthetic.difficulty import Difficulty

Prototype = dict[int | str, float]

PROTOTYPES: dict[Expression, tuple[Prototype, ...]] = {
    Expression.NEUTRAL: ({},),
    Expression.HAPPINESS: (
        {6: 0.75, 12: 0.95, 25: 0.75},
        {6: 0.55, 12: 0.85},
        {6: 0.85, 12: 1.0, 25: 0.9, 26: 0.4},
    ),
    Expression.SURPRISE: (
        {1: 0.9, 2: 0.9, 5: 0.8, 25: 0.8, 26: 0.8},
        {1: 0.9, 2: 0.95, 5: 0.9, 25: 1.0, 27: 0.75},
    ),
    Expression.SADNESS: (
        {1: 0.85, 4: 0.55, 15: 0.85, 17: 0.55},
        {1: 0.9, 4: 0.7, 15: 0.75},
        {1: 0.6, 4: 0.5, 15: 0.9, 17: 0.9},
    ),
    Expression.ANGER: (
        {4: 0.95, 5: 0.55, 7: 0.5, 23: 0.8, 24: 0.6},
        {4: 1.0, 7: 0.85, 23: 0.7, 24: 0.8, 17: 0.4},
    ),
    Expression.DISGUST: (
        {9: 0.95, 10: 0.7, 17: 0.5},
        {9: 0.85, 10: 0.8, 15: 0.45, 4: 0.3},
        {9: 0.7, 10: 0.95, 16: 0.5, 25: 0.5},
    ),
    Expression.FEAR: (
        {1: 0.9, 2: 0.55, 4: 0.5, 5: 0.9, 20: 0.85, 25: 0.7},
        {1: 0.85, 2: 0.65, 5: 0.9, 20: 0.8, 25: 0.8, 26: 0.55},
    ),
    Expression.CONTEMPT: (
        {"L12": 0.65, "L14": 0.85},
        {"R12": 0.65, "R14": 0.85},
    ),
}
"""Units of each expression at full strength, with the variants that people show.

Reference: P. Ekman, W. Friesen, J. Hager, "Facial Action Coding System: Investigator's guide",
2002, table 10-2; P. Lucey et al., "The Extended Cohn-Kanade Dataset (CK+)", CVPR Workshops 2010,
table 1.
"""

_STRAY_UNITS = (1, 2, 4, 5, 7, 12, 15, 17, 20, 24, 25)
_RESTLESS_UNITS = (1, 2, 4, 7, 12, 15, 17, 24, 25)


def sample_apex(
    expression: Expression,
    rng: np.random.Generator,
    difficulty: Difficulty,
    expressiveness: float = 1.0,
) -> dict[int | str, float]:
    """Action units of one take at its apex.

    Args:
        expression: What is shown.
        rng: Source of chance.
        difficulty: How far takes depart from the prototypes.
        expressiveness: Factor of the person.

    Returns:
        Unit to intensity in [0, 1].
    """
    variants = PROTOTYPES[expression]
    prototype = variants[int(rng.integers(len(variants)))]
    common = rng.uniform(difficulty.weakest, difficulty.strongest) * expressiveness
    units: dict[int | str, float] = {}
    may_miss = len(prototype) > 2
    for unit, weight in prototype.items():
        if may_miss and rng.random() < difficulty.missing:
            may_miss = False  # one at most: the rest still shows the expression
            continue
        spread = 1.0 + difficulty.unit_spread * rng.standard_normal()
        units[unit] = float(np.clip(weight * common * spread, 0.05, 1.0))
    if prototype and rng.random() < difficulty.extra:
        stray = int(rng.choice(_STRAY_UNITS))
        units.setdefault(stray, float(rng.uniform(0.1, 0.45)))
    return units


def sample_rest(rng: np.random.Generator, difficulty: Difficulty) -> dict[int | str, float]:
    """Small intensities of a face that shows nothing.

    Args:
        rng: Source of chance.
        difficulty: Gives `restlessness`.

    Returns:
        Unit to intensity.
    """
    deviations = np.abs(rng.normal(0.0, difficulty.restlessness, len(_RESTLESS_UNITS)))
    return {
        unit: float(min(value, 0.3))
        for unit, value in zip(_RESTLESS_UNITS, deviations, strict=True)
    }


def mix(
    parts: list[tuple[float, dict[int | str, float]]],
) -> dict[int | str, float]:
    """Weighted sum of action units, clipped to [0, 1].

    Args:
        parts: Weight and units of each part.
    """
    total: dict[int | str, float] = {}
    for weight, units in parts:
        for unit, value in units.items():
            total[unit] = total.get(unit, 0.0) + weight * value
    return {unit: float(np.clip(value, 0.0, 1.0)) for unit, value in total.items()}

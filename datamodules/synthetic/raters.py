"""Ten raters who look at a drawn face and do not agree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datamodules.labels import Expression

RATERS = 10
UNKNOWN, NO_FACE = len(Expression), len(Expression) + 1
"""Columns of votes behind those of the expressions."""

# What an expression is most often taken for.
_TAKEN_FOR: dict[Expression, tuple[Expression, ...]] = {
    Expression.NEUTRAL: (Expression.SADNESS, Expression.ANGER),
    Expression.HAPPINESS: (Expression.NEUTRAL, Expression.SURPRISE),
    Expression.SURPRISE: (Expression.FEAR, Expression.HAPPINESS),
    Expression.SADNESS: (Expression.NEUTRAL, Expression.FEAR),
    Expression.ANGER: (Expression.DISGUST, Expression.NEUTRAL),
    Expression.DISGUST: (Expression.ANGER, Expression.SADNESS),
    Expression.FEAR: (Expression.SURPRISE, Expression.SADNESS),
    Expression.CONTEMPT: (Expression.NEUTRAL, Expression.HAPPINESS),
}
_CLEAREST, _VAGUEST = 0.98, 0.45  # share of raters who see what is meant
# How the others vote: first and second confusion, any expression, unknown, no face.
_OTHERS = (0.50, 0.22, 0.16, 0.09, 0.03)


def rate(expression: Expression, rng: np.random.Generator) -> NDArray[np.int64]:
    """Have ten raters vote on a face.

    Args:
        expression: What the face shows.
        rng: Source of chance.

    Returns:
        int64 [10], votes for the eight expressions in canonical order, for "unknown" and for
        "NF"; they sum to 10.
    """
    clear = float(rng.uniform(_VAGUEST, _CLEAREST))
    first, second, anything, unknown, no_face = ((1 - clear) * share for share in _OTHERS)
    chances = np.full(len(Expression) + 2, 0.0)
    chances[: len(Expression)] = anything / len(Expression)
    chances[expression] += clear
    chances[_TAKEN_FOR[expression][0]] += first
    chances[_TAKEN_FOR[expression][1]] += second
    chances[UNKNOWN], chances[NO_FACE] = unknown, no_face
    return rng.multinomial(RATERS, chances / chances.sum())

"""Canonical expressions, each data set's codes for them, and the class indices of a run.

The canonical order is the column order of FERPlus, so that vote columns need no permutation.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from enum import IntEnum
from pathlib import Path
from typing import TypeVar

from datamodules.errors import DatasetError, UserError

_Code = TypeVar("_Code", int, str)


class Expression(IntEnum):
    """The eight expressions in canonical order."""

    NEUTRAL = 0
    HAPPINESS = 1
    SURPRISE = 2
    SADNESS = 3
    ANGER = 4
    DISGUST = 5
    FEAR = 6
    CONTEMPT = 7


_ALL = tuple(Expression)

CLASS_SETS: dict[str, tuple[Expression, ...]] = {
    "basic7": _ALL[:7],
    "basic6": _ALL[1:7],
    "all8": _ALL,
    # CK+ calls this its seven emotions: contempt without neutral, not the usual seven.
    "ck7": _ALL[1:],
}
"""The expressions a run may classify, by the name of the set, in the order of their classes."""

ACTION_UNITS: tuple[int, ...] = (1, 2, 4, 5, 6, 7, 9, 12, 15, 17, 23, 24, 25, 27)
"""Action Units that are told apart, by their numbers in FACS, in the order of their columns."""

EXPRESSION_UNITS: dict[Expression, frozenset[int]] = {
    Expression.NEUTRAL: frozenset(),
    Expression.HAPPINESS: frozenset({6, 12, 25}),
    Expression.SURPRISE: frozenset({1, 2, 5, 25, 27}),
    Expression.SADNESS: frozenset({1, 4, 15, 17}),
    Expression.ANGER: frozenset({4, 5, 7, 17, 23, 24}),
    Expression.DISGUST: frozenset({9, 15, 17, 25}),
    Expression.FEAR: frozenset({1, 2, 5, 15, 25}),
    Expression.CONTEMPT: frozenset({12}),
}
"""Action Units that stand for an expression where nobody coded them.

Reference:
    DCGAN and SVM, Table VI. It has no row for neutral, which moves no unit.
"""


EXPRESSION_WORDS: dict[str, Expression] = {
    word: expression
    for expression, words in {
        Expression.NEUTRAL: "neutral neutrality normal",
        Expression.HAPPINESS: "happiness happy joy",
        Expression.SURPRISE: "surprise surprised",
        Expression.SADNESS: "sadness sad",
        Expression.ANGER: "anger angry",
        Expression.DISGUST: "disgust disgusted",
        Expression.FEAR: "fear fearful afraid scared",
        Expression.CONTEMPT: "contempt contemptuous",
    }.items()
    for word in words.split()
}
"""Words by which people name expressions, lower case: names of folders, of files, in lists."""


def _codes(*codes: _Code | None) -> dict[_Code, Expression]:
    """Pair codes given in canonical order (None: the data set lacks it) with expressions."""
    pairs = zip(codes, Expression, strict=True)
    return {code: expression for code, expression in pairs if code is not None}


# One row a data set; the columns are neutral, happiness, surprise, sadness, anger, disgust, fear,
# contempt. CK+ documents 0 (neutral), though its label files hold 1 to 7 only.
CKPLUS_CODES: dict[int, Expression] = _codes(0, 5, 7, 6, 1, 3, 4, 2)
FER2013_CODES: dict[int, Expression] = _codes(6, 3, 5, 4, 0, 1, 2, None)
FERPLUS_CODES: dict[str, Expression] = _codes(
    "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"
)
RAFDB_CODES: dict[int, Expression] = _codes(7, 4, 1, 5, 6, 3, 2, None)
JAFFE_CODES: dict[str, Expression] = _codes("NE", "HA", "SU", "SA", "AN", "DI", "FE", None)
# KDEF writes fear as AF, afraid.
KDEF_CODES: dict[str, Expression] = _codes("NE", "HA", "SU", "SA", "AN", "DI", "AF", None)
RAFD_CODES: dict[str, Expression] = _codes(
    "neutral", "happy", "surprised", "sad", "angry", "disgusted", "fearful", "contemptuous"
)
OULU_CODES: dict[str, Expression] = _codes(
    None, "Happiness", "Surprise", "Sadness", "Anger", "Disgust", "Fear", None
)
SFEW_CODES: dict[str, Expression] = _codes(
    "Neutral", "Happy", "Surprise", "Sad", "Angry", "Disgust", "Fear", None
)
MMI_CODES: dict[int, Expression] = _codes(None, 4, 6, 5, 1, 2, 3, None)
# The group of Lille (SNaP-2DFe, and its copies of CK+, Oulu-CASIA and ADFES; not of MMI).
LILLE_CODES: dict[int, Expression] = _codes(0, 1, 3, 6, 4, 5, 2, None)


def _class_set(expressions: str) -> tuple[Expression, ...]:
    if expressions not in CLASS_SETS:
        raise UserError(
            f"expressions must be one of {', '.join(CLASS_SETS)}, but is {expressions!r}."
        )
    return CLASS_SETS[expressions]


def class_names(expressions: str) -> tuple[str, ...]:
    """Name the classes of a set, lower case, in the order of their indices.

    Args:
        expressions: Name of the set: basic7, basic6, all8 or ck7.

    Raises:
        UserError: If there is no such set.
    """
    return tuple(expression.name.lower() for expression in _class_set(expressions))


def class_index(expression: Expression, expressions: str) -> int | None:
    """Map an expression to its class index from 0; None where the set leaves it out.

    Raises:
        UserError: If there is no such set.
    """
    classes = _class_set(expressions)
    return classes.index(expression) if expression in classes else None


def whole_number(text: str) -> int | None:
    """Read a whole number, `3` or as CK+ writes it `3.0000000e+00`; None for anything else."""
    if len(text) <= 18 and text.isascii() and text.isdigit():
        return int(text)  # as nearly all are, and a table of votes has 350,000
    if not re.fullmatch(r"[+-]?\d{1,18}(\.\d*)?(e\+?\d{1,2})?", text.strip(), re.ASCII | re.I):
        return None
    value = float(text)
    return int(value) if value.is_integer() else None


def refuse_shift(where: str | Path, found: Iterable[int | None], codes: Collection[int]) -> None:
    """Refuse labels that pass one end of a data set's codes and never come to the other.

    They are counted from another number: whoever skipped those beyond the end would take all
    others for wrong expressions.

    Args:
        where: Where they are from.
        found: All labels there; None for what is no number.
        codes: The data set's codes.

    Raises:
        DatasetError: If they are shifted.
    """
    labels = {label for label in found if label is not None}
    first, last = min(codes), max(codes)
    low, high = min(labels, default=first), max(labels, default=last)
    beyond = (low < first and last not in labels) or (high > last and first not in labels)
    if beyond and high - low <= last - first:
        raise DatasetError(
            f"{where} has the labels {low} to {high}, but expected are {first} to {last}: all seem "
            "to be counted from another number, so each would stand for a wrong expression. "
            f"Write them as {first} to {last}."
        )

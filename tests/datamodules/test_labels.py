from collections.abc import Sequence

import pytest

from datamodules import labels
from datamodules.errors import DatasetError
from datamodules.labels import (
    ACTION_UNITS,
    EXPRESSION_UNITS,
    Expression,
    class_index,
    class_names,
    refuse_shift,
    whole_number,
)

# The published tables, one line a canonical expression; "-" where a data set has none.
COLUMNS = "CKPLUS FER2013 FERPLUS RAFDB JAFFE KDEF RAFD OULU SFEW MMI LILLE"
TABLE = """
0 6 neutral   7 NE NE neutral      -         Neutral  - 0
5 3 happiness 4 HA HA happy        Happiness Happy    4 1
7 5 surprise  1 SU SU surprised    Surprise  Surprise 6 3
6 4 sadness   5 SA SA sad          Sadness   Sad      5 6
1 0 anger     6 AN AN angry        Anger     Angry    1 4
3 1 disgust   3 DI DI disgusted    Disgust   Disgust  2 5
4 2 fear      2 FE AF fearful      Fear      Fear     3 2
2 - contempt  - -  -  contemptuous -         -        - -
"""


@pytest.mark.parametrize(("column", "name"), list(enumerate(COLUMNS.split())))
def test_codes_follow_the_published_tables(column: int, name: str) -> None:
    cells = [line.split()[column] for line in TABLE.strip().splitlines()]
    expected = {
        int(cell) if cell.isdigit() else cell: Expression(number)
        for number, cell in enumerate(cells)
        if cell != "-"
    }
    assert getattr(labels, f"{name}_CODES") == expected


@pytest.mark.parametrize(
    ("expressions", "names"),
    [
        ("basic7", "neutral happiness surprise sadness anger disgust fear"),
        ("basic6", "happiness surprise sadness anger disgust fear"),
        ("all8", "neutral happiness surprise sadness anger disgust fear contempt"),
        ("ck7", "happiness surprise sadness anger disgust fear contempt"),
    ],
)
def test_class_index_is_the_place_in_class_names(expressions: str, names: str) -> None:
    assert class_names(expressions) == tuple(names.split())
    indices = [class_index(expression, expressions) for expression in Expression]
    assert [index for index in indices if index is not None] == list(range(len(names.split())))


def test_what_a_set_leaves_out_has_no_index() -> None:
    assert class_index(Expression.NEUTRAL, "basic6") is None
    assert class_index(Expression.CONTEMPT, "basic7") is None
    assert class_index(Expression.NEUTRAL, "ck7") is None


def test_unknown_set_names_the_sets() -> None:
    with pytest.raises(ValueError, match=r"basic7, basic6, all8, ck7, but is 'seven'"):
        class_names("seven")


def test_units_of_expressions_are_units_that_are_told_apart() -> None:
    assert set(EXPRESSION_UNITS) == set(Expression)
    assert set().union(*EXPRESSION_UNITS.values()) == set(ACTION_UNITS)
    assert len(ACTION_UNITS) == 14
    assert list(ACTION_UNITS) == sorted(ACTION_UNITS)
    # Table VI, read row by row.
    sizes = {e.name.lower(): sorted(units) for e, units in EXPRESSION_UNITS.items()}
    assert sizes == {
        "neutral": [],
        "happiness": [6, 12, 25],
        "sadness": [1, 4, 15, 17],
        "fear": [1, 2, 5, 15, 25],
        "surprise": [1, 2, 5, 25, 27],
        "anger": [4, 5, 7, 17, 23, 24],
        "disgust": [9, 15, 17, 25],
        "contempt": [12],
    }


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("3", 3),
        ("   3.0000000e+00\n", 3),
        ("-1", -1),
        ("3.5", None),
        ("3 4", None),
        ("inf", None),
        ("nan", None),
        ("\u00b2", None),
        ("", None),
        ("9" * 5_000, None),
    ],
)
def test_whole_numbers(text: str, number: int | None) -> None:
    assert whole_number(text) == number


@pytest.mark.parametrize("found", [range(7), [0, 3], [2, 8], [-1, 2]])
def test_labels_counted_from_another_number_are_refused(found: Sequence[int]) -> None:
    expected = rf"labels {min(found)} to {max(found)}, but expected are 1 to 7"
    with pytest.raises(DatasetError, match=expected):
        refuse_shift("a list", found, range(1, 8))


@pytest.mark.parametrize("found", [[], [1, 7], [0, 7], [1, 8], [1, 3, 99], [None, 2]])
def test_single_wrong_labels_are_no_shift(found: Sequence[int | None]) -> None:
    refuse_shift("a list", found, range(1, 8))

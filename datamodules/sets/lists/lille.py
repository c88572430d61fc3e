"""Label lists in the form of the Lille group: `subject;sequence;emotion`, one sequence a line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from datamodules.errors import DatasetError, UserError
from datamodules.files import Problems, natural_key, read_lines
from datamodules.labels import EXPRESSION_WORDS, LILLE_CODES, Expression, refuse_shift, whole_number

_HEADERS = frozenset({"subject", "sub_id"})


class Row(NamedTuple):
    """One line of a list.

    Attributes:
        subject: Name of the person.
        sequence: Name of the sequence, with the zeros that a spreadsheet strips.
        value: The third cell: an emotion code, or a movement.
        line: Number of the line, from 1.
    """

    subject: str
    sequence: str
    value: str
    line: int


def key(subject: str, sequence: str) -> tuple[str, str]:
    """Bring names from folders and from spreadsheets into one form, to join them.

    Args:
        subject: Name of the person.
        sequence: Name of the sequence.

    Returns:
        Both names, lower case, and without leading zeros where they are numbers.
    """
    first, second = (
        str(int(name)) if name.isdigit() else name.lower() for name in (subject, sequence)
    )
    return first, second


def read_rows(path: Path) -> list[Row]:
    """Read a list.

    A header, a `;` at the end of each line, commas in place of semicolons, a byte order mark,
    empty lines and a missing last newline are all accepted.

    Args:
        path: The CSV file.

    Returns:
        Its rows, in order.

    Raises:
        DatasetError: If the file cannot be read, has no rows or a line has fewer than three cells.
    """
    rows = []
    for number, line in read_lines(path):
        cells = [cell.strip() for cell in line.split(";" if ";" in line else ",")]
        if not any(cells) or cells[0].lower() in _HEADERS:
            continue
        if len(cells) < 3 or not all(cells[:3]):
            raise DatasetError(
                f"Line {number} of {path} is {line!r}; expected a subject, a sequence and "
                "a value, separated by semicolons."
            )
        subject, sequence, value = cells[:3]
        padded = sequence.zfill(3) if sequence.isdigit() else sequence
        rows.append(Row(subject, padded, value, number))
    if not rows:
        raise DatasetError(f"The list {path} has no rows; expected subject;sequence;emotion.")
    return rows


class Label(NamedTuple):
    """A label of a list, where it stands, and the name of its sequence there."""

    expression: Expression
    where: str
    name: str


def read_labels(
    path: Path, codes: Mapping[str, Expression], problems: Problems, *, unused: str | None = None
) -> dict[tuple[str, str], Label]:
    """Read a list of labels by `key`.

    Args:
        path: The list.
        codes: Expression of each code.
        problems: Rows of other codes and rows that contradict an earlier one are added to it.
        unused: Code of rows that are left out; None for none.

    Raises:
        DatasetError: As `read_rows`, or if all codes are shifted.
    """
    rows = read_rows(path)
    numbers = [n for code in codes if (n := whole_number(code)) is not None]
    if codes and len(numbers) == len(codes):
        refuse_shift(path, (whole_number(r.value) for r in rows if r.value != unused), numbers)
    first: dict[tuple[str, str], Row] = {}
    labels = {}
    for row in rows:
        where = f"{path} line {row.line}"
        k = key(row.subject, row.sequence)
        if row.value not in codes and row.value != unused:
            known = ", ".join(sorted(codes, key=natural_key))
            problems.append((where, f"label {row.value!r} is none of {known}; set data.label_map"))
        elif first.setdefault(k, row).value != row.value:
            problems.append((where, f"contradicts line {first[k].line}"))
        elif row.value != unused:
            labels[k] = Label(codes[row.value], where, f"{row.subject}/{row.sequence}")
    return labels


def expression_codes(label_map: Mapping[str, str] | None) -> dict[str, Expression]:
    """Give the codes by which a list names its expressions.

    Args:
        label_map: Name of the expression for each code, e.g. `{"0": "happiness"}`; None takes
            the codes of the Lille group (0 neutral, 1 happiness, 2 fear, 3 surprise, 4 anger,
            5 disgust, 6 sadness).

    Returns:
        The expression for each code.

    Raises:
        UserError: If an expression is unknown.
    """
    if label_map is None:
        return {str(code): expression for code, expression in LILLE_CODES.items()}
    codes = {}
    for code, name in label_map.items():
        if name.lower() not in EXPRESSION_WORDS:
            known = ", ".join(expression.name.lower() for expression in Expression)
            raise UserError(f"label_map names {name!r} for code {code}; expected one of {known}.")
        codes[str(code)] = EXPRESSION_WORDS[name.lower()]
    return codes

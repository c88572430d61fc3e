"""Protocol files: which fold tests each sample."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from datamodules.errors import DatasetError
from datamodules.store.replacing import replacing


class ProtocolRow(NamedTuple):
    """A row of a protocol: label of a sample, and the fold from 0 in which it is tested."""

    subject: str
    sequence: str  # its name, unique to the subject
    label: str
    fold: int


def read_protocol(path: Path) -> list[ProtocolRow]:
    """Read a protocol file.

    A line reads `sub_id;seq_id;label;Fold 1;...;Fold N`, where 0 means that the sequence trains
    in that fold and anything else that it is tested. A header, a `;` at the end of each line, a
    byte order mark and a missing last newline are all accepted, and zeros that a spreadsheet has
    stripped from a sequence's number are put back.

    Raises:
        DatasetError: If the file cannot be read, or does not test each sequence exactly once.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"The protocol {path} cannot be read: {error}.") from error
    keys: dict[tuple[str, str], tuple[str, int]] = {}
    width = 0
    for number, line in enumerate(lines, start=1):
        cells = [cell.strip() for cell in line.strip().removesuffix(";").split(";")]
        if cells == [""] or cells[0].lower() in ("subject", "sub_id"):
            continue
        where = f"Line {number} of {path}"
        width = width or len(cells)
        if len(cells) != width or width < 4:
            raise DatasetError(
                f"{where} has {len(cells)} cells; expected a subject, a sequence, a label and a "
                "cell for each fold, the same number on all lines."
            )
        subject, sequence, label, *marks = cells
        tested = [fold for fold, mark in enumerate(marks) if mark != "0"]
        if len(tested) != 1:
            raise DatasetError(
                f"{where} tests its sequence in {len(tested)} folds; expected exactly one cell "
                "that is not 0."
            )
        key = (subject, sequence.zfill(3))
        if key in keys:
            raise DatasetError(f"{where} repeats the sequence {'/'.join(key)}.")
        keys[key] = (label, tested[0])
    if not keys:
        raise DatasetError(f"The protocol {path} has no sequences.")
    return [ProtocolRow(*key, *value) for key, value in keys.items()]


def write_protocol(path: Path, rows: Sequence[ProtocolRow]) -> None:
    """Write a protocol file that `read_protocol` and the published code read."""
    folds = max(row.fold for row in rows) + 1
    header = ["sub_id", "seq_id", "label", *(f"Fold {fold + 1}" for fold in range(folds))]
    lines = [";".join(header)]
    for subject, sequence, label, tested in rows:
        marks = ("1" if fold == tested else "0" for fold in range(folds))
        lines.append(";".join([subject, sequence, label, *marks]))
    with replacing(path) as aside:
        aside.write_text("\n".join(lines) + "\n", "utf-8")


def folds_hash(rows: Sequence[ProtocolRow]) -> str:
    """Fingerprint the assignment of samples to folds, whatever their order; SHA-256."""
    lines = sorted(";".join(map(str, row)) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()

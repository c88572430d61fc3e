"""Files that write an assignment to folds down, in the form of the public protocols."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import DatasetError
from datamodules.store.replacing import replacing


@dataclass(frozen=True)
class Protocol:
    """The fold in which each sample is tested.

    Attributes:
        subjects: Person of each sample.
        sequences: Name of each sample, unique to its subject.
        labels: Label of each sample, as its data set writes it.
        fold_of: int64 [N], fold of each sample from 0.
    """

    subjects: tuple[str, ...]
    sequences: tuple[str, ...]
    labels: tuple[str, ...]
    fold_of: NDArray[np.int64]

    def rows(self) -> list[tuple[str, str, str, int]]:
        """List subject, sequence, label and fold of each sample."""
        columns = (self.subjects, self.sequences, self.labels, self.fold_of.tolist())
        return list(zip(*columns, strict=True))


def read_protocol(path: Path) -> Protocol:
    """Read a protocol file.

    A line reads `sub_id;seq_id;label;Fold 1;...;Fold N`, where 0 means that the sequence trains
    in that fold and anything else that it is tested. A header, a `;` at the end of each line, a
    byte order mark and a missing last newline are all accepted, and zeros that a spreadsheet has
    stripped from a sequence's number are put back.

    Args:
        path: The CSV file.

    Returns:
        The protocol.

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
    return Protocol(
        subjects=tuple(subject for subject, _ in keys),
        sequences=tuple(sequence for _, sequence in keys),
        labels=tuple(label for label, _ in keys.values()),
        fold_of=np.array([fold for _, fold in keys.values()], np.int64),
    )


def write_protocol(path: Path, protocol: Protocol) -> None:
    """Write a protocol file that `read_protocol` and the published code read.

    Args:
        path: The CSV file; it is replaced as a whole or not at all.
        protocol: The protocol.
    """
    folds = int(protocol.fold_of.max()) + 1
    header = ["sub_id", "seq_id", "label", *(f"Fold {fold + 1}" for fold in range(folds))]
    lines = [";".join(header)]
    for subject, sequence, label, tested in protocol.rows():
        marks = ("1" if fold == tested else "0" for fold in range(folds))
        lines.append(";".join([subject, sequence, label, *marks]))
    with replacing(path) as aside:
        aside.write_text("\n".join(lines) + "\n", "utf-8")


def folds_hash(protocol: Protocol) -> str:
    """Fingerprint the assignment of samples to folds, whatever their order.

    Args:
        protocol: The protocol.

    Returns:
        SHA-256 in hexadecimal.
    """
    rows = sorted(";".join(map(str, row)) for row in protocol.rows())
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()

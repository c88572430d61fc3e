"""Faces that `lightning generate` made: a folder a class, and a list of what each was made of.

They train, and are in no validation or test part: the person of a face and the person of a motion
are in each, so that no fold could keep people apart, and a score on them would be one of the warp.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from datamodules.errors import DatasetError, UserError
from datamodules.files import is_synthetic, read_table
from datamodules.index.index import Index
from datamodules.labels import EXPRESSION_WORDS

LIST = "generated.csv"
"""File in the root of a folder of generated faces, by which it is known."""
_PERSON = "generated"  # a face of one person with the motion of another is nobody's


class GeneratedFace(NamedTuple):
    """A row of the list: a picture, and what it was made of.

    Attributes:
        file: Its path in the folder, e.g. ``fear/anna__S005_001.png``.
        expression: Name of its class.
        face: The neutral picture, by its path in the folder of faces.
        source: Data set of the motion.
        person: Person of the motion; empty where nobody knows.
        sequence: Sequence of the motion.
        gain: By what the motion was multiplied.
        made_by: Name of the method that drew on the moved face; ``warp`` where none did.
        checkpoint: Its checkpoint; empty for none.
        commit: The code's; empty where it is not known.
        seed: Of the choice of faces and motions.
        face_content: Content of the neutral picture, see `leak_guard.fingerprint`.
        motion_content: Content of the sequence.
    """

    file: str
    expression: str
    face: str
    source: str
    person: str
    sequence: str
    gain: float
    made_by: str
    checkpoint: str
    commit: str
    seed: int
    face_content: int
    motion_content: int


def write_list(folder: Path, faces: Sequence[GeneratedFace]) -> None:
    """Write the list into the folder of generated faces."""
    with (folder / LIST).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerows([GeneratedFace._fields, *faces])


def is_generated(folder: Path) -> bool:
    """Tell whether a folder is one of generated faces."""
    return (folder / LIST).is_file()


def read_generated(folder: Path) -> list[GeneratedFace]:
    """Read the faces of a folder that still lie there; bad ones may have been deleted.

    Raises:
        DatasetError: If it is no folder of generated faces, or holds none.
    """
    if not is_generated(folder):
        raise DatasetError(
            f"{folder} holds no {LIST}, so nobody knows what its faces were made of: give a folder "
            "that lightning generate wrote."
        )
    rows = read_table(folder / LIST)
    _, header = next(rows, (1, []))
    if header != [*GeneratedFace._fields]:
        raise DatasetError(
            f"{folder / LIST} has the columns {', '.join(header) or 'of no list'}; expected "
            f"{', '.join(GeneratedFace._fields)}, as lightning generate writes them."
        )
    faces = [_read_row(folder, line, cells) for line, cells in rows]
    if there := [face for face in faces if (folder / face.file).is_file()]:
        return there
    raise DatasetError(f"{folder} holds none of the {len(faces)} faces of its {LIST}.")


def _read_row(folder: Path, line: int, cells: list[str]) -> GeneratedFace:
    try:
        row = dict(zip(GeneratedFace._fields, cells, strict=True))
        numbers: dict[str, Any] = {
            name: int(row[name]) for name in ("seed", "face_content", "motion_content")
        }
        if row["expression"] not in EXPRESSION_WORDS or Path(row["file"]).is_absolute():
            raise ValueError
        return GeneratedFace(**{**row, "gain": float(row["gain"]), **numbers})
    except ValueError as error:
        raise DatasetError(
            f"Line {line} of {folder / LIST} is not as lightning generate wrote it: make the "
            "folder again."
        ) from error


def expressions_of(faces: Sequence[GeneratedFace]) -> list[int]:
    """Return the canonical expression of each face."""
    return [int(EXPRESSION_WORDS[face.expression]) for face in faces]


def extend(index: Index, folder: Path, faces: Sequence[GeneratedFace], name: str) -> Index:
    """Append generated faces to the samples of a data set.

    Args:
        index: The data set.
        folder: Where the faces lie.
        faces: The faces.
        name: Of the data set.

    Raises:
        UserError: If the data set knows of its samples what nobody knows of these faces.
    """
    if index.files is None or index.boxes is not None or index.action_units is not None:
        raise UserError(
            f"data.extra adds whole pictures with an expression, but {name} as it is asked for "
            "here has pixels, boxes or action units: leave data.extra out."
        )
    count, expressions = len(faces), expressions_of(faces)
    files = [folder / face.file for face in faces]
    counts = Counter(face.expression for face in faces)
    told = ", ".join(f"{expression} {number}" for expression, number in counts.items())
    drawn = " (drawn faces)" if is_synthetic(folder) else ""
    columns: dict[str, Any] = {
        "names": [*index.names, *(f"{_PERSON}/{face.file}" for face in faces)],
        "files": [*index.files, *files],
        "expressions": np.append(index.expressions, expressions).astype(np.int8),
        "subsets": {k: np.append(v, np.zeros(count, np.bool_)) for k, v in index.subsets.items()},
        "notes": [*index.notes, f"{count} generated faces of {folder}{drawn} train too: {told}"],
    }
    for column, values in {
        "frames": [-1] * count,
        "folds": [-1] * count,
        "votes": np.eye(8, dtype=np.float32)[expressions],
    }.items():
        if (own := getattr(index, column)) is not None:
            columns[column] = np.concatenate([own, np.asarray(values, own.dtype)])
    texts: dict[str, Sequence[str | Path]] = {
        "subjects": [_PERSON] * count,
        "splits": ["train"] * count,
        "first_frames": files,
    }
    for column, added in texts.items():
        if (own := getattr(index, column)) is not None:
            columns[column] = [*own, *added]
    return replace(index, **columns)


def made_of(folder: Path, faces: Sequence[GeneratedFace]) -> Mapping[str, Any]:
    """Say of whom faces were made as a checkpoint says on whom it was trained.

    Who trains on them has seen the people of the faces and of the motions; see `LeakGuard.refuse`.
    """
    contents = {content for face in faces for content in (face.face_content, face.motion_content)}
    people = sorted({face.person for face in faces} - {""})
    record = {"source": folder.name, "people": people, "contents": torch.tensor(sorted(contents))}
    return {LIST: {"trained_on": [record]}}

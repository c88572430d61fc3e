"""CK+ as still faces: the last frames of each sequence, and its neutral first one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence as Items
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import BadSample, UserError, missing_root
from datamodules.files import Problems, find_folder, folders, given_path, nested, read_text, visible
from datamodules.index import Index
from datamodules.labels import ACTION_UNITS, EXPRESSION_WORDS, Expression
from datamodules.recordings import Recording, frame_folder
from datamodules.sets.ckplus import read_ckplus
from datamodules.sets.class_folders import ClassFile, class_files
from datamodules.sets.counts import compare_counts
from datamodules.sets.lists.lille import expression_codes
from datamodules.stills.module import FaceDataModule
from datamodules.synthetic import write_ckplus

_FRAME = re.compile(r"S\d{3}_\d{3}_\d{8}\.png", re.IGNORECASE)
_FACS = re.compile(r"(S\d{3})_(\d{3})_\d{8}_facs\.txt", re.IGNORECASE)
_COPY = re.compile(r"(S\d{3})_(\d{3})_(\d{8})\.png", re.IGNORECASE)
_COPY_PUBLISHED = {
    "anger": 135,
    "contempt": 54,
    "disgust": 177,
    "fear": 75,
    "happiness": 207,
    "sadness": 84,
    "surprise": 249,
}
_NO_EXPRESSION = -1


class CKPlusFacesDataModule(FaceDataModule):
    """Still faces of CK+ with their action units, in folds that share nobody.

    327 of the 593 sequences have an expression; all have the units of their last frame.

    The copy CK+48, `CK+48/{anger,...}/S010_004_00000017.png`, is read as well; it has no
    units, and as published no neutral faces. One that was cut into folders train and test is read
    whole: the folds here share nobody.

    Args:
        last_k: How many of the last frames of a sequence show its expression.
        first_as_neutral: Whether the first frame of a labelled sequence is a neutral face. Where
            it is not, and `last_k` is 1, the only face of a sequence has the sequence's name: flows
            and stills are the same samples in the same folds then.
        labels_csv: List `subject;file;emotion` that replaces the Emotion folder, in the codes of
            the Lille group.
        synthetic_subjects: Number of embedded people, where there is no root.
        **kwargs: See `FaceDataModule`.

    Reference:
        Lucey et al., The extended Cohn-Kanade dataset (CK+), CVPR workshops 2010.

    Deviation:
        FACS codes describe the last frame; the `last_k` frames share them, and a neutral face has
        no unit. Sequences with units but no expression are kept with label -1.
    """

    name = "CK+"
    tree = """
cohn-kanade-images/S005/001/S005_001_00000001.png ...
Emotion/S005/001/S005_001_00000011_emotion.txt
FACS/S005/001/S005_001_00000011_facs.txt (for action units)
  or CK+48/{anger,contempt,disgust,fear,happy,sadness,surprise}/S010_004_00000017.png
"""
    origin = "jeffcohn.net/Resources, under a signed agreement, for non-commercial research"

    def __init__(
        self,
        last_k: int = 3,
        first_as_neutral: bool = True,
        labels_csv: str | None = None,
        synthetic_subjects: int = 20,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if last_k < 1:
            raise UserError(f"data.last_k must be at least 1, but is {last_k}.")
        self._last_k = last_k
        self._first_as_neutral = first_as_neutral
        self._labels_csv = given_path("labels_csv", labels_csv)
        self._synthetic_subjects = synthetic_subjects

    def write_embedded(self, folder: Path) -> Path:
        """Draw the embedded faces, once; those of the sequences of CK+."""
        root = folder / f"ckplus-{self._synthetic_subjects}"
        write_ckplus(root, subjects=self._synthetic_subjects)
        return root

    def read_index(self, root: Path) -> Index:
        """Find the faces of CK+.

        Returns:
            The faces, sequence by sequence, each with its person, and with action units where there
            is a folder FACS.

        Raises:
            DatasetError: If the data set is not there, or the list cannot be read.
        """
        images = find_folder(root, ("cohn-kanade-images",))
        if images is None:
            rows = _Rows()
            copy = class_files(root, _COPY, EXPRESSION_WORDS, rows.problems)
            if not copy:
                raise missing_root(CKPlusFacesDataModule, root)
            return _read_copy(root, copy, rows)
        codes = expression_codes(None)
        del codes["0"]  # a sequence to a peak is not neutral: these lists mean "unused"
        sequences = read_ckplus(root, self._labels_csv, codes)
        rows = _Rows(notes=list(sequences.notes), problems=list(sequences.problems))
        rows.left_out.append(images)  # the frames between
        facs = find_folder(root, ("FACS", "FACS_labels"))
        coded = {} if facs is None else _find_facs(facs)
        labelled = {recording.path for (recording,) in sequences.recordings or []}
        for row, (recording,) in enumerate(sequences.recordings or []):
            file = coded.get((recording.path.parent.name, recording.path.name))
            units = _units(file, rows) if file is not None else []
            if facs is not None and file is None:
                rows.problems.append((recording.path, "has no file of action units in FACS"))
            elif units is not None:
                expression = int(sequences.expressions[row])
                _add_sequence(
                    rows, recording, expression, units, self._last_k, self._first_as_neutral
                )
        unlabelled = {
            key: file for key, file in coded.items() if images.joinpath(*key) not in labelled
        }
        for (subject, number), file in unlabelled.items():
            _add_unlabelled(rows, images / subject / number, file, self._last_k)
        rows.notes.append(
            f"{len(rows.names)} faces: the last {self._last_k} frames of each sequence"
            + (", the first as neutral" if self._first_as_neutral else "")
            + f"; {rows.expressions.count(_NO_EXPRESSION)} have action units but no expression"
        )
        return rows.index(with_units=facs is not None)


@dataclass
class _Rows:
    """The columns of the index while they grow."""

    names: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    first_frames: list[Path] = field(default_factory=list)
    expressions: list[int] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    units: list[NDArray[np.int8]] = field(default_factory=list)
    problems: Problems = field(default_factory=list)
    left_out: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(
        self,
        name: str,
        file: Path,
        expression: int,
        subject: str,
        units: Items[int] = (),
        first: Path | None = None,
    ) -> None:
        self.names.append(name)
        self.files.append(file)
        self.first_frames.append(first or file)
        self.expressions.append(expression)
        self.subjects.append(subject)
        self.units.append(np.array([unit in units for unit in ACTION_UNITS], np.int8))

    def index(self, *, with_units: bool) -> Index:
        return Index(
            names=self.names,
            files=self.files,
            first_frames=self.first_frames,
            expressions=np.array(self.expressions, np.int8),
            subjects=self.subjects,
            action_units=np.stack(self.units) if with_units and self.units else None,
            problems=self.problems,
            left_out=self.left_out,
            notes=self.notes,
        )


def _add_sequence(
    rows: _Rows,
    recording: Recording,
    expression: int,
    units: Items[int],
    last_k: int,
    first_as_neutral: bool,
) -> None:
    """Add the last frames of a sequence, and its first one as a neutral face."""
    files, subject = recording.files(), recording.path.parent.name
    name = f"{subject}/{recording.path.name}"
    if first_as_neutral:
        rows.add(f"{name}:1", files[0], Expression.NEUTRAL, subject)
    alone = last_k == 1 and not first_as_neutral  # then it stands for the sequence
    for number in range(max(len(files) - last_k, 1), len(files)):  # the first is never the peak
        label = name if alone else f"{name}:{number + 1}"
        rows.add(label, files[number], expression, subject, units, files[0])


def _add_unlabelled(rows: _Rows, folder: Path, facs: Path, last_k: int) -> None:
    """Add the last frames of a sequence that has action units but no expression."""
    files = frame_folder(folder, _FRAME, rows.problems).files() if folder.is_dir() else []
    units = _units(facs, rows)
    if len(files) < 2:
        rows.problems.append((facs, f"codes a sequence with {len(files)} frame(s) in {folder}"))
    elif units is not None:
        subject = folder.parent.name
        for number in range(max(len(files) - last_k, 1), len(files)):
            name = f"{subject}/{folder.name}:{number + 1}"
            rows.add(name, files[number], _NO_EXPRESSION, subject, units, files[0])


def _find_facs(facs: Path) -> dict[tuple[str, str], Path]:
    """List the files of action units by person and sequence."""
    return {
        (subject.name, sequence.name): path
        for subject in folders(nested(facs, "FACS"))
        for sequence in folders(subject)
        for path in visible(sequence)
        if _FACS.fullmatch(path.name)
    }


def _units(path: Path, rows: _Rows) -> list[int] | None:
    """Read the units of a face; None where the file is a problem."""
    try:
        return list(read_facs(path))
    except BadSample as error:
        rows.problems.append((path, error.reason))
        return None


def read_facs(path: Path) -> dict[int, float]:
    """Read the units of a face, `   1.2000000e+01   3.0000000e+00`: a unit and its intensity.

    Args:
        path: The file, `*_facs.txt` of CK+.

    Returns:
        Intensity of each unit that is present: 1 (a trace) to 5, or 0 where it is not given.

    Raises:
        BadSample: If the file cannot be read or has other lines.

    Reference:
        Lucey et al., The extended Cohn-Kanade dataset (CK+), CVPR workshops 2010, 2.2.
    """
    units: dict[int, float] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        cells = line.split()
        if not cells:
            continue
        try:
            unit, intensity = (float(cell) for cell in cells)
            units[int(unit)] = intensity
        except (ValueError, OverflowError) as error:
            raise BadSample(path, f"line {number} is not a unit and an intensity") from error
    return units


def _read_copy(root: Path, copy: list[ClassFile], rows: _Rows) -> Index:
    """Read CK+48: the last three frames of each labelled sequence, 48 x 48 and grey."""
    counts = Counter(file.expression.name.lower() for file in copy)
    for path, expression, name in copy:
        rows.add(f"{name[1]}/{name[2]}:{int(name[3])}", path, expression, name[1])
    rows.notes.append(compare_counts("CK+48", root, counts, _COPY_PUBLISHED))
    return rows.index(with_units=False)

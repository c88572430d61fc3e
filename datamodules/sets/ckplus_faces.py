"""CK+ as still faces: the last frames of each sequence, and its neutral first one."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.errors import BadSample, UserError, missing_root
from datamodules.files import Problems, find_folder, folders, given_path, nested, read_text, visible
from datamodules.index import Index
from datamodules.labels import ACTION_UNITS, EXPRESSION_WORDS
from datamodules.recordings import FrameFolder, Recording, frame_folder
from datamodules.sets.ckplus import read_ckplus
from datamodules.sets.class_folders import ClassFile, class_files
from datamodules.sets.counts import compare_counts
from datamodules.sets.lists.lille import expression_codes
from datamodules.sets.sequence_stills import UNLABELLED, stills_of
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
            problems: Problems = []
            copy = class_files(root, _COPY, EXPRESSION_WORDS, problems)
            if not copy:
                raise missing_root(CKPlusFacesDataModule, root)
            return _read_copy(root, copy, problems)
        codes = expression_codes(None)
        del codes["0"]  # a sequence to a peak is not neutral: these lists mean "unused"
        sequences = read_ckplus(root, self._labels_csv, codes)
        facs = find_folder(root, ("FACS", "FACS_labels"))
        if facs is not None:
            sequences = _with_units(sequences, images, facs)
        stills = stills_of(sequences, self._last_k, self._first_as_neutral)
        return replace(stills, left_out=[images])  # the frames between


def _with_units(sequences: Index, images: Path, facs: Path) -> Index:
    """Add the units of labelled sequences, and the sequences that have units but no expression.

    A labelled sequence without a file of units that can be read is left out, as a problem.
    """
    problems: Problems = list(sequences.problems)
    coded = _find_facs(facs)
    found: list[tuple[Recording, int, list[int]]] = []
    labelled = zip(sequences.recordings or [], sequences.expressions.tolist(), strict=True)
    for (recording,), expression in labelled:
        file = coded.pop((recording.path.parent.name, recording.path.name), None)
        if file is None:
            problems.append((recording.path, "has no file of action units in FACS"))
        elif (units := _units(file, problems)) is not None:
            found.append((recording, expression, units))
    for place, file in coded.items():
        folder = images.joinpath(*place)
        frames = frame_folder(folder, _FRAME, problems) if folder.is_dir() else ()
        units = _units(file, problems)
        if len(frames) < 2:
            reason = f"codes a sequence with {len(frames)} frame(s) in {folder}"
            problems.append((file, reason))
        elif isinstance(frames, FrameFolder) and units is not None:
            found.append((frames, UNLABELLED, units))
    unlabelled = sum(expression == UNLABELLED for _, expression, _ in found)
    present = [[unit in units for unit in ACTION_UNITS] for *_, units in found]
    return replace(
        sequences,
        names=[f"{r.path.parent.name}/{r.path.name}" for r, *_ in found],
        expressions=np.array([expression for _, expression, _ in found], np.int8),
        recordings=[(recording,) for recording, *_ in found],
        lengths=np.array([len(recording) for recording, *_ in found], np.int64),
        subjects=[recording.path.parent.name for recording, *_ in found],
        action_units=np.array(present, np.int8).reshape(-1, len(ACTION_UNITS)),
        problems=problems,
        notes=[
            *sequences.notes,
            f"sequences with action units but no expression: {unlabelled}",
        ],
    )


def _find_facs(facs: Path) -> dict[tuple[str, str], Path]:
    """List the files of action units by person and sequence."""
    return {
        (subject.name, sequence.name): path
        for subject in folders(nested(facs, "FACS"))
        for sequence in folders(subject)
        for path in visible(sequence)
        if _FACS.fullmatch(path.name)
    }


def _units(path: Path, problems: Problems) -> list[int] | None:
    """Read the units of a face; None where the file is a problem."""
    try:
        return list(read_facs(path))
    except BadSample as error:
        problems.append((path, error.reason))
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


def _read_copy(root: Path, copy: list[ClassFile], problems: Problems) -> Index:
    """Read CK+48: the last three frames of each labelled sequence, 48 x 48 and grey."""
    counts = Counter(file.expression.name.lower() for file in copy)
    return Index(
        names=[f"{name[1]}/{name[2]}:{int(name[3])}" for _, _, name in copy],
        files=[path for path, _, _ in copy],
        first_frames=[path for path, _, _ in copy],
        expressions=np.array([expression for _, expression, _ in copy], np.int8),
        subjects=[name[1] for _, _, name in copy],
        problems=problems,
        notes=[compare_counts("CK+48", root, counts, _COPY_PUBLISHED)],
    )

"""CK+, the Extended Cohn-Kanade data set: sequences from the neutral face to the apex."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datamodules.errors import BadSample, DatasetError, missing_root
from datamodules.files import (
    Problems,
    find_folder,
    folders,
    natural_key,
    nested,
    read_text,
    visible,
)
from datamodules.index import Index
from datamodules.labels import CKPLUS_CODES, Expression, refuse_shift, whole_number
from datamodules.motion.module import FlowDataModule
from datamodules.motion.turned import TurnedFlowDataModule
from datamodules.recordings import frame_folder
from datamodules.sets.lists.frame_sequences import read_frame_sequences
from datamodules.sets.lists.lille import key, read_labels
from datamodules.sets.lists.listed import ListedSequences
from datamodules.synthetic import write_ckplus

_IMAGES = ("cohn-kanade-images",)
_LABELS = ("Emotion", "emotions", "Emotion_labels")
_SUBJECT = re.compile(r"S\d{3}", re.IGNORECASE)
_SEQUENCE = re.compile(r"\d{3}")
_FRAME = re.compile(r"S\d{3}_\d{3}_\d{8}\.png", re.IGNORECASE)
_LABEL = re.compile(r"S\d{3}_\d{3}_\d{8}_emotion\.txt", re.IGNORECASE)


class _Published(NamedTuple):
    """What a set of labels was published with."""

    labels: str
    subjects: int
    sequences: dict[Expression, int]


_OFFICIAL = _Published(
    "the Emotion folder",
    118,
    {
        Expression.ANGER: 45,
        Expression.CONTEMPT: 18,
        Expression.DISGUST: 59,
        Expression.FEAR: 25,
        Expression.HAPPINESS: 69,
        Expression.SADNESS: 28,
        Expression.SURPRISE: 83,
    },
)
_LILLE = _Published(
    "the list of the eMotion-GAN and SSIM-VAE papers",
    99,
    {
        Expression.ANGER: 37,
        Expression.DISGUST: 41,
        Expression.FEAR: 53,
        Expression.HAPPINESS: 95,
        Expression.SADNESS: 65,
        Expression.SURPRISE: 83,
    },
)

_Key = tuple[str, str]


class FrontalCKPlus(ListedSequences, FlowDataModule):
    """What the data modules of CK+ share: its sequences from the neutral face to the apex.

    593 sequences of 123 subjects, 327 of them (118 subjects) labelled in the Emotion folder, which
    `labels_csv` replaces. The 374 sequences of the eMotion-GAN and SSIM-VAE papers are such a list,
    with whose counts it is compared; it is no part of the 327: 143 of its sequences have no
    official label.

    Reference:
        Lucey et al., The extended Cohn-Kanade dataset (CK+), CVPR workshops 2010.

    Deviation:
        A sequence without a label file has no label; it is not neutral.
    """

    name = "CK+"
    tree = """
cohn-kanade-images/S005/001/S005_001_00000001.png ...
Emotion/S005/001/S005_001_00000011_emotion.txt
  or S005/001/img_001.png ... with a list, see data.labels_csv
"""
    origin = "jeffcohn.net/Resources, under a signed agreement, for non-commercial research"
    embedded = ("ckplus", write_ckplus)

    def read_index(self, root: Path) -> Index:
        """Find the labelled sequences, see `read_ckplus`."""
        return read_ckplus(root, self._labels_csv, self._codes)


class CKPlusDataModule(FrontalCKPlus, TurnedFlowDataModule):
    """CK+, posed by motions drawn here, see `TurnedFlowDataModule`.

    Deviation:
        `expressions` stays at basic7, so that a model of SNaP-2DFe meets the same classes: of the
        327 labelled sequences 309 are used, contempt is left out and counted, and the class
        neutral has no sequence. `ck7` takes all 327, `basic6` the classes of the authors.
    """


def read_ckplus(root: Path, labels_csv: Path | None, codes: dict[str, Expression]) -> Index:
    """Find the labelled sequences of CK+.

    Args:
        root: Folder of the data set, or one or two levels above it.
        labels_csv: List of labels that replaces the Emotion folder.
        codes: Expression of each code in that list; others are left out.

    Returns:
        The labelled sequences, each from its first frame (neutral) to its last (apex).

    Raises:
        DatasetError: If the data set is not there, or the list cannot be read.
    """
    images = find_folder(root, _IMAGES)
    if images is None and labels_csv is not None and root.is_dir():
        found = read_frame_sequences(root, labels_csv, codes)
        shown = [Expression(expression) for expression in found.expressions]
        return replace(found, notes=[*found.notes, _compare(shown, found.subjects or (), _LILLE)])
    if images is None:
        raise missing_root(FrontalCKPlus, root)
    problems: Problems = []
    recordings = {
        key(subject.name, sequence.name): frame_folder(sequence, _FRAME, problems)
        for subject in folders(images)
        if _SUBJECT.fullmatch(subject.name)
        for sequence in folders(subject)
        if _SEQUENCE.fullmatch(sequence.name)
    }
    notes: list[str] = []
    if labels_csv is None:
        labels = _official_labels(root, problems)
    else:
        listed = read_labels(labels_csv, codes, problems, unused="0")
        labels = {k: (label.where, label.expression) for k, label in listed.items()}
        notes.append(f"{labels_csv}: {len(labels)} labels")
    kept: list[_Key] = []
    for k in sorted(labels, key=lambda k: (natural_key(k[0]), natural_key(k[1]))):
        if k not in recordings:
            problems.append((labels[k][0], f"labels a sequence that is not in {images}"))
        elif len(recordings[k]) < 2:
            count = len(recordings[k])
            problems.append((recordings[k].path, f"has {count} frame(s), but a flow needs two"))
        else:
            kept.append(k)
    films = [recordings[k] for k in kept]
    subjects = [recording.path.parent.name for recording in films]
    expressions = [labels[k][1] for k in kept]
    notes.append(f"{len(recordings)} sequences found, {len(labels)} labelled")
    notes.append(_compare(expressions, subjects, _OFFICIAL if labels_csv is None else _LILLE))
    return Index(
        names=[f"{recording.path.parent.name}/{recording.path.name}" for recording in films],
        expressions=np.array(expressions, np.int8),
        recordings=[(recording,) for recording in films],
        lengths=np.array([len(recording) for recording in films], np.int64),
        subjects=subjects,
        problems=problems,
        left_out=[recording.path for recording in recordings.values()],
        notes=notes,
    )


def _official_labels(root: Path, problems: Problems) -> dict[_Key, tuple[str, Expression]]:
    """Read the Emotion folder; what cannot be read is a problem."""
    found = find_folder(root, _LABELS)
    if found is None:
        raise DatasetError(
            f"CK+ at {root} has no folder Emotion with the labels; unpack Emotion_labels.zip "
            "there, or give a list as data.labels_csv."
        )
    labels = {}
    codes: set[int | None] = set()
    for subject in folders(nested(found, "Emotion")):
        for sequence in folders(subject):
            files = [path for path in visible(sequence) if _LABEL.fullmatch(path.name)]
            if len(files) > 1:
                problems.append((sequence, f"holds {len(files)} labels"))
            elif files:
                code = _code(files[0], problems)
                codes.add(code)
                if code in CKPLUS_CODES:
                    labels[key(subject.name, sequence.name)] = (str(files[0]), CKPLUS_CODES[code])
                elif code is not None:
                    problems.append((files[0], f"holds the label {code}, not 0 to 7"))
    refuse_shift(found, codes, set(CKPLUS_CODES) - {0})  # 0 is documented and in no label file
    return labels


def _code(path: Path, problems: Problems) -> int | None:
    """Read the one number of a label file; None where it is a problem."""
    try:
        code = whole_number(read_text(path))
    except BadSample as error:
        problems.append((path, error.reason))
        return None
    if code is None:
        problems.append((path, "holds no label from 0 to 7, and nothing else"))
    return code


def _compare(
    expressions: Sequence[Expression], subjects: Sequence[str], published: _Published
) -> str:
    """Compare counts with those of the publication."""
    counts, people = Counter(expressions), len(set(subjects))
    expected = published.sequences
    labels, total = published.labels, sum(expected.values())
    if counts == expected and people == published.subjects:
        return f"{total} labelled sequences of {people} subjects, each class as in {labels}"
    kinds = sorted(expected.keys() | counts.keys(), key=lambda e: e.name)
    found = ", ".join(f"{e.name.lower()} {counts[e]} (of {expected.get(e, 0)})" for e in kinds)
    return (
        f"{len(expressions)} labelled sequences of {people} subjects are usable, {labels} has "
        f"{total} of {published.subjects}: {found}"
    )

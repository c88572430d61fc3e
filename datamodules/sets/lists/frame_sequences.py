"""Data sets of sequences as the Lille group prepares them: folders of frames, and a list of labels.

CK+, Oulu-CASIA, MMI and ADFES as eMotion-GAN's code and LMP read them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from datamodules.errors import DatasetError, UserError
from datamodules.files import Problems, natural_key, walk
from datamodules.index import Index
from datamodules.labels import Expression
from datamodules.recordings import FrameFolder, frame_folder
from datamodules.sets.lists.lille import key, read_labels

_FRAME = re.compile(r"img_\d{3,}\.(png|jpe?g|bmp|tiff?)", re.IGNORECASE)
_DEPTH = 4  # of a sequence below the root: subject/sequence, and two wrappers


def read_frame_sequences(
    root: Path, labels_csv: Path, codes: Mapping[str, Expression], apex: float = 1.0
) -> Index:
    """Find the sequences `<subject>/<sequence>/img_001.png ...` that a list labels.

    Args:
        root: Folder of the data set, or one or two levels above it.
        labels_csv: List `subject;file;emotion`, see `read_rows`; rows of the code 0 are not used.
        codes: Expression of each code; rows of others are problems.
        apex: Position of the apex in a sequence, from 0 (first frame) to 1 (last).

    Returns:
        The labelled sequences in the order of people and numbers, each from its first frame to its
        apex.

    Raises:
        DatasetError: If there is no such sequence, or the list cannot be read.
    """
    problems: Problems = []
    found: dict[tuple[str, str], FrameFolder] = {}
    for folder, _, names in walk(root, _DEPTH, problems):
        if any(_FRAME.fullmatch(name) for name in names):
            recording = frame_folder(folder, _FRAME, problems)
            k = key(folder.parent.name, folder.name)
            if (first := found.setdefault(k, recording)) is not recording:
                problems.append((folder, f"is a second sequence beside {first.path}"))
    if not found:
        raise DatasetError(
            f"{root} holds no sequence such as S001/001/img_001.png, which {labels_csv} labels."
        )
    labels = read_labels(labels_csv, codes, problems, unused="0")
    kept: dict[tuple[str, str], Expression] = {}
    for k in sorted(labels, key=lambda k: (natural_key(k[0]), natural_key(k[1]))):
        if k not in found:
            problems.append((labels[k].where, f"there is no sequence {labels[k].name}"))
        elif apex_length(len(found[k]), apex) < 2:
            count = len(found[k])
            problems.append((found[k].path, f"has {count} frame(s), but a flow up to the apex two"))
        else:
            kept[k] = labels[k].expression
    people = [found[k].path.parent.name for k in kept]
    return Index(
        names=[f"{found[k].path.parent.name}/{found[k].path.name}" for k in kept],
        expressions=np.array(list(kept.values()), np.int8),
        recordings=[(found[k],) for k in kept],
        lengths=np.array([apex_length(len(found[k]), apex) for k in kept], np.int64),
        subjects=people,
        problems=problems,
        left_out=[recording.path for recording in found.values()],
        notes=[
            f"{len(found)} sequences found, {len(labels)} labelled by {labels_csv}",
            f"{len(kept)} sequences of {len(set(people))} people are usable",
        ],
    )


def check_apex(apex: float) -> float:
    """Return the position of the apex in a film, from 0 (first frame) to 1 (last).

    Raises:
        UserError: If that is outside of the film.
    """
    if not 0.0 < apex <= 1.0:
        raise UserError(f"data.apex must be above 0 and at most 1, but is {apex:g}.")
    return apex


def apex_length(frames: int, apex: float) -> int:
    """Count the frames of a film of so many up to its apex, that one included."""
    return 1 + round(apex * (frames - 1)) if frames > 0 else 0

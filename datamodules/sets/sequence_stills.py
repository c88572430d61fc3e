"""Stills out of sequences: frames around the apex, and the neutral first one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from datamodules.errors import UserError
from datamodules.index import Index
from datamodules.labels import Expression
from datamodules.recordings import Video

UNLABELLED = -1
"""Expression of what has none."""


def check_apex_frames(apex_frames: int) -> int:
    """Return how many frames of each sequence show its expression.

    Raises:
        UserError: If it is none.
    """
    if apex_frames < 1:
        raise UserError(f"data.apex_frames must be at least 1, but is {apex_frames}.")
    return apex_frames


def stills_of(sequences: Index, apex_frames: int, first_as_neutral: bool) -> Index:
    """Turn sequences into stills.

    Args:
        sequences: Sequences of one recording each, with the person of each. Action units are those
            of the apex; an expression may be `UNLABELLED`.
        apex_frames: How many frames around the apex show the expression: where a sequence ends
            with its apex, its last ones. The first frame never is among them.
        first_as_neutral: Whether the first frame of each labelled sequence is a neutral face, which
            has no action unit. Where it is not, and there is one frame at the apex, a still has the
            name of its labelled sequence: flows and stills are the same samples in the same folds
            then.

    Returns:
        The stills, sequence by sequence, called after the sequence and the number of the frame
        from 1; with the problems and notes of the sequences.
    """
    names: list[str] = []
    files: list[Path] = []
    first_frames: list[Path] = []
    frames: list[int] = []
    expressions: list[int] = []
    subjects: list[str] = []
    sequence_of: list[int] = []
    at_rest: list[bool] = []
    alone = apex_frames == 1 and not first_as_neutral
    rows = zip(
        sequences.names,
        sequences.recordings or [],
        sequences.frame_counts,
        sequences.subjects or [],
        sequences.expressions.tolist(),
        strict=True,
    )
    for row, (name, (recording,), length, subject, expression) in enumerate(rows):
        labelled = expression != UNLABELLED
        chosen = dict.fromkeys(_around(length - 1, len(recording), apex_frames), expression)
        if first_as_neutral and labelled:
            chosen = {0: int(Expression.NEUTRAL), **chosen}
        film = isinstance(recording, Video)
        for frame, shown in chosen.items():
            names.append(name if alone and labelled else f"{name}:{frame + 1}")
            files.append(recording.files()[0 if film else frame])
            first_frames.append(recording.files()[0])
            frames.append(frame if film else -1)
            expressions.append(shown)
            subjects.append(subject)
            sequence_of.append(row)
            at_rest.append(frame == 0)
    units = sequences.action_units
    if units is not None:
        units = units[sequence_of]
        units[np.array(at_rest, np.bool_)] = 0
    found = f"{len(names)} faces: {apex_frames} at the apex of each sequence"
    return Index(
        names=names,
        files=files,
        first_frames=first_frames,
        frames=np.array(frames, np.int64) if any(frame >= 0 for frame in frames) else None,
        expressions=np.array(expressions, np.int8),
        subjects=subjects,
        action_units=units,
        problems=sequences.problems,
        left_out=[*sequences.left_out, *_folders(sequences)],
        notes=[*sequences.notes, found + (", the first as neutral" if first_as_neutral else "")],
    )


def _around(apex: int, length: int, count: int) -> range:
    """Choose frames around the apex, later ones rather than the first."""
    count = min(count, length - 1)
    start = max(min(apex - (count - 1) // 2, length - count), 1)
    return range(start, start + count)


def _folders(sequences: Index) -> Sequence[Path]:
    """List the folders of frames, of which some are no stills."""
    recordings = (recording for (recording,) in sequences.recordings or [])
    return [recording.path for recording in recordings]

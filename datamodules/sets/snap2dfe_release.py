r"""SNaP-2DFe as its authors hand it out, whose folder and file names are not public.

The user describes the names by one regular expression with named groups; this module joins what
it matches into pairs of recordings and draws the grid of what was found.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import BadSample, DatasetError, UserError
from datamodules.files import Problems, is_image, is_video, natural_key, walk
from datamodules.index import Index
from datamodules.labels import EXPRESSION_WORDS, JAFFE_CODES, Expression
from datamodules.recordings import FrameFolder, Recording, frame_folder, open_video
from datamodules.sets.lists.frame_sequences import apex_length

GROUPS = ("subject", "movement", "expression", "camera")

_MOVEMENTS = {
    "static": ("static", "none", "nothing", "neutral", "no", "still"),
    "translation": ("translation", "translation-x", "translationx", "tx", "x"),
    "yaw": ("yaw",),
    "pitch": ("pitch",),
    "roll": ("roll",),
    "diagonal": ("diagonal", "diag"),
}
_CAMERAS = {
    1: ("1", "cam1", "camera1", "helmet", "f", "frontal"),
    2: ("2", "cam2", "camera2", "nf", "fixed"),
}
MOVEMENT_OF = {token: name for name, tokens in _MOVEMENTS.items() for token in tokens}
"""Movements of the head by the words that name them, lower case."""
_LETTERS = {letters.lower(): expression for letters, expression in JAFFE_CODES.items()}
_EXPRESSION_OF = {**EXPRESSION_WORDS, **_LETTERS, "none": Expression.NEUTRAL}
_CAMERA_OF = {token: name for name, tokens in _CAMERAS.items() for token in tokens}


@dataclass(frozen=True, order=True)
class _Cell:
    """One performance: who, which head movement, which expression."""

    subject: str
    movement: str
    expression: Expression

    @property
    def name(self) -> str:
        return f"{self.subject}/{self.movement}-{self.expression.name.lower()}"


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile the user's expression.

    Args:
        pattern: Regular expression over paths below the root, with `/` between folders.

    Returns:
        The expression, blind to case.

    Raises:
        UserError: If it is no regular expression or lacks a named group.
    """
    try:
        compiled = re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise UserError(f"raw_pattern {pattern!r} is not a regular expression: {error}.") from None
    if missing := [group for group in GROUPS if group not in compiled.groupindex]:
        raise UserError(
            f"raw_pattern {pattern!r} lacks the named groups {', '.join(missing)}; write them as "
            f"(?P<{missing[0]}>...)."
        )
    return compiled


def read_raw(root: Path, pattern: str, apex: float) -> Index:
    """Find the recordings of the raw release.

    Args:
        root: Folder of the release.
        pattern: Regular expression that matches the whole path below the root of each frame (if
            it has a group `frame`), else of each video (.avi, .mp4, .mov, .mkv) or folder of
            frames. Named groups: subject, movement, expression, camera.
        apex: Position of the apex in a recording, from 0 (first frame) to 1 (last).

    Returns:
        The index; its last note is the grid of what was found, with its gaps.

    Raises:
        UserError: If the pattern is unusable.
        DatasetError: If it matches nothing.
    """
    compiled = compile_pattern(pattern)
    problems: Problems = []
    cells: dict[_Cell, dict[int, Recording]] = {}
    for match, recording in _recordings(root, compiled, problems):
        if (named := _name(match, recording, problems)) is None:
            continue
        cell, camera = named
        taken = cells.setdefault(cell, {})
        if camera in taken:
            problems.append((recording.path, f"is a second take beside {taken[camera].path}"))
        else:
            taken[camera] = recording
    if not cells and not problems:
        some = islice((path for path in _walk(root) if path.is_file()), 3)
        examples = ", ".join(path.relative_to(root).as_posix() for path in some)
        raise DatasetError(
            f"raw_pattern {pattern!r} matches no video, folder or frame below {root}; "
            f"there are for instance: {examples or 'no files'}."
        )
    order = sorted(cells, key=lambda c: (natural_key(c.subject), c.movement, c.expression))
    lengths = {cell: _length(cell, cells[cell], apex, problems) for cell in order}
    kept = [cell for cell in order if lengths[cell] >= 2]
    return Index(
        names=[cell.name for cell in kept],
        expressions=np.array([cell.expression for cell in kept], np.int8),
        recordings=[(cells[cell][1], cells[cell][2]) for cell in kept],
        lengths=np.array([lengths[cell] for cell in kept], np.int64),
        subjects=[cell.subject for cell in kept],
        subsets=by_movement([cell.movement for cell in kept]),
        problems=problems,
        notes=[_grid(cells)],
    )


def by_movement(movements: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Return where each movement of the head is among those of N sequences, bool [N] by name."""
    names = np.array(movements)
    return {str(name): names == name for name in np.unique(names)}


def _recordings(
    root: Path, pattern: re.Pattern[str], problems: Problems
) -> Iterator[tuple[re.Match[str], Recording]]:
    """Walk the tree and yield each recording with the match of its name."""
    if "frame" in pattern.groupindex:
        yield from _from_frames(root, pattern, problems)
        return
    for path in _walk(root, problems):
        match = pattern.fullmatch(path.relative_to(root).as_posix())
        if match is None:
            continue
        if path.is_dir():
            yield match, frame_folder(path, problems=problems)
        elif is_video(path):
            try:
                yield match, open_video(path)
            except BadSample as bad:
                problems.append((bad.path, bad.reason))


def _from_frames(
    root: Path, pattern: re.Pattern[str], problems: Problems
) -> Iterator[tuple[re.Match[str], Recording]]:
    """Group frames that agree in all groups but `frame`."""
    first: dict[tuple[str, ...], re.Match[str]] = {}
    names: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for path in _walk(root, problems):
        name = path.relative_to(root).as_posix()
        match = pattern.fullmatch(name)
        if match is None or not is_image(path):
            continue
        group = tuple(match[g].lower() for g in GROUPS)
        first.setdefault(group, match)
        names.setdefault(group, []).append((match["frame"], name))
    for group, frames in names.items():
        frames.sort(key=lambda frame: natural_key(frame[0]))
        yield first[group], FrameFolder(root, tuple(name for _, name in frames))


def _walk(root: Path, problems: Problems | None = None) -> Iterator[Path]:
    """Yield every folder and file below a root."""
    for folder, below, names in walk(root, problems=problems):
        yield from (folder / name for name in (*below, *names))


def _name(
    match: re.Match[str], recording: Recording, problems: Problems
) -> tuple[_Cell, int] | None:
    """Translate the tokens of a name; what cannot be read is a problem."""
    tokens = {group: match[group].lower() for group in GROUPS}
    movement = MOVEMENT_OF.get(tokens["movement"])
    expression = _EXPRESSION_OF.get(tokens["expression"])
    camera = _CAMERA_OF.get(tokens["camera"])
    read = {"movement": movement, "expression": expression, "camera": camera}
    path = recording.path if recording.path.name else match.string
    for group, value in read.items():
        if value is None:
            problems.append((path, f"its {group} {match[group]!r} is unknown"))
    if movement is None or expression is None or camera is None:
        return None
    return _Cell(match["subject"], movement, expression), camera


def _length(cell: _Cell, cameras: dict[int, Recording], apex: float, problems: Problems) -> int:
    """Count the frames of a performance up to the apex; less than 2 where it is unusable."""
    if len(cameras) < 2:
        ((camera, recording),) = cameras.items()
        reason = f"has no counterpart of camera {3 - camera} ({cell.name})"
        problems.append((recording.path, reason))
        return 0
    frontal, posed = cameras[1], cameras[2]
    if len(frontal) != len(posed):
        reason = f"has {len(posed)} frames, but {frontal.path} has {len(frontal)}"
        problems.append((posed.path, reason))
    shorter = min(frontal, posed, key=len)
    length = apex_length(len(shorter), apex)
    if length < 2:
        reason = f"has {len(shorter)} frame(s) up to the apex; 2 are needed"
        problems.append((shorter.path, reason))
    return length


def _grid(cells: dict[_Cell, dict[int, Recording]]) -> str:
    """Draw subjects by movements, each with the recordings found of those the grid expects."""
    subjects = sorted({cell.subject for cell in cells}, key=natural_key)
    movements = [name for name in _MOVEMENTS if any(cell.movement == name for cell in cells)]
    expressions = sorted({cell.expression for cell in cells})
    found = Counter((c.subject, c.movement) for c, cameras in cells.items() for _ in cameras)
    expected = 2 * len(expressions)
    lines = [
        f"Raw release: {len(subjects)} subjects x {len(movements)} movements x "
        f"{len(expressions)} expressions x 2 cameras = "
        f"{len(subjects) * len(movements) * expected} recordings, "
        f"{sum(found.values())} found (published: 15 x 6 x 7 x 2 = 1260)"
    ]
    width = max([len(subject) for subject in subjects], default=0)
    lines.append(" " * width + "".join(f"{name:>13}" for name in movements))
    for subject in subjects:
        counts = (f"{found[subject, name]}/{expected}" for name in movements)
        lines.append(f"{subject:<{width}}" + "".join(f"{count:>13}" for count in counts))
    for subject in subjects:
        for movement in movements:
            gaps = [
                f"{expression.name.lower()} cam{camera}"
                for expression in expressions
                for camera in (1, 2)
                if camera not in cells.get(_Cell(subject, movement, expression), {})
            ]
            if gaps:
                lines.append(f"missing: {subject} {movement}: {', '.join(gaps)}")
    return "\n".join(lines)

"""Frames that other methods frontalised, in the place of those of the moving head."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from datamodules.errors import BadSample, DatasetError, UserError
from datamodules.files import given_path
from datamodules.index import Index
from datamodules.recordings import FrameFolder, Recording
from datamodules.store.threads import for_each

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


def given_frontalized(folders: Mapping[str, str] | None) -> dict[str, Path]:
    """Make the folders that `data.frontalized` names.

    Raises:
        UserError: If these are no folders by names, a name cannot stand in the name of a measure,
            or a folder is not there.
    """
    found: dict[str, Path] = {}
    given: object = folders or {}  # data.sets gives whatever its YAML holds
    if not isinstance(given, Mapping):
        raise UserError(
            f"data.frontalized must give folders by the names of methods, such as {{glunet: "
            f"/data/glunet}}, but is {given!r}."
        )
    for name, text in given.items():
        if not _NAME.fullmatch(name):
            raise UserError(
                f"data.frontalized calls a method {name!r}: expected are letters, digits and "
                "hyphens, such as glunet."
            )
        path = given_path(f"frontalized.{name}", text)
        if path is None or not path.is_dir():
            raise UserError(
                f"data.frontalized: the folder {text} of {name} does not exist; give the folder of "
                "the frames that it frontalised."
            )
        found[name] = path
    return found


def frontalized_index(index: Index, name: str, folder: Path, base: Path) -> Index:
    """Put the frames that a method frontalised in the place of those that it was given.

    Args:
        index: Sequences seen by two cameras, of which the second sees the head move.
        name: What the method is called.
        folder: Its frames: of each recording of the second camera the first frame and the one at
            the apex, or the film, by the same path below this folder as below `base`.
        base: Folder of the recordings of the second camera.

    Returns:
        The same sequences in one recording each, without the problems of the others.

    Raises:
        DatasetError: If a frame is missing or of another size than those of both cameras.
    """
    recordings = index.recordings or []
    frontalized = [
        _counterpart(posed, folder / posed.path.relative_to(base), length - 1)
        for (_, posed), length in zip(recordings, index.frame_counts, strict=True)
    ]
    files = [file for recording in frontalized for file in recording.files()]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise DatasetError(
            f"data.frontalized: of the {len(files)} files of {name} {len(missing)} are missing, "
            f"the first of them {missing[0]}; expected is of each sequence the first frame and "
            f"the one at the apex, or the film, named as below {base}."
        )
    other: dict[int, tuple[int, ...]] = {}

    def compare(row: int) -> None:
        with suppress(BadSample):  # is named when flows are computed
            shape = _shape(frontalized[row])
            if all(shape != _shape(recording) for recording in reversed(recordings[row])):
                other[row] = shape

    for_each(range(len(recordings)), compare, f"{name}: comparing sizes", delay=2.0)
    if other:
        row = min(other)
        height, width = other[row]
        expected = " x ".join(map(str, reversed(_shape(recordings[row][1]))))
        raise DatasetError(
            f"data.frontalized: in {len(other)} of {len(recordings)} sequences the frames of "
            f"{name} are of another size, the first of them {frontalized[row].files()[0]} of "
            f"{width} x {height} pixels where {expected} are expected; scale or pad them to the "
            "size of the frames that they stand for."
        )
    return replace(
        index,
        recordings=[(recording,) for recording in frontalized],
        lengths=np.array(
            [
                len(recording) if isinstance(recording, FrameFolder) else length
                for recording, length in zip(frontalized, index.frame_counts, strict=True)
            ],
            np.int64,
        ),
        problems=[],
    )


def _counterpart(recording: Recording, path: Path, apex: int) -> Recording:
    """Return a recording elsewhere, as a folder with the first frame and that at the apex alone."""
    if isinstance(recording, FrameFolder):
        return FrameFolder(path, (recording.names[0], recording.names[apex]))
    return replace(recording, path=path)


def _shape(recording: Recording) -> tuple[int, ...]:
    return recording.reader(colour=False)(0).shape

"""Who is who from frame to frame: boxes of one face get one number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from datamodules.faces import Box, overlap

FRAME_SECONDS = 1 / 25
"""Time that a frame is taken to last where a recording does not say."""

_SAME = 0.2  # intersection over union from which on two boxes may be of one face
_REACH = 0.5  # sides of a box that its middle may move between two looks
_PATIENCE = 2.0  # seconds without a box after which a face that comes is a new one
_LOOKS = 3  # but at least so many pictures, where only some are looked at


class _Track(NamedTuple):
    number: int
    box: Box
    seconds: float
    look: int


class Tracker:
    """Numbers the faces of one recording from 1, each person by one number while in sight.

    A box continues the track that it overlaps most, or, where a face moved further than that, the
    one whose last middle is nearest, within half a side. What such a simple rule cannot tell: who
    leaves and comes back is a new track, and people who cross may change numbers.

    Reference:
        Bochinski et al., High-speed tracking-by-detection without using image information (AVSS
        2017).

    Deviation:
        A track outlives some pictures without a box, since detectors miss faces, and a middle may
        do in place of an overlap, since only every n-th frame may be looked at.
    """

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._last = 0
        self._look = 0

    def update(self, boxes: Sequence[Box], seconds: float) -> list[int]:
        """Return the number of the track of each box of the next picture.

        Args:
            boxes: Faces of the picture.
            seconds: Its time since the beginning.
        """
        self._look += 1
        self._tracks = [
            track
            for track in self._tracks
            if seconds - track.seconds <= _PATIENCE or self._look - track.look <= _LOOKS
        ]
        pairs = sorted(
            (
                (closeness, i, j)
                for i, track in enumerate(self._tracks)
                for j, box in enumerate(boxes)
                if (closeness := _closeness(track.box, box)) > 0
            ),
            reverse=True,
        )
        taken: dict[int, int] = {}  # track by box
        for _, i, j in pairs:
            if j not in taken and i not in taken.values():
                taken[j] = i
        numbers = []
        for j, box in enumerate(boxes):
            if j in taken:
                number = self._tracks[taken[j]].number
            else:
                self._last += 1
                number = self._last
            numbers.append(number)
            track = _Track(number, box, seconds, self._look)
            if j in taken:
                self._tracks[taken[j]] = track
            else:
                self._tracks.append(track)
        return numbers


def time_of(index: int, seconds: float) -> float:
    """Return when a frame is, of its number where the recording does not say."""
    return index * FRAME_SECONDS if math.isnan(seconds) else seconds


def _closeness(one: Box, other: Box) -> float:
    """Above 1 for boxes that overlap, up to 1 for near ones of a size, 0 for others."""
    shared = overlap(one, other)
    if shared >= _SAME:
        return 1 + shared
    side = max(one.width, other.width)
    middles = [(box.left + box.width / 2, box.top + box.height / 2) for box in (one, other)]
    nearness = 1 - math.dist(*middles) / (_REACH * side)
    return nearness if 2 * min(one.width, other.width) > side else 0.0

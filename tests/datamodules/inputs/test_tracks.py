from __future__ import annotations

import math

from datamodules.faces import Box
from datamodules.inputs.tracks import Tracker, time_of


def box(x: int, y: int = 50, side: int = 40) -> Box:
    return Box(x, y, side, side)


def test_two_people_keep_their_numbers_whatever_the_order_of_their_boxes() -> None:
    tracker = Tracker()
    assert tracker.update([box(0), box(200)], 0.0) == [1, 2]
    assert tracker.update([box(205), box(4)], 0.04) == [2, 1]
    # One comes between them, and the left one has moved by most of a side.
    assert tracker.update([box(22), box(100), box(208)], 0.08) == [1, 3, 2]


def test_a_face_that_is_missed_for_a_moment_is_still_the_same() -> None:
    tracker = Tracker()
    assert tracker.update([box(0)], 0.0) == [1]
    assert tracker.update([], 0.5) == []
    assert tracker.update([box(6)], 1.0) == [1]
    for look in range(6):
        tracker.update([], 2.0 + look)
    assert tracker.update([box(6)], 9.0) == [2]


def test_a_box_of_another_size_or_place_is_someone_else() -> None:
    tracker = Tracker()
    tracker.update([box(0, side=40)], 0.0)
    assert tracker.update([box(10, 60, side=10)], 0.1) == [2]
    assert tracker.update([box(300)], 0.2) == [3]


def test_where_pictures_are_far_apart_a_few_looks_are_waited_for() -> None:
    tracker = Tracker()
    assert [tracker.update([box(0)], 10.0 * look) for look in range(3)] == [[1]] * 3


def test_the_memory_of_a_long_film_is_that_of_who_is_in_sight() -> None:
    tracker = Tracker()
    for frame in range(2_000):  # another one every second, each elsewhere
        tracker.update([box(1000 * (frame // 25))], frame / 25)
    assert len(tracker._tracks) < 5


def test_time_is_that_of_the_recording_or_of_the_frames_number() -> None:
    assert time_of(50, 1.5) == 1.5
    assert time_of(50, math.nan) == 2.0

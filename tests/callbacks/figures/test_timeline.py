from __future__ import annotations

import numpy as np
import pytest

from callbacks.figures.timeline import Timeline, draw_timeline


def row(frame: int, track: int, share: float, seconds: str = "") -> dict[str, str]:
    smoothed = {"smoothed_a": str(share), "smoothed_b": str(1 - share)}
    return {"frame": str(frame), "seconds": seconds, "track": str(track), "a": "0", **smoothed}


def test_a_long_film_has_as_many_points_as_a_short_one() -> None:
    timeline = Timeline(("a", "b"))
    for frame in range(50_000):
        timeline.add(row(frame, 1, frame / 50_000))
    points = np.array(timeline.tracks[1])
    assert 250 < len(points) <= 1_000
    assert (np.diff(points[:, 0]) > 0).all()
    # 25 frames a second where the film does not say.
    np.testing.assert_allclose(points[:, 1], points[:, 0] / 25)
    np.testing.assert_allclose(points[:, 2], points[:, 0] / 50_000, atol=1e-9)
    np.testing.assert_allclose(points[:, 2] + points[:, 3], 1)


def test_who_is_seen_most_is_drawn() -> None:
    timeline = Timeline(("a", "b"))
    for track in range(1, 9):
        for frame in range(track):
            timeline.add(row(frame, track, 0.5, f"{frame / 10}"))
    assert timeline.longest() == [8, 7, 6, 5, 4, 3]
    figure = draw_timeline(timeline, "Film")
    plots = figure.axes
    assert [axes.get_ylabel() for axes in plots] == [f"person {n}" for n in (8, 7, 6, 5, 4, 3)]
    assert plots[0].lines[0].get_xdata()[-1] == pytest.approx(0.7)
    assert [line.get_label() for line in plots[0].lines] == ["a", "b"]


def test_a_line_ends_where_a_person_leaves() -> None:
    timeline = Timeline(("a", "b"))
    for frame in [*range(5), *range(20, 22), 23]:  # one frame is missed, fifteen are away
        timeline.add(row(frame, 1, 0.5, f"{frame / 10}"))
    (line, _) = draw_timeline(timeline, "Film").axes[0].lines
    seconds = np.asarray(line.get_xdata())
    np.testing.assert_allclose(seconds, [0, 0.1, 0.2, 0.3, 0.4, np.nan, 2.0, 2.1, 2.3])
    assert np.isnan(line.get_ydata()[5])


def test_frames_that_are_further_apart_in_time_end_no_line() -> None:
    timeline = Timeline(("a", "b"))
    times = [*np.arange(8) / 30, *1 + np.arange(4) / 5]  # a phone's in the light, then in the dark
    for frame, seconds in enumerate(times):
        timeline.add(row(frame, 1, 0.5, f"{seconds:.3f}"))
    (line, _) = draw_timeline(timeline, "Film").axes[0].lines
    np.testing.assert_allclose(np.asarray(line.get_xdata()), times, atol=1e-3)


def test_answers_without_probabilities_have_none() -> None:
    timeline = Timeline(("a", "b"))
    timeline.add({"frame": "0", "seconds": "0", "track": "1", "predicted": "6+12"})
    assert not timeline.tracks


def test_rows_without_an_answer_add_nothing() -> None:
    timeline = Timeline(("a", "b"))
    timeline.add({**row(0, 1, 0.5), "smoothed_a": "", "smoothed_b": ""})
    assert not timeline.tracks

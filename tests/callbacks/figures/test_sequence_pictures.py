from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from callbacks.figures import sequence_pictures
from callbacks.figures.colour_wheel import flow_to_rgb
from callbacks.figures.sequence_pictures import SequencePictures, face_to_rgb, file_name
from tests.callbacks.fakes import NAMES, batch_of, outputs_of, sample


def writer(folder: Path, rank: int = 0) -> SequencePictures:
    return SequencePictures(folder, class_names=NAMES, max_magnitude=16.0, rank=rank)


def read(path: Path) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def expected(number: int) -> np.ndarray:
    # In pixels of a 128x128 grid, of which these flows of 16x16 have an eighth.
    return flow_to_rgb(8 * sample(number)["flow"].numpy(), max_magnitude=16.0)


def test_the_frame_with_the_most_motion_is_drawn(tmp_path: Path) -> None:
    pictures = writer(tmp_path)
    for numbers in ([0, 3, 1], [2, 4, 5], [6]):  # clip_0 is 0 to 3, clip_1 is 4 to 7
        pictures.add(outputs_of(batch_of(numbers)))
    strips = pictures.finish()
    assert strips == [tmp_path / "clip_0_strip.png", tmp_path / "clip_1_strip.png"]
    kinds = ("frontalized", "posed", "strip", "warped")
    names = [f"clip_{i}_{kind}.png" for i in (0, 1) for kind in kinds]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    np.testing.assert_array_equal(read(tmp_path / "clip_0_frontalized.png"), expected(3))
    np.testing.assert_array_equal(read(tmp_path / "clip_1_frontalized.png"), expected(6))
    posed = flow_to_rgb(8 * sample(3)["posed_flow"].numpy(), max_magnitude=16.0)
    np.testing.assert_array_equal(read(tmp_path / "clip_0_posed.png"), posed)
    assert (read(tmp_path / "clip_0_warped.png") == 128).all()


def test_no_more_is_held_than_the_present_sequences(tmp_path: Path) -> None:
    pictures = writer(tmp_path)
    for clip in range(5):
        pictures.add(outputs_of(batch_of([4 * clip, 4 * clip + 1])))
        assert list(pictures._open) == [f"clip_{clip}"]


def test_a_sequence_that_comes_back_keeps_its_best_frame(tmp_path: Path) -> None:
    pictures = writer(tmp_path)
    for numbers in ([3], [4], [1], [5]):
        pictures.add(outputs_of(batch_of(numbers)))
    pictures.finish()
    np.testing.assert_array_equal(read(tmp_path / "clip_0_frontalized.png"), expected(3))
    np.testing.assert_array_equal(read(tmp_path / "clip_1_frontalized.png"), expected(5))


def test_of_two_processes_the_one_with_more_motion_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranks = [writer(tmp_path, rank) for rank in (0, 1)]
    ranks[0].add(outputs_of(batch_of([0, 2, 5])))
    ranks[1].add(outputs_of(batch_of([1, 3, 4])))

    def both(value: Any) -> list[Any]:
        return [rank._motion for rank in ranks]

    monkeypatch.setattr(sequence_pictures, "gather", both)
    strips = [rank.finish() for rank in ranks]
    assert strips == [[tmp_path / "clip_1_strip.png"], [tmp_path / "clip_0_strip.png"]]
    np.testing.assert_array_equal(read(tmp_path / "clip_0_frontalized.png"), expected(3))
    np.testing.assert_array_equal(read(tmp_path / "clip_1_frontalized.png"), expected(5))
    assert len(list(tmp_path.iterdir())) == 8


def test_file_names_are_harmless_and_never_shared() -> None:
    assert file_name("clip_01.mp4") == "clip_01.mp4"
    names = [file_name(name) for name in ("a/b", "a b", "a_b", "../a_b", "x" * 300)]
    assert len(set(names)) == len(names)
    assert not any(set("/ ") & set(name) or name.startswith(".") for name in names)
    assert max(map(len, names)) < 120


def test_a_face_is_clamped_and_rounded() -> None:
    face = torch.tensor([-0.1, 0.5, 1.2]).reshape(3, 1, 1)
    assert face_to_rgb(face).tolist() == [[[0, 128, 255]]]

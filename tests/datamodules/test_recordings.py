from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from datamodules.errors import BadSample
from datamodules.recordings import Video, frame_folder, open_video
from tests.datamodules.trees import picture, write_frames, write_video


def test_frames_are_sorted_by_number_and_strangers_left_out(tmp_path: Path) -> None:
    names = ["img_10.png", "img_9.PNG", "img_100.png", "Thumbs.db", ".DS_Store", "._img_1.png"]
    for name in names:
        (tmp_path / name).touch()
    assert frame_folder(tmp_path).names == ("img_9.PNG", "img_10.png", "img_100.png")
    assert frame_folder(tmp_path, re.compile(r"img_\d{3}\.png")).names == ("img_100.png",)


def test_folder_reads_grey_and_colour(tmp_path: Path) -> None:
    write_frames(tmp_path, person=1, frames=3)
    recording = frame_folder(tmp_path)
    np.testing.assert_array_equal(recording.reader(colour=False)(2), picture(1, 1.0))
    assert recording.reader(colour=True)(0).shape == (32, 32, 3)
    assert len(list(recording.frames(colour=False))) == len(recording) == 3


def test_video_gives_the_frame_asked_for_in_any_order(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.avi", person=1, frames=6, head=3.0)
    video = open_video(tmp_path / "clip.avi")
    assert len(video) == 6
    reader = video.reader(colour=False)
    for index in (0, 4, 2, 3, 5, 5, 0):
        expected = picture(1, index / 5, 3.0 * index / 5)
        np.testing.assert_allclose(reader(index), expected, atol=2)
    frames = list(video.frames(colour=False))
    assert len(frames) == 6
    np.testing.assert_allclose(frames[4], picture(1, 0.8, 2.4), atol=2)


def test_colour_of_a_video_is_rgb(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    codec = cv2.VideoWriter_fourcc(*"FFV1")  # type: ignore[attr-defined]
    writer = cv2.VideoWriter(str(path), codec, 10, (32, 32))
    writer.write(np.full((32, 32, 3), (0, 0, 255), np.uint8))  # red in BGR
    writer.release()
    red = open_video(path).reader(colour=True)(0)
    assert red[..., 0].min() > 240
    assert red[..., 1:].max() < 15


def test_video_shorter_than_its_header_says_so(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.avi", person=1, frames=3)
    with pytest.raises(BadSample, match=r"clip\.avi: the video ends after 3 frames.* 9$"):
        Video(tmp_path / "clip.avi", 9).reader(colour=False)(8)


def test_no_video(tmp_path: Path) -> None:
    (tmp_path / "clip.avi").write_text("no video")
    with pytest.raises(BadSample, match="cannot be read as a video"):
        open_video(tmp_path / "clip.avi")

from __future__ import annotations

import os
import re
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from datamodules.errors import BadSample
from datamodules.files import Problems
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
    assert [frame.number for frame in frames] == list(range(6))
    np.testing.assert_allclose([frame.seconds for frame in frames], np.arange(6) / 10)
    np.testing.assert_allclose(frames[4][1], picture(1, 0.8, 2.4), atol=2)


def phone_film(path: Path) -> None:
    """Write a film as phones do: lying, with a note that turns it, and slower at the end."""
    codec = cv2.VideoWriter_fourcc(*"mp4v")  # type: ignore[attr-defined]
    writer = cv2.VideoWriter(str(path), codec, 10, (48, 32))
    lying = np.zeros((32, 48, 3), np.uint8)
    lying[:, :16] = 255  # what is on the left comes to the top
    for _ in range(6):
        writer.write(lying)
    writer.release()
    film = bytearray(path.read_bytes())
    matrix = film.index(b"tkhd") + 44
    film[matrix : matrix + 20] = struct.pack(">5i", 0, 1 << 16, 0, -1 << 16, 0)
    times = film.index(b"stts") - 4
    count, step = struct.unpack(">II", film[times + 16 : times + 24])
    film[times : times + 24] = struct.pack(
        ">I4s6I", 32, b"stts", 0, 2, 3, step, count - 3, 3 * step
    )
    for box in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):  # which grew by 8 bytes
        start = film.index(box) - 4
        (size,) = struct.unpack(">I", film[start : start + 4])
        film[start : start + 4] = struct.pack(">I", size + 8)
    edits = film.index(b"edts")
    film[edits : edits + 4] = b"free"  # it names the duration of before
    path.write_bytes(film)


def test_a_film_of_a_phone_stands_upright_and_has_its_own_times(tmp_path: Path) -> None:
    phone_film(tmp_path / "phone.mp4")
    video = open_video(tmp_path / "phone.mp4")
    frames = list(video.frames(colour=False))
    np.testing.assert_allclose([f.seconds for f in frames], [0, 0.1, 0.2, 0.3, 0.6, 0.9])
    for shown in (frames[5].picture, video.reader(colour=False)(5)):
        assert isinstance(shown, np.ndarray)
        assert shown.shape == (48, 32)
        assert shown[:12].min() > 240
        assert shown[20:].max() < 15


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
    with pytest.raises(BadSample, match=r"clip\.avi: frame 9 of the 9 that its header"):
        Video(tmp_path / "clip.avi", 9).reader(colour=False)(8)


def test_a_video_whose_name_is_no_utf_8_is_read(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.avi", person=1, frames=3, head=0.0)
    film = (tmp_path / "clip.avi").rename(tmp_path / os.fsdecode(b"f\xfcr.avi"))
    assert len(list(open_video(film).frames(colour=False))) == 3


def test_no_video(tmp_path: Path) -> None:
    (tmp_path / "clip.avi").write_text("no video")
    with pytest.raises(BadSample, match="cannot be read as a video"):
        open_video(tmp_path / "clip.avi")


def damage(path: Path, chunk: int) -> None:
    """Overwrite a frame of an AVI file, a chunk `00dc`, its length, its bytes."""
    data = bytearray(path.read_bytes())
    at = [match.start() for match in re.finditer(b"00dc", bytes(data))]
    data[at[chunk] + 8 : at[chunk + 1]] = bytes(at[chunk + 1] - at[chunk] - 8)
    path.write_bytes(data)


def test_a_video_is_read_on_over_a_damaged_frame(tmp_path: Path) -> None:
    codec = cv2.VideoWriter_fourcc(*"MJPG")  # type: ignore[attr-defined]
    writer = cv2.VideoWriter(str(tmp_path / "clip.avi"), codec, 10, (32, 32))
    for shade in range(0, 240, 8):
        writer.write(np.full((32, 32, 3), shade, np.uint8))
    writer.release()
    damage(tmp_path / "clip.avi", 10)
    video = open_video(tmp_path / "clip.avi")
    *frames, (_, bad, _) = video.frames(colour=False)
    assert len(video) == 30
    assert isinstance(bad, BadSample)
    assert len(frames) == 29
    assert bad.reason == "29 frames were read, though its header announces 30"
    assert video.reader(colour=False)(25).max() > 180


def test_a_video_of_which_no_frame_decodes_is_bad(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.avi", person=1, frames=3)
    data = (tmp_path / "clip.avi").read_bytes()
    (tmp_path / "clip.avi").write_bytes(data[: data.index(b"movi") + 4])
    ((_, bad, _),) = Video(tmp_path / "clip.avi", 3).frames(colour=False)
    assert isinstance(bad, BadSample)
    assert bad.reason == "0 frames were read, though its header announces 3"


@pytest.mark.parametrize("name", ["img_001.PNG", "img_001.jpg"])
def test_two_frames_of_one_name_are_named(tmp_path: Path, name: str) -> None:
    write_frames(tmp_path, person=1, frames=2)
    (tmp_path / name).touch()
    problems: Problems = []
    assert len(frame_folder(tmp_path, problems=problems)) == 2
    assert [reason.split(",")[0] for _, reason in problems] == ["is a second frame img_001"]
    with pytest.raises(BadSample, match="is a second frame img_001, beside"):
        frame_folder(tmp_path)

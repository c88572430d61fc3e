from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

from datamodules.errors import DatasetError
from datamodules.inputs.live import LiveStream, live_stream


class Camera:
    """Stands in for cv2.VideoCapture: twenty frames, each brighter than the one before."""

    opened: Any = None
    events: ClassVar[dict[int, Callable[[], None]]] = {}

    def __init__(self, address: Any) -> None:
        type(self).opened = address
        self.number = -1

    def isOpened(self) -> bool:  # noqa: N802
        return "nowhere" not in str(self.opened)

    def grab(self) -> bool:
        self.number += 1
        self.events.get(self.number, lambda: None)()
        return self.number < 20

    def retrieve(self) -> tuple[bool, Any]:
        return True, np.full((24, 32, 3), self.number, np.uint8)

    def release(self) -> None:
        type(self).opened = "released"


@pytest.fixture(autouse=True)
def camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    monkeypatch.setattr(Camera, "events", {})


def test_a_number_is_a_camera_and_an_address_a_stream() -> None:
    assert live_stream("0") == LiveStream("0")
    assert live_stream("rtsp://user:secret@cam.local:554/a/b?c") is not None
    assert live_stream("http://cam.local/video.mjpg") is not None
    for text in ("clip.mp4", "a/b", "C:\\film.avi", None):
        assert live_stream(text) is None
    Path("0").mkdir()
    assert live_stream("0") is None


def test_its_name_holds_no_password() -> None:
    assert LiveStream("0").name == "camera_0"
    name = LiveStream("rtsp://user:secret@cam.local:554/a/b?key=1").name
    assert name == "rtsp_cam.local_554_a_b"


def test_it_is_read_until_it_ends() -> None:
    frames = list(LiveStream("1").frames(colour=False, every=6))
    assert [frame.number for frame in frames] == [0, 6, 12, 18]
    assert [int(frame.picture[0, 0]) for frame in frames] == [0, 6, 12, 18]  # type: ignore[index]
    assert frames[0].seconds == 0
    assert sorted(frame.seconds for frame in frames) == [frame.seconds for frame in frames]
    assert Camera.opened == "released"


def test_ctrl_c_ends_it_orderly_and_another_one_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    ours = signal.getsignal(signal.SIGINT)
    # It is ignored where the tests run in the background of a shell.
    before = signal.default_int_handler
    signal.signal(signal.SIGINT, before)
    monkeypatch.setattr(Camera, "events", {3: interrupt})
    assert [frame.number for frame in LiveStream("0").frames(colour=True)] == [0, 1, 2, 3]
    assert signal.getsignal(signal.SIGINT) is before
    frames = LiveStream("0").frames(colour=True)
    monkeypatch.setattr(Camera, "events", {0: interrupt})
    next(frames)
    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert list(frames) == []
    signal.signal(signal.SIGINT, ours)


def test_what_does_not_open_is_a_sentence_without_the_password() -> None:
    frames = LiveStream("rtsp://nowhere/a").frames(colour=True)
    with pytest.raises(DatasetError, match="rtsp_nowhere_a does not open: give the number of a"):
        next(frames)

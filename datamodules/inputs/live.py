"""Cameras and network streams: recordings without an end that Ctrl-C ends."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2

from datamodules.errors import DatasetError
from datamodules.recordings import Frame, from_bgr


@dataclass(frozen=True)
class LiveStream:
    """A camera, or a stream at an address.

    Args:
        address: Number of a camera, or a URL such as rtsp://camera.local/stream.
    """

    address: str

    @property
    def name(self) -> str:
        """What it is called in rows and files: no user, no password."""
        if self.address.isdecimal():
            return f"camera_{self.address}"
        parts = urlsplit(self.address)
        place = parts.netloc.rpartition("@")[2] + parts.path
        return re.sub(r"[^\w.-]+", "_", f"{parts.scheme}_{place}").strip("_")

    def frame_name(self, index: int) -> str:
        """Name a frame for a message."""
        return f"{self.name} (frame {index + 1})"

    def frames(self, *, colour: bool, every: int = 1) -> Iterator[Frame]:
        """Yield every n-th frame, in RGB or grey, until the stream ends or Ctrl-C.

        Seconds count from the first frame. After a first Ctrl-C nothing more is read, and what was
        read is answered; a second one stops at once.

        Raises:
            DatasetError: If it does not open.
        """
        address = int(self.address) if self.address.isdecimal() else self.address
        capture: Any = cv2.VideoCapture(address)
        if not capture.isOpened():
            raise DatasetError(
                f"The stream {self.name} does not open: give the number of a camera (0 is the "
                "first) or an address that plays elsewhere, and see that nothing else holds it."
            )
        began = None
        try:
            with _until_interrupted() as stopped:
                for index in count():
                    if stopped.is_set() or not capture.grab():
                        return
                    now = time.monotonic()
                    began = now if began is None else began
                    if index % every == 0:
                        decoded, frame = capture.retrieve()
                        if decoded:
                            yield Frame(index, from_bgr(frame, colour), now - began)
        finally:
            capture.release()


def live_stream(text: str | None) -> LiveStream | None:
    """Tell a camera's number or a stream's address from a path; None for no stream."""
    if text is None:
        return None
    is_number = text.isdecimal() and not Path(text).exists()
    return LiveStream(text) if is_number or re.match(r"[a-z][a-z0-9+.-]+://", text, re.I) else None


@contextmanager
def _until_interrupted() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into an event; the next one is Python's own again."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = signal.getsignal(signal.SIGINT)

    def stop(*_: Any) -> None:
        stopped.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, stop)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)

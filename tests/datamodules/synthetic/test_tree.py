import errno
import json
import os
import signal
import threading
import time
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest

from datamodules.errors import DatasetError
from datamodules.files import MARKER
from datamodules.synthetic.tree import write_png, write_tree


def draw_three(folder: Path) -> None:
    for number in range(3):
        (folder / f"{number}.txt").write_text("face")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_whole_tree_carries_its_marker(tmp_path: Path) -> None:
    write_tree(tmp_path / "below" / "faces", {"seed": 3}, draw_three)
    root = tmp_path / "below" / "faces"
    assert names(root) == {"0.txt", "1.txt", "2.txt", MARKER}
    marker = json.loads((root / MARKER).read_text())
    assert marker["seed"] == 3
    assert len(marker["code"]) == 16
    assert names(root.parent) == {"faces", ".faces.lock"}


def test_same_parameters_are_not_drawn_again(tmp_path: Path) -> None:
    root = tmp_path / "faces"
    calls = []

    def draw(folder: Path) -> None:
        calls.append(folder)
        draw_three(folder)

    for seed in (1, 1, 2, 2):
        write_tree(root, {"seed": seed}, draw)
    assert len(calls) == 2
    assert json.loads((root / MARKER).read_text())["seed"] == 2


def test_failed_drawing_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        draw_three(folder)
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        write_tree(tmp_path / "faces", {}, fail)
    assert names(tmp_path) == {".faces.lock"}


def test_failed_redrawing_keeps_the_old_tree(tmp_path: Path) -> None:
    root = tmp_path / "faces"
    write_tree(root, {"seed": 1}, draw_three)

    def fail(folder: Path) -> None:
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        write_tree(root, {"seed": 2}, fail)
    assert json.loads((root / MARKER).read_text())["seed"] == 1


def test_full_disk_is_said_plainly(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(DatasetError, match=r"faces \(No space left on device\); free some space"):
        write_tree(tmp_path / "faces", {}, fill)
    assert not (tmp_path / "faces").exists()


def test_foreign_folder_is_not_touched(tmp_path: Path) -> None:
    root = tmp_path / "photographs"
    root.mkdir()
    (root / "mother.jpg").write_text("dear")
    with pytest.raises(DatasetError, match="was not drawn here"):
        write_tree(root, {}, draw_three)
    assert names(root) == {"mother.jpg"}


def test_empty_folder_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    write_tree(tmp_path / "faces", {}, draw_three)
    assert (tmp_path / "faces" / MARKER).exists()


def test_kill_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    root, drawing = tmp_path / "faces", tmp_path / ".faces.drawing"

    def draw_for_ever(folder: Path) -> None:
        for number in range(10_000):
            (folder / f"{number}.txt").write_text("face")
            time.sleep(0.01)

    with warnings.catch_warnings():
        # The child touches files only, none of the locks that other threads may hold.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            write_tree(root, {}, draw_for_ever)
        finally:
            os._exit(1)
    try:
        deadline = time.monotonic() + 20
        while not (drawing / "3.txt").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert drawing.exists()
    assert not root.exists()
    write_tree(root, {}, draw_three)
    assert names(root) == {"0.txt", "1.txt", "2.txt", MARKER}
    assert names(tmp_path) == {"faces", ".faces.lock"}


def test_two_at_once_draw_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path / "faces"
    started, calls = threading.Event(), []

    def draw(folder: Path) -> None:
        calls.append(folder)
        started.set()
        deadline = time.monotonic() + 20
        while "waiting" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.005)
        draw_three(folder)

    first = threading.Thread(target=write_tree, args=(root, {}, draw))
    first.start()
    assert started.wait(20)
    write_tree(root, {}, draw)
    first.join()
    assert len(calls) == 1
    assert f"Another process is drawing the synthetic faces {root}; waiting." in caplog.text


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3)])
def test_png_is_lossless(tmp_path: Path, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    write_png(tmp_path / "face.png", image)
    read = cv2.imread(str(tmp_path / "face.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(read if len(shape) == 2 else read[..., ::-1], image)

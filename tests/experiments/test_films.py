"""Films and streams as a person predicts on them."""

from __future__ import annotations

import csv
import os
import signal
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from datamodules.synthetic.rafdb import write_rafdb
from experiments.cli import main
from tests.datamodules.inputs.test_live import Camera
from tests.datamodules.test_faces import scene
from tests.experiments.test_face_experiments import experiment, only_run


def frame_at(time: int) -> Any:
    """Two people of whom the left one moves; between frames 4 and 6 the other one is away."""
    right = [] if 4 <= time <= 6 else [(230, 120, 45)]
    return scene((80 + 2 * time, 120, 40), *right)


def write_film(path: Path, frames: int) -> None:
    codec = cv2.VideoWriter_fourcc(*"FFV1")  # type: ignore[attr-defined]
    writer = cv2.VideoWriter(str(path), codec, 10, (320, 240))
    for time in range(frames):
        writer.write(cv2.cvtColor(frame_at(time), cv2.COLOR_GRAY2BGR))
    writer.release()


class Webcam(Camera):
    """Sees these frames for ever; Ctrl-C is pressed at the tenth."""

    def grab(self) -> bool:
        self.number += 1
        if self.number == 9:
            os.kill(os.getpid(), signal.SIGINT)
        assert self.number < 20
        return True

    def retrieve(self) -> tuple[bool, Any]:
        return True, cv2.cvtColor(frame_at(self.number), cv2.COLOR_GRAY2BGR)


def test_a_film_and_a_camera(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write_rafdb(folder / "tree", train=14, test=7)
    command = [*experiment("resnet18"), "--model.size=48"]
    main(["fit", *command, "--trainer.max_epochs=1"])
    run = only_run(folder / "runs", "resnet18")
    write_film(folder / "film.avi", 12)
    main(["predict", *command, "--ckpt_path=best", "--data.input=film.avi", "--every", "2"])

    (path,) = (run.path / "predict").glob("film*/predictions.csv")
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert sorted({int(row["frame"]) for row in rows}) == [0, 2, 4, 6, 8, 10]
    assert [(row["seconds"], row["track"]) for row in rows[:3]] == [
        ("0.000", "1"),
        ("0.000", "2"),
        ("0.200", "1"),
    ]
    assert [row["track"] for row in rows if row["frame"] in ("4", "6")] == ["1", "1"]
    assert {row["track"] for row in rows} == {"1", "2"}
    assert {row["smoothing_s"] for row in rows} == {"0.5"}
    assert "haarcascade" in rows[0]["detector"]
    happiness = [float(row["smoothed_happiness"]) for row in rows if row["track"] == "1"]
    raw = [float(row["happiness"]) for row in rows if row["track"] == "1"]
    assert np.std(happiness) < np.std(raw)

    (mp4,) = (run.path / "figures" / "predict").rglob("*.mp4")
    film = cv2.VideoCapture(str(mp4))
    assert (film.get(cv2.CAP_PROP_FRAME_COUNT), film.get(cv2.CAP_PROP_FPS)) == (6, 5)
    shown = film.read()[1]
    assert (shown[..., 2].astype(int) - shown[..., 0] > 100).any()  # a box, where all was grey
    assert len(list((run.path / "figures" / "predict").rglob("film.avi_timeline.png"))) == 1

    monkeypatch.setattr(cv2, "VideoCapture", Webcam)
    main(["predict", *command, "--ckpt_path=best", "--data.input=0"])
    (path,) = (run.path / "predict").glob("camera_0*/predictions.csv")
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert {int(row["frame"]) for row in rows} == set(range(10))
    assert {row["source"] for row in rows} == {"camera_0"}
    capfd.readouterr()
    with pytest.raises(SystemExit) as exit_:
        main(["predict", *command, "--ckpt_path=best", "--data.input=rtsp://a:b@nowhere/a"])
    assert exit_.value.code == 1
    assert not list((run.path / "predict").glob("rtsp*/*"))
    assert "rtsp://***@nowhere/a" in (run.path / "config.predict.yaml").read_text()
    told = capfd.readouterr().err.strip().splitlines()[-1]
    assert "The stream rtsp_nowhere_a does not open" in told

from __future__ import annotations

import csv
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from datamodules.errors import UserError
from experiments.cli import main
from experiments.export import draw_film
from experiments.recognition import Recognizer
from lightning_modules import (
    DCGANSVM,
    SSIMVAE,
    EMotionGAN,
    FlowCNNClassifier,
    ResNet18Classifier,
)
from tests.datamodules.test_detectors import StandIn
from tests.datamodules.test_faces import scene
from tests.datamodules.trees import write_frames, write_video
from tests.lightning_modules.svm.fitted import fit

pytest.importorskip("onnxruntime")

CK7 = ("happiness", "sadness", "surprise", "fear", "anger", "disgust", "contempt")
STILLS = {
    "class_path": "datamodules.RAFDBDataModule",
    "init_args": {"root": "/data/rafdb", "size": 32, "input_crop": "none"},
}
MOTION = {
    "class_path": "datamodules.OccludedCKPlusDataModule",
    "init_args": {"root": "/data/ck", "size": 32, "expressions": "ck7", "crop": "none"},
}


def checkpoint(path: Path, model: Any, data: dict[str, Any], names: tuple[str, ...]) -> Path:
    """Write what `fit` leaves, without training."""
    name = f"{type(model).__module__}.{type(model).__qualname__}"
    owner = data["class_path"].rpartition(".")[2]
    config = {"class_path": name, "init_args": dict(model.hparams)}
    content = {
        "state_dict": model.state_dict(),
        "config": {"model": config, "data": data},
        owner: {"source": "synthetic", "colour": data is STILLS},
        "class_names": list(names),
    }
    torch.save(content, path)
    return path


def resnet() -> ResNet18Classifier:
    return ResNet18Classifier(7, 32, stem="small", width=4).eval()


@pytest.fixture
def film(folder: Path) -> Path:
    write_video(folder / "film.avi", person=1, frames=9, head=3.0)
    return folder / "film.avi"


def closest(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> float:
    """Largest difference of any number of the same rows; what is no number must be equal."""
    assert len(one) == len(other) > 0
    largest = 0.0
    for row, beside in zip(one, other, strict=True):
        assert list(row) == list(beside)
        for name, value in row.items():
            if isinstance(value, float) and not math.isnan(value):
                largest = max(largest, abs(value - beside[name]))
            elif not isinstance(value, float):
                assert value == beside[name], name
    return largest


@pytest.mark.parametrize(
    ("model", "data"),
    [
        pytest.param(resnet, STILLS, id="still"),
        pytest.param(lambda: FlowCNNClassifier(7, 32), MOTION, id="Flow-CNN"),
        pytest.param(lambda: SSIMVAE(7, 32, latent=4, width=4), MOTION, id="SSIM-VAE"),
        pytest.param(lambda: fit(DCGANSVM(7, 32, width=4), 7), STILLS, id="DCGAN + SVM"),
    ],
)
def test_a_checkpoint_and_its_onnx_file_give_the_same_rows(
    film: Path, model: Callable[[], Any], data: dict[str, Any]
) -> None:
    names = CK7 if data is MOTION else tuple("abcdefg")
    path = checkpoint(film.parent / "best.ckpt", model().eval(), data, names)
    main(["export", f"--ckpt_path={path}", f"--check_on={film}"])
    rows = [
        list(Recognizer.load(file, every=2)(film)) for file in (path, path.with_suffix(".onnx"))
    ]
    assert closest(*rows) < 1e-4
    first = rows[0][-1]
    assert (first["frame"], first["seconds"], first["track"]) == (8, 0.8, 1)
    assert sum(first[name] for name in names) == pytest.approx(1, abs=1e-5)
    assert first["trained_on"] == "synthetic"


@pytest.mark.slow
def test_emotion_gan_gives_the_same_rows_of_a_face(folder: Path) -> None:
    # Of a face: where nothing like a head moves, the fit of its motion is no stable problem.
    arguments = {**MOTION["init_args"], "size": 64, "crop": "loose"}
    data = {**MOTION, "init_args": arguments}
    model = EMotionGAN(7, 64, 4).eval()
    model.judges.flow.fitted.fill_(True)  # as fit leaves it: else it answers NaN
    path = checkpoint(folder / "best.ckpt", model, data, CK7)
    main(["export", f"--ckpt_path={path}"])
    frames = draw_film(5).arrays
    rows = [list(Recognizer.load(f)(frames)) for f in (path, path.with_suffix(".onnx"))]
    assert closest(*rows) < 1e-4


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX file of a still method that looks for faces."""
    folder = tmp_path_factory.mktemp("exported")
    data = {**STILLS, "init_args": {"size": 32}}
    path = checkpoint(folder / "still.ckpt", resnet(), data, tuple("abcdefg"))
    main(["export", f"--ckpt_path={path}"])
    return path.with_suffix(".onnx")


@pytest.fixture
def still(folder: Path, exported: Path) -> Path:
    """That file alone."""
    return Path(shutil.copy(exported, folder))


def test_the_file_alone_is_read_and_torch_is_not_imported(still: Path) -> None:
    Path("in").mkdir()
    cv2.imwrite("in/a.png", scene((80, 120, 40), (230, 120, 45)))
    script = (
        "import sys; from experiments.cli import main; "
        f"main(['predict', '--onnx', {str(still)!r}, '--data.input', 'in', '--every', '2']); "
        "sys.exit(bool({'torch', 'lightning'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    table = Path(done.stdout.strip().splitlines()[-1])
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["source"], row["track"]) for row in rows] == [("a.png", "1"), ("a.png", "2")]
    assert "haarcascade" in rows[0]["detector"]
    expected = [row["a"] for row in Recognizer.load(still)("in")]
    assert [float(row["a"]) for row in rows] == pytest.approx(expected, abs=1e-6)
    drawn = cv2.imread(str(table.parent / "a.png")).astype(int)
    assert (drawn[..., 2] - drawn[..., 0] > 100).any()  # a box, where all was grey


def test_a_film_is_drawn_beside_its_rows(still: Path) -> None:
    codec = cv2.VideoWriter_fourcc(*"FFV1")  # type: ignore[attr-defined]
    writer = cv2.VideoWriter("film.avi", codec, 10, (320, 240), isColor=False)
    for time in range(9):
        writer.write(scene((80 + 2 * time, 120, 40)))
    writer.release()
    given = ["predict", f"--onnx={still}", "--data.input=film.avi", "--every=2"]
    main([*given, "--output=out"])
    (table,) = Path("out", "predict").glob("film*/predictions.csv")
    shown = cv2.VideoCapture(str(table.parent / "film.avi.mp4"))
    assert (shown.get(cv2.CAP_PROP_FRAME_COUNT), shown.get(cv2.CAP_PROP_FPS)) == (5, 5)
    assert cv2.imread(str(table.parent / "film.avi_timeline.png")) is not None
    main([*given, "--output=bare", "--films.annotated=false", "--films.timeline=false"])
    assert {path.name for path in Path("bare").rglob("*") if path.is_file()} == {"predictions.csv"}


def test_frames_in_memory_are_a_film(still: Path) -> None:
    recognizer = Recognizer.load(still, smoothing=0.5)
    frames = [scene((80 + 3 * t, 120, 40), (230, 120, 45)) for t in range(4)]
    rows = list(recognizer(frames))
    assert [(row["frame"], row["track"]) for row in rows] == [
        (t, n) for t in range(4) for n in (1, 2)
    ]
    assert all(math.isnan(row["seconds"]) for row in rows)
    colour = np.stack([np.dstack([frame] * 3) for frame in frames])
    assert closest(list(recognizer(colour)), rows) == 0
    assert list(recognizer([scene()])) == []
    with pytest.raises(UserError, match=r"An image is float64 \[240, 320\]: give uint8 \[N, H, W"):
        next(recognizer([np.zeros((240, 320))]))
    with pytest.raises(UserError, match=r"\[240, 320, 3\], which is one RGB picture"):
        next(recognizer(colour[0]))


def test_rows_say_what_found_the_faces(still: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = type("FaceDetectorYN", (), {"create": staticmethod(lambda *given: StandIn())})
    monkeypatch.setattr(cv2, "FaceDetectorYN", made)
    Path("yunet.onnx").touch()
    frame = np.full((120, 160, 3), 90, np.uint8)
    rows = list(Recognizer.load(still, detector="yunet.onnx")([frame]))
    assert [row["width"] for row in rows] == [96, 48]  # 1.2 times the faces' sides
    assert {row["detector"] for row in rows} == {f"YuNet of OpenCV {cv2.__version__} (yunet.onnx)"}
    (row,) = Recognizer.load(still)([scene((80, 120, 40))])
    assert row["detector"].startswith("haarcascade_frontalface_alt2 of OpenCV")


def test_the_file_says_what_it_is(still: Path) -> None:
    said = Recognizer.load(still).method.metadata  # type: ignore[attr-defined]
    assert json.loads(said["class_names"]) == list("abcdefg")
    assert (said["trained_on"], said["synthetic"], said["margin"]) == ("synthetic", "true", "1.2")
    assert "haarcascade" in said["detector"]
    assert said["license"].startswith("Apache-2.0")
    assert len(said["commit"].split()[0]) in (7, 40)  # unknown, or a hash


def test_what_cannot_be_loaded_is_a_sentence(folder: Path, still: Path) -> None:
    for name, message in (
        ("no.onnx", "no.onnx does not exist"),
        ("no.ckpt", "no.ckpt does not exist: give the path"),
        ("bad.onnx", "is no ONNX file that onnxruntime reads"),
    ):
        Path("bad.onnx").write_text("no network")
        with pytest.raises(UserError, match=message):
            Recognizer.load(name)
    with pytest.raises(UserError, match=r"every must be at least 1"):
        Recognizer.load(still, every=0)
    with pytest.raises(UserError, match="There is no neutral face no"):
        Recognizer.load(still, neutral="no.png")


def test_a_wrong_command_line_and_a_bad_file_end_with_a_sentence(
    still: Path, refused: Callable[..., tuple[int, str]]
) -> None:
    given = ("predict", f"--onnx={still}")
    for wrong, told in (
        ((), "predict --onnx needs an input: add --data.input"),
        (("--data.inptu=a",), "takes no --data.inptu; did you mean --data.input?"),
        (("--data.input=a", "--config=a.yaml"), "predict --onnx takes no --config"),
        (("--data.input=a", "--films.timeline=x"), "must be true or false, but is 'x'"),
    ):
        code, said = refused(*given, *wrong)
        assert code == 2
        assert told in said
    assert (
        "The ONNX file best does not exist"
        in refused("predict", "--onnx=best", "--data.input=a")[1]
    )
    code, said = refused(*given, "--data.input=nowhere.mp4")
    assert code == 1
    assert "There is no input nowhere.mp4" in said
    Path("in").mkdir()
    cv2.imwrite("in/a.png", scene((80, 120, 40)))
    Path("in/b.png").write_text("no picture")
    code, said = refused(*given, "--data.input=in")
    assert code == 1
    assert "in/b.png: the file is not an image" in said
    assert len(list(Path("predict").glob("in-*/predictions.csv"))) == 1
    main([*given, "--data.input=in", "--data.on_bad_sample=skip"])
    write_frames(Path("frames"), person=1, frames=2)
    assert "Nothing is answered" in refused(*given, "--data.input=frames")[1]

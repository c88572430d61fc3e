"""`lightning generate`, on drawn recordings."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from datamodules.files import MARKER, is_synthetic
from datamodules.folds.leak_guard import fingerprint
from datamodules.index.generated import LIST, GeneratedFace, read_generated
from experiments.cli import main
from experiments.generate import pairs
from lightning_modules.emotion_gan import EMotionGAN
from lightning_modules.flow_cnn import FlowCNNClassifier
from tests.datamodules.trees import ckplus_tree, picture

Refused = Callable[..., tuple[int, str]]

SIZE = 32
DATA: dict[str, Any] = {
    "root": "tree",
    "size": SIZE,
    "expressions": "ck7",
    "crop": "none",
    "fold_mode": "stride",
}
COMMAND = [
    "generate",
    *("--config", "experiments/emotion_gan.yaml", "--config", "experiments/data/ckplus.yaml"),
    *(f"--data.{name}={value}" for name, value in DATA.items()),
    *("--model.num_classes=7", f"--model.size={SIZE}"),
    "--faces=faces",
]


def command(classes: str = "happiness", per_class: int = 4, **options: Any) -> list[str]:
    own = {"class": classes, "per_class": per_class, "out": "made", **options}
    return [*COMMAND, *(f"--{name}={value}" for name, value in own.items())]


@pytest.fixture(autouse=True)
def _tree(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four people of whom two train, and the neutral faces of two others."""
    monkeypatch.chdir(folder)
    ckplus_tree(folder / "tree", subjects=4)
    (folder / "faces" / "more").mkdir(parents=True)
    for number, name in ((7, "anna.png"), (8, "more/otto.jpg")):
        assert cv2.imwrite(f"faces/{name}", picture(number, 0, size=64))


def stored(face: GeneratedFace, out: str = "made") -> NDArray[np.float64]:
    return np.asarray(cv2.imread(f"{out}/{face.file}", cv2.IMREAD_GRAYSCALE), np.float64)


def checkpoint(path: str, model: Any, fitted: bool = True, **training: Any) -> str:
    """Write what `fit` leaves, without training."""
    if fitted and isinstance(model, EMotionGAN):
        model.judges.flow.fitted.fill_(True)
    name = f"{type(model).__module__}.{type(model).__qualname__}"
    data = {"class_path": "datamodules.CKPlusDataModule", "init_args": DATA}
    config = {"model": {"class_path": name, "init_args": dict(model.hparams)}, "data": data}
    torch.save({"state_dict": model.state_dict(), "config": config, **training}, path)
    return path


def test_the_motion_of_training_people_is_put_onto_other_faces(
    capfd: pytest.CaptureFixture[str],
) -> None:
    Path("faces", MARKER).touch()
    main(command("happiness,surprise"))
    assert is_synthetic(Path("made"))
    assert capfd.readouterr().out.strip() == "made"
    made = read_generated(Path("made"))
    assert [face.expression for face in made] == ["happiness"] * 4 + ["surprise"] * 4
    # Fold 0 tests S001, fold 1 validates S002.
    assert {face.person for face in made} == {"S003", "S004"}
    assert {face.face for face in made} == {"anna.png", "more/otto.jpg"}
    assert len({(face.face, face.sequence) for face in made}) == 8
    for face in made:
        assert Path("made", face.file).parent.name == face.expression
        assert face.sequence.replace("/", "_") in face.file
        assert (face.source, face.gain, face.made_by) == ("tree", 1, "warp")
        assert face.face_content == fingerprint(Path("faces", face.face).read_bytes())
        apex = min(Path("tree/cohn-kanade-images", face.sequence).glob("*3.png"))
        assert face.motion_content == fingerprint(apex.read_bytes())
        # Both swell, so that the face is nearer to its own apex than it was.
        person = 7 if face.face == "anna.png" else 8
        neutral, apex_ = picture(person, 0, size=64), picture(person, 1, size=64)
        before = np.abs(neutral - apex_.astype(int)).mean()
        assert np.abs(stored(face) - apex_).mean() < 0.8 * before
    assert not list(Path().glob(".made*"))


def test_the_same_seed_makes_the_same_faces(folder: Path) -> None:
    Path("again").mkdir()
    for out, seed in (("made", 0), ("again", 0), ("other", 1)):
        main(command(per_class=3, out=out, seed_everything=seed))
    first, again, _ = (
        {path.relative_to(out): path.read_bytes() for path in Path(out).rglob("*.png")}
        for out in ("made", "again", "other")
    )
    assert first == again
    assert len(first) == 3
    chosen = [[(f.face, f.sequence) for f in read_generated(Path(p))] for p in ("made", "other")]
    assert chosen[0] != chosen[1]


@pytest.mark.parametrize("drawn", [False, True])
def test_a_gain_of_0_leaves_the_neutral_face(drawn: bool) -> None:
    given: dict[str, Any] = {}
    if drawn:
        given["ckpt_path"] = checkpoint("best.ckpt", EMotionGAN(7, SIZE, 2, image_prior="warp"))
    moved = []
    for gain in (0, 1, 2):
        main(command(out=f"made{gain}", **{"model.gain": gain}, **given))
        made = read_generated(Path(f"made{gain}"))
        assert {face.made_by for face in made} == {"EMotionGAN" if drawn else "warp"}
        assert {face.checkpoint for face in made} == {given.get("ckpt_path", "")}
        neutral = (cv2.imread(f"faces/{face.face}", cv2.IMREAD_GRAYSCALE) for face in made)
        apart = [np.abs(stored(f, f"made{gain}") - n) for f, n in zip(made, neutral, strict=True)]
        moved.append(max(float(difference.mean()) for difference in apart))
        assert gain or max(map(np.max, apart)) <= 1
    assert moved[0] < 0.5 < moved[1] < moved[2]


def test_of_an_interrupted_command_nothing_is_left_that_looks_whole(
    folder: Path, refused: Refused
) -> None:
    Path(".made.unfinished/fear").mkdir(parents=True)
    Path(".made.unfinished/fear/old.png").touch()
    Path("faces/broken.png").write_text("no picture")
    code, said = refused(*command(per_class=5))
    assert code == 1
    assert said == (
        "lightning: 4 faces of happiness can be made of the 2 faces found in faces and 2 motions, "
        "but --per_class is 5: ask for fewer, or give pictures that show more faces."
    )
    assert not Path("made").exists()
    main(command())
    assert {path.name for path in Path("made").iterdir()} == {"happiness", LIST}
    assert not Path(".made.unfinished").exists()
    code, said = refused(*command())
    assert (code, said) == (
        2,
        "lightning: generate: argument --out: must be a new or empty folder, but 'made' is in the "
        "way.",
    )
    assert len(read_generated(Path("made"))) == 4


def test_what_cannot_be_made_is_one_sentence(refused: Refused) -> None:
    Path("empty").mkdir()
    for options, sentence in (
        ({"classes": "hapiness"}, "names hapiness; did you mean happiness"),
        ({"classes": "neutral"}, "--class names neutral"),
        ({"classes": ","}, "must name an expression, e.g. fear,disgust"),
        ({"classes": "fear"}, "The training fold of tree has no sequence of fear"),
        ({"faces": "empty"}, "empty holds no picture of a face"),
        ({"faces": "nowhere"}, "must be a folder of neutral faces, but 'nowhere' is none"),
        ({"per_class": 0}, "must be at least 1"),
        ({"ckpt_path": "no.ckpt"}, "The checkpoint no.ckpt does not exist"),
        ({"data.sise": 3}, "takes no sise"),
    ):
        code, said = refused(*command(**options))
        assert code in (1, 2)
        assert sentence in said
        assert not Path("made").exists()
    main(command())
    said = refused(*command(faces="made", out="twice"))[1]
    assert "The faces in made were generated: give real neutral faces" in said
    own = ["--class=happiness", "--faces=faces", "--out=x", "--data.root=tree"]
    said = refused("generate", "--config", "experiments/pcnn.yaml", *own)[1]
    assert "give its experiment: --config experiments/emotion_gan.yaml" in said


def test_a_checkpoint_that_cannot_draw_is_refused(refused: Refused) -> None:
    seen = fingerprint(Path("tree/cohn-kanade-images/S001/001/S001_001_00000003.png").read_bytes())
    leaks = {"source": "tree", "people": ["S001"], "contents": torch.tensor([seen])}
    gan = EMotionGAN(7, SIZE, 2)
    for model, options, sentence in (
        (FlowCNNClassifier(7, SIZE), {}, "draws no face along a flow: give a checkpoint of eMot"),
        (gan, {"fitted": False}, "This eMotion-GAN was never trained"),
        (EMotionGAN(7, 64, 2), {}, "draws faces of 64 pixels, but data.size is 32"),
        (
            gan,
            {"CKPlusDataModule": {"trained_on": [leaks], "colour": False, "source": "tree"}},
            "was trained on S001 of tree, who are in the test part here",
        ),
    ):
        path = checkpoint("best.ckpt", model, **options)
        assert sentence in refused(*command(ckpt_path=path))[1]
    torch.save({"state_dict": {}}, "best.ckpt")
    assert "draws no face along a flow" in refused(*command(ckpt_path="best.ckpt"))[1]
    assert not Path("made").exists()


def test_it_trains_beside_a_data_set() -> None:
    main(command("happiness"))
    fit = [
        *("fit", "--config", "experiments/resnet18.yaml"),
        *("--config", "experiments/data/ckplus_faces.yaml", "--data.root=tree"),
        *("--data.fold_mode=stride", "--data.crop=none", "--data.expressions=ck7"),
        *("--model.num_classes=7", "--model.size=32", "--model.width=2", "--model.weights=null"),
        *("--trainer.max_epochs=1", "--trainer.accelerator=cpu", "--data.extra=made"),
        "--trainer.enable_progress_bar=false",
    ]
    main(fit)
    said = next(Path("runs").rglob("data.txt")).read_text()
    assert "4 generated faces of made train too: happiness 4" in said
    assert "train: 12 images of 3 people" in said
    main(["test", *fit[1:], "--ckpt_path=last"])
    with next(Path("runs").rglob("predictions.csv")).open() as file:
        samples = [row["sample"] for row in csv.DictReader(file)]
    assert samples
    assert all("S001" in sample for sample in samples)


def test_each_pair_comes_once_and_each_face_before_any_comes_again() -> None:
    found = list(pairs(5, 3, np.random.default_rng(0)))
    assert len(found) == len({*found}) == 15
    for turn in range(3):
        assert {face for face, _ in found[5 * turn : 5 * turn + 5]} == {*range(5)}
    # Motions, too, take turns.
    assert len({motion for _, motion in found[:5]}) > 1

"""Judges in ONNX files: how they read, what they answer, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from datamodules.errors import UserError
from experiments.export import save_onnx
from lightning_modules import PCNN, EMotionGAN, ResNet18Classifier
from lightning_modules.face_classifier import FaceClassifier
from lightning_modules.onnx_judge import OnnxJudge
from tests.lightning_modules.fakes import CLASS_NAMES, SIZE, FakeDataModule, fake_batch

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

Made = dict[str, tuple[FaceClassifier, tuple[str, ...]]]
JUDGES: dict[str, tuple[Callable[[], FaceClassifier], tuple[str, ...]]] = {
    "ResNet": (
        lambda: ResNet18Classifier(4, 32, stem="small", width=4),
        ("surprise", "contempt", "neutral", "happiness"),
    ),
    "PCNN": (
        lambda: PCNN(3, 48, stem="pooled", width=4, regions="three"),
        ("happy", "surprised", "neutral"),
    ),
}
WORDS = {"happy": "happiness", "surprised": "surprise"}


def teach(model: FaceClassifier, classes: Sequence[str]) -> None:
    """Show it the faces a few times, so that its answers are not all one class."""
    batch, size = fake_batch(12), model.example_input_array.shape[-2:]  # type: ignore[union-attr]
    face = functional.interpolate(batch["apex"], size, mode="bilinear", antialias=True)
    names = [WORDS.get(name, name) for name in classes]
    label = torch.tensor([names.index(CLASS_NAMES[number]) for number in batch["label"]])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(12):
        optimizer.zero_grad()
        model.losses(face, label)["total"].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    model.eval()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Made]:
    """A ResNet-18 and a PCNN, each in its own order of classes, as files and as networks."""
    folder = tmp_path_factory.mktemp("judges")
    networks: Made = {}
    for seed, (name, (build, classes)) in enumerate(JUDGES.items()):
        torch.manual_seed(seed)
        model = build()
        teach(model, classes)
        size = list(model.example_input_array.shape[-2:])  # type: ignore[union-attr]
        inputs = {"image": torch.rand(2, 3, *size)}
        metadata = {"class_names": json.dumps(classes), "input_size": json.dumps(size)}
        path = folder / f"{name}.onnx"
        save_onnx(model, inputs, path, outputs=["logits"], metadata=metadata)
        networks[name] = (model, classes)
    return folder, networks


def expected(model: FaceClassifier, classes: Sequence[str], face: Tensor, label: Tensor) -> Tensor:
    """Whether the network itself answers the right class."""
    size = model.example_input_array.shape[-2:]  # type: ignore[union-attr]
    shown = functional.interpolate(face, size, mode="bilinear", antialias=True)
    answers = [classes[number] for number in model(shown).argmax(dim=1).tolist()]
    right = [WORDS.get(a, a) == CLASS_NAMES[n] for a, n in zip(answers, label, strict=True)]
    return torch.tensor(right).float()


def test_two_judges_say_the_same_of_every_row_as_their_networks(
    made: tuple[Path, Made], model: Callable[..., EMotionGAN], trainer: Callable[..., Any]
) -> None:
    folder, networks = made
    files = {name: str(folder / f"{name}.onnx") for name in networks}
    module, data = model(judges=files, image_prior="warp"), FakeDataModule(12, 5)
    module.judges.flow.fitted.fill_(True)
    seen: dict[str, list[tuple[Tensor, Tensor]]] = {}
    count = module.judges.count_face

    def note(row: str, face: Tensor, batch: Any) -> dict[str, Tensor]:
        seen.setdefault(row, []).append((face.clone(), batch["label"]))
        return count(row, face, batch)

    module.judges.count_face = note  # type: ignore[method-assign]
    results = trainer().test(module, datamodule=data, verbose=False)[0]
    assert {"posed_apex", "neutral", "apex", "emotion_gan", "emotion_gan_warp"} <= seen.keys()
    answers = set()
    for row, batches in seen.items():
        for name, (network, classes) in networks.items():
            with torch.no_grad():
                right = torch.cat([expected(network, classes, *batch) for batch in batches])
            share = results[f"test/{row}_image_accuracy_{name}"]
            assert share == pytest.approx(right.mean().item(), abs=1e-6), (row, name)
            answers.add(share)
    assert len(answers) > 2  # they do not all say one thing


def test_judges_are_asked_in_test_only(
    made: tuple[Path, Made], model: Callable[..., EMotionGAN], trainer: Callable[..., Any]
) -> None:
    module = model(judges={"A": str(made[0] / "PCNN.onnx")})
    runner = trainer(limit_train_batches=1)
    runner.fit(module, datamodule=FakeDataModule())
    assert not any("image_accuracy_A" in name for name in runner.callback_metrics)
    wrong = means(made[0] / "wrong.onnx")
    with pytest.raises(UserError, match=r"wrong.onnx does not name its classes"):
        trainer().fit(model(judges={"A": str(wrong)}), datamodule=FakeDataModule())


def means(path: Path, *, last: bool = False, batch: Any = "batch", **said: Any) -> Path:
    """Write a network whose scores are the means of the channels of images of 8x8 pixels."""
    shape = [batch, 8, 8, 3] if last else [batch, 3, 8, 8]
    node = onnx.helper.make_node(
        "ReduceMean", ["image"], ["out"], axes=[1, 2] if last else [2, 3], keepdims=0
    )
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, dims)
        for name, dims in (("image", shape), ("out", [batch, 3]))
    ]
    graph = onnx.helper.make_graph([node], "means", values[:1], values[1:])
    opset = onnx.helper.make_opsetid("", 13)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)
    onnx.helper.set_model_props(model, {key: json.dumps(value) for key, value in said.items()})
    onnx.save(model, path)
    return path


def with_yaml(path: Path, text: str) -> OnnxJudge:
    path.with_suffix(".yaml").write_text("class_names: [neutral, happy, surprise]\n" + text)
    return OnnxJudge(path, CLASS_NAMES)


def test_a_yaml_says_how_faces_are_normalised(tmp_path: Path) -> None:
    path = means(tmp_path / "a.onnx")
    face = torch.rand(2, 3, 8, 8)
    judge = with_yaml(path, "colour: BGR\nscale: 255\nmean: [1, 2, 3]\nstd: [2.5, 1, 1]")
    wanted = 255 * face.flip(1) - torch.tensor([1.0, 2, 3]).view(3, 1, 1)
    wanted[:, 0] /= 2.5
    torch.testing.assert_close(judge.prepare(face), wanted)
    green = torch.zeros(2, 3, 8, 8)
    green[:, 2] = 1.0  # blue, which comes first: the first class
    assert judge(green).tolist() == [0, 0]
    grey = with_yaml(path, "colour: grey").prepare(face)
    assert torch.equal(grey[:, 0], grey[:, 1])
    torch.testing.assert_close(
        grey[:, 0], 0.299 * face[:, 0] + 0.587 * face[:, 1] + 0.114 * face[:, 2]
    )


def test_channels_may_come_last(tmp_path: Path) -> None:
    # And it may have been exported for one image.
    path = means(tmp_path / "last.onnx", last=True, batch=1)
    red = torch.zeros(2, 3, SIZE, SIZE)
    red[0, 0], red[1, 2] = 1.0, 1.0
    assert with_yaml(path, "").prepare(red).shape == (2, 8, 8, 3)
    assert with_yaml(path, "")(red).tolist() == [0, 2]


def test_a_judge_sees_the_middle_that_it_learned_of(tmp_path: Path) -> None:
    path = means(tmp_path / "a.onnx", class_names=CLASS_NAMES, margin=1.2)
    face = torch.zeros(1, 3, 32, 32)
    face[:, :, 4:28, 4:28] = 1.0  # 1.2 of 1.6
    assert OnnxJudge(path, CLASS_NAMES, loose=True).prepare(face).min() == 1
    assert OnnxJudge(path, CLASS_NAMES).prepare(face).min() < 0.1


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({}, "does not name its classes: write class_names.*into a.yaml"),
        ({"class_names": ["neutral", "happy", "boredom"]}, "no expressions, boredom: write words"),
        ({"class_names": ["neutral", "happy", "fear"]}, "lacks surprise among its classes neutral"),
        ({"class_names": ["happy", "joy", "neutral"]}, "lacks surprise"),
        ({"class_names": CLASS_NAMES, "batch": 4}, "reads exactly 4 images at once"),
        (
            {"class_names": ["neutral", "happy", "surprise", "fear"]},
            "0 are scores of its 4 classes",
        ),
        (
            {"class_names": CLASS_NAMES, "input_size": [16, 16]},
            r"reads images of \[8, 8\] pixels, height and width, but its input_size is \[16, 16\]",
        ),
    ],
)
def test_what_cannot_judge_is_refused(tmp_path: Path, said: dict[str, Any], message: str) -> None:
    path = means(tmp_path / "a.onnx", **said)
    with pytest.raises(UserError, match=message):
        OnnxJudge(path, CLASS_NAMES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour: green", "says colour: green, but expected is RGB, BGR, grey"),
        ("std: 0", "says std: 0, but expected is a number above 0"),
        ("mean: [1, 2]", "a number, or one for each of three channels"),
        ("input_size: 8", r"expected is \[H, W\] in pixels"),
        ("sizes: 8", "says sizes, which is unknown: it may say class_names, colour"),
        ("colour: [", "is no YAML file"),
    ],
)
def test_a_wrong_yaml_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = means(tmp_path / "a.onnx")
    with pytest.raises(UserError, match=message):
        with_yaml(path, text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"judges": {"a b": "a.onnx"}}, "calls a judge 'a b': expected are letters"),
        ({"judges": {"A": "a.ckpt"}}, "expected is an ONNX file: write a checkpoint .* by light"),
        ({"judges": {"A": "a.onnx"}}, r"The ONNX file a.onnx of the judge A does not exist"),
        ({"e_fer_checkpoint": "a.onnx"}, "an ONNX file gives no gradients"),
    ],
)
def test_names_and_files_of_another_kind_are_refused_at_once(
    model: Callable[..., EMotionGAN], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        model(**options)

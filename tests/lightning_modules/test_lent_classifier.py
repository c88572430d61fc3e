"""A classifier of stills that eMotion-GAN asks as e_FER."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules.errors import UserError
from lightning_modules import PCNN, EMotionGAN, ResNet18Classifier
from lightning_modules.face_classifier import FaceClassifier
from lightning_modules.lent_classifier import LentClassifier
from tests.lightning_modules.fakes import CLASS_NAMES, SIZE, FakeDataModule

ORDER = ("surprise", "fear", "neutral", "happiness")


def save(path: Path, method: FaceClassifier, classes: tuple[str, ...] = ORDER) -> Path:
    name = f"{type(method).__module__}.{type(method).__qualname__}"
    config = {"model": {"class_path": name, "init_args": {}}, "data": {"class_path": ""}}
    content = {
        "state_dict": method.state_dict(),
        "hyper_parameters": dict(method.hparams),
        "config": config,
        "class_names": list(classes),
    }
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    "build",
    [
        lambda: ResNet18Classifier(4, SIZE, stem="small", width=4),
        lambda: PCNN(4, 48, stem="small", width=4, regions="four"),
    ],
)
def test_it_answers_in_the_classes_of_the_run_with_gradients(
    build: Callable[[], FaceClassifier], tmp_path: Path
) -> None:
    method = build().eval()
    checkpoint = torch.load(save(tmp_path / "a.ckpt", method), weights_only=True)
    lent = LentClassifier(type(method), checkpoint, CLASS_NAMES, "a.ckpt", loose=False)
    face = torch.rand(2, 3, SIZE, SIZE, requires_grad=True)
    size = method.example_input_array.shape[-2:]  # type: ignore[union-attr]
    shown = torch.nn.functional.interpolate(face, size, mode="bilinear", antialias=True)
    logits = lent(face)
    torch.testing.assert_close(logits, method(shown)[:, [2, 3, 0]])
    (gradient,) = torch.autograd.grad(
        logits.sum() + sum(m.sum() for m in lent.features(face)), face
    )
    assert gradient.abs().sum() > 0
    assert [m.shape[1] for m in lent.features(face)] == [4, 8, 16]
    assert not any(parameter.requires_grad for parameter in lent.parameters())


def test_emotion_gan_learns_of_it_and_keeps_it_out_of_its_checkpoint(
    model: Callable[..., EMotionGAN], trainer: Callable[..., Any], tmp_path: Path
) -> None:
    path = save(tmp_path / "a.ckpt", ResNet18Classifier(4, SIZE, stem="small", width=4))
    module, plain = model(e_fer_checkpoint=str(path)), model()
    trainer(limit_train_batches=1, limit_val_batches=0).fit(module, datamodule=FakeDataModule())
    assert isinstance(module._lent[0], LentClassifier)
    assert module.state_dict().keys() == plain.state_dict().keys()
    assert not module.e_fer.fitted


def test_a_class_that_it_has_not_learnt_is_refused(
    model: Callable[..., EMotionGAN], trainer: Callable[..., Any], tmp_path: Path
) -> None:
    classes = ("anger", "fear", "neutral", "happiness")
    path = save(tmp_path / "a.ckpt", ResNet18Classifier(4, SIZE, stem="small", width=4), classes)
    with pytest.raises(UserError, match=r"a.ckpt has not learnt surprise, but anger, fear"):
        trainer().fit(model(e_fer_checkpoint=str(path)), datamodule=FakeDataModule())

"""Every method knows which classes it learnt, in which order, and refuses data of others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lightning_modules
from datamodules.errors import UserError
from lightning_modules import (
    DCGANSVM,
    PCNN,
    SSIMVAE,
    EMotionGAN,
    FlowCNNClassifier,
    ResNet18Classifier,
)
from tests.lightning_modules import dcgan_fakes, face_fakes, fakes, occluded_fakes

METHODS: dict[type, tuple[Callable[[int], Any], Callable[[], Any]]] = {
    DCGANSVM: (
        lambda k: DCGANSVM(k, 16, width=4, features="pixels", search_trials=1, search_folds=2),
        dcgan_fakes.BarFaces,
    ),
    EMotionGAN: (lambda k: EMotionGAN(k, 32, 2, e_fer_epochs=1), fakes.FakeDataModule),
    FlowCNNClassifier: (lambda k: FlowCNNClassifier(k, 16), occluded_fakes.OccludedDataModule),
    PCNN: (lambda k: PCNN(k, 48, width=2), face_fakes.FaceFakes),
    ResNet18Classifier: (lambda k: ResNet18Classifier(k, 48, width=2), face_fakes.FaceFakes),
    SSIMVAE: (lambda k: SSIMVAE(k, 16, latent=4, width=4), occluded_fakes.OccludedDataModule),
}
each_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)


def turned(data: Any) -> Any:
    """The same classes in another order."""
    data.class_names = data.class_names[::-1]
    return data


def test_all_methods_are_here():
    assert {method.__name__ for method in METHODS} == set(lightning_modules.__all__)


@each_method
def test_another_number_of_classes_is_refused(method, trainer):
    build, make_data = METHODS[method]
    with pytest.raises(UserError, match=r"num_classes is 5, but the data has 3 classes \(\w+, \w+"):
        trainer().fit(build(5), datamodule=make_data())


@each_method
def test_other_classes_than_those_of_the_checkpoint_are_refused(method, trainer, tmp_path):
    build, make_data = METHODS[method]
    runner = trainer(default_root_dir=tmp_path)
    module, data = build(3), make_data()
    runner.fit(module, datamodule=data)
    runner.save_checkpoint(path := tmp_path / "a.ckpt", weights_only=False)
    names = data.class_names
    assert torch.load(path, weights_only=True)["class_names"] == list(names)
    both = rf"are {', '.join(names)}, in this order, but those of the data are {names[2]}, "
    for verb in ("fit", "validate", "test"):
        start = getattr(trainer(max_epochs=2, default_root_dir=tmp_path), verb)
        with pytest.raises(UserError, match=f"The classes of the checkpoint {both}"):
            start(build(3), datamodule=turned(make_data()), ckpt_path=path)
    with pytest.raises(UserError, match=f"The classes of this model {both}"):
        trainer().test(module, datamodule=turned(make_data()))


@pytest.mark.parametrize("method", [FlowCNNClassifier, PCNN, SSIMVAE])
def test_answers_without_labels_carry_the_names_of_the_checkpoint(method, trainer, tmp_path):
    build, make_data = METHODS[method]
    runner = trainer()
    runner.fit(build(3), datamodule=make_data())
    runner.save_checkpoint(path := tmp_path / "a.ckpt", weights_only=False)
    data, names = turned(make_data()), make_data().class_names
    trainer().predict(build(3), datamodule=data, ckpt_path=path, return_predictions=False)
    assert data.class_names == names


def test_action_units_are_known_whatever_the_classes_are(trainer, tmp_path):
    def build() -> DCGANSVM:
        options = {"features": "pixels", "search_trials": 1, "search_folds": 2}
        return DCGANSVM(3, 16, width=4, task="action_units", **options)

    runner = trainer(default_root_dir=tmp_path)
    runner.fit(build(), datamodule=dcgan_fakes.BarFaces())
    runner.save_checkpoint(path := tmp_path / "a.ckpt", weights_only=False)
    data = turned(dcgan_fakes.BarFaces())
    [logged] = trainer().test(build(), datamodule=data, ckpt_path=path, verbose=False)
    assert logged["test/units"] > 0


# ---- networks of another run


class Guarded(fakes.FakeDataModule):
    def refuse_leak(self, checkpoint: dict[str, Any], what: str) -> None:
        if "state_dict" in checkpoint:
            raise UserError(f"{what} was trained on somebody who is held out.")


def emotion_checkpoint(trainer: Callable[..., Any], path: Path) -> str:
    runner = trainer(limit_train_batches=1, limit_val_batches=0)
    runner.fit(EMotionGAN(3, 32, 2, e_fer_epochs=1), datamodule=fakes.FakeDataModule())
    runner.save_checkpoint(path, weights_only=False)
    return str(path)


def test_an_e_fer_of_other_classes_is_refused(trainer, tmp_path):
    path = emotion_checkpoint(trainer, tmp_path / "a.ckpt")
    module = EMotionGAN(3, 32, 2, e_fer_checkpoint=path)
    with pytest.raises(UserError, match=r"classes of .*a.ckpt are neutral, .* of the data are sur"):
        trainer().fit(module, datamodule=turned(fakes.FakeDataModule()))


def test_an_e_fer_is_asked_whom_it_was_trained_on(trainer, tmp_path):
    path = emotion_checkpoint(trainer, tmp_path / "a.ckpt")
    module = EMotionGAN(3, 32, 2, e_fer_checkpoint=path)
    with pytest.raises(UserError, match=r"model.e_fer_checkpoint .*a.ckpt was trained on"):
        trainer().fit(module, datamodule=Guarded())
    assert not module.e_fer.fitted


def test_a_pretrained_gan_is_asked_whom_it_was_trained_on(trainer, tmp_path):
    class GuardedBars(dcgan_fakes.BarFaces):
        refuse_leak = Guarded.refuse_leak

    gan = DCGANSVM(3, 16, width=4)
    state = {f"{name}": tensor for name, tensor in gan.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "a.ckpt")
    module = DCGANSVM(3, 16, width=4, pretrained=str(tmp_path / "a.ckpt"))
    with pytest.raises(UserError, match=r"model.pretrained .*a.ckpt was trained on"):
        trainer().fit(module, datamodule=GuardedBars())

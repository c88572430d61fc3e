"""Motion of a recording on other faces, stronger and weaker."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.errors import UserError
from lightning_modules import EMotionGAN
from lightning_modules.networks.codec import FlowCodec
from lightning_modules.networks.warp import arriving, warp
from tests.lightning_modules.fakes import SIZE, FakeFlows, fake_batch

Build = Callable[..., EMotionGAN]


class Recordings(LightningDataModule):
    """What predict asks of a data module."""

    def __init__(self, targets: dict[str, Tensor | None] | None = None) -> None:
        super().__init__()
        self.targets = {
            name: None if face is None else SimpleNamespace(face=face.numpy())
            for name, face in (targets or {}).items()
        }
        self.class_names: tuple[str, ...] = ()

    def predict_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        return DataLoader(FakeFlows(3), batch_size=3)


@pytest.fixture
def predict(model: Build, trainer: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Predict with a model of given weights, the same at every call."""

    def run(targets: dict[str, Tensor | None] | None = None, **options: Any) -> dict[str, Any]:
        torch.manual_seed(0)
        module = model(**options)
        module.judges.flow.fitted.fill_(True)
        module.average_face.fill_(0.5)
        (outputs,) = trainer().predict(module, datamodule=Recordings(targets))
        found: dict[str, Any] = outputs
        found["model"] = module
        return found

    return run


BOTH = [
    {"representation": "polar"},
    {"representation": "cartesian", "image_prior": "warp"},
    {"representation": "cartesian", "image_prior": "warp", "flow_prior": "filter"},
]


@pytest.mark.parametrize("options", BOTH)
def test_a_gain_of_1_changes_no_bit(
    predict: Callable[..., dict[str, Any]], options: dict[str, Any]
) -> None:
    outputs, batch = predict(gain=1.0, **options), fake_batch()
    module = outputs["model"].eval()
    with torch.inference_mode():
        flow, logits, face = module(batch["posed_flow"], batch["neutral"])
    assert torch.equal(outputs["frontalized_flow"], flow)
    assert torch.equal(outputs["logits"], logits)
    assert torch.equal(outputs["warped"], face)


@pytest.mark.parametrize("options", BOTH)
def test_a_gain_of_0_gives_the_neutral_face(
    predict: Callable[..., dict[str, Any]], options: dict[str, Any]
) -> None:
    outputs = predict(gain=0.0, **options)
    assert outputs["frontalized_flow"].abs().max() < 1e-6
    # Within a grey level.
    assert (outputs["warped"] - fake_batch()["neutral"]).abs().max() < 0.5 / 255


def test_between_0_and_1_nothing_jumps(predict: Callable[..., dict[str, Any]]) -> None:
    faces = [predict(gain=gain)["warped"] for gain in (0.999, 1.0, 0.001, 0.0)]
    assert (faces[0] - faces[1]).abs().max() < 0.02
    assert (faces[2] - faces[3]).abs().max() < 0.02


@pytest.mark.parametrize("representation", ["polar", "cartesian"])
def test_gain_is_of_the_length_of_motion(representation: Any) -> None:
    codec, flow = FlowCodec(4.0, representation), torch.randn(2, 2, 8, 8)
    scaled = codec.decode(codec.scale(codec.encode(flow), 1.5))
    torch.testing.assert_close(scaled, 1.5 * flow, atol=1e-5, rtol=1e-5)


def test_motion_is_put_onto_each_face(predict: Callable[..., dict[str, Any]]) -> None:
    targets: dict[str, Tensor | None] = {"a": torch.rand(3, SIZE, SIZE), "average": None}
    outputs = predict(targets)
    assert outputs["animated"].shape == outputs["targets"].shape == (3, 2, 3, SIZE, SIZE)
    module, batch = outputs["model"].eval(), fake_batch()
    for number, face in enumerate((targets["a"], module.average_face)):
        assert face is not None
        resting = face.expand_as(batch["neutral"])
        assert torch.equal(outputs["targets"][:, number], resting)
        with torch.inference_mode():
            wanted = module(batch["posed_flow"], resting)[2]
        torch.testing.assert_close(outputs["animated"][:, number], wanted)
        moved = warp(resting, outputs["frontalized_flow"])
        assert torch.equal(
            outputs["corrections"][:, number], outputs["animated"][:, number] - moved
        )
    assert torch.equal(outputs["arriving_flow"], arriving(outputs["frontalized_flow"]))
    assert torch.equal(outputs["warped"], outputs["animated"][:, 0])
    assert torch.equal(outputs["neutral"], outputs["targets"][:, 0])


def test_what_is_not_there_is_said(model: Build, trainer: Callable[..., Any]) -> None:
    module = model()
    module.judges.flow.fitted.fill_(True)
    with pytest.raises(UserError, match=r"keep no average face.* train again, or give data.neut"):
        trainer().predict(module, datamodule=Recordings({"average": None}))
    for gain in (-0.5, float("inf"), float("nan")):
        with pytest.raises(UserError, match=r"model.gain is a factor of 0 or more, but is"):
            model(gain=gain)

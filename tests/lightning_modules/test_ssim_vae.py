from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from lightning.pytorch import LightningDataModule
from sklearn.metrics import accuracy_score
from torch.nn import functional

import experiments
from datamodules.errors import UserError
from lightning_modules.networks.variational_autoencoder import Reconstruction
from lightning_modules.ssim_vae import SSIMVAE
from tests.lightning_modules.fakes import Outputs
from tests.lightning_modules.occluded_fakes import (
    CLASS_NAMES,
    SIZE,
    OccludedDataModule,
    occluded_batch,
    small_ssim_vae,
)

CONDITIONS = (
    *("clean", "eyes", "mouth"),
    *("clean_reconstructed", "eyes_reconstructed", "mouth_reconstructed"),
    *("clean_baseline", "eyes_baseline", "mouth_baseline"),
)


@pytest.fixture
def model() -> Callable[..., SSIMVAE]:
    return small_ssim_vae


def test_test_returns_and_logs_every_condition(model, trainer):
    outputs, data, module = Outputs(), OccludedDataModule(), model()
    runner = trainer(callbacks=[outputs])
    [logged] = runner.test(module, datamodule=data, verbose=False)
    first = outputs.batches[0]
    shape = (3, 2, SIZE, SIZE)
    assert first["flow"].shape == shape
    assert first["occluded_flow"].shape == first["reconstructed_flow"].shape == (3, 2, *shape[1:])
    whole = {
        name: torch.cat([batch[name] for batch in outputs.batches])
        for name, tensor in first.items()
    }
    assert whole["sample_id"].tolist() == [10, 11, 12, 13, 14]
    batch = occluded_batch(5)
    module.eval()
    for index, condition in enumerate(CONDITIONS):
        flows = [batch["flow"], *batch["occluded_flow"].unbind(1)][index % 3]
        if index < 3:
            logits = module.flow_cnn(module.codec.encode(flows))
        elif index >= 6:
            logits = module.baseline_cnn(module.codec.encode(flows))
        else:
            restored, logits = module(flows)
            # In pixels of a 128x128 grid.
            error = 128 / SIZE * torch.linalg.vector_norm(restored - batch["flow"], dim=1).mean()
            assert logged[f"test/epe_px_{condition}"] == pytest.approx(error.item(), rel=1e-4)
        name = "logits" if condition == "clean" else f"logits_{condition}"
        torch.testing.assert_close(whole[name], logits, rtol=1e-4, atol=1e-5)
        accuracy = accuracy_score(batch["label"], logits.argmax(dim=1))
        assert logged[f"test/accuracy_{condition}"] == pytest.approx(accuracy)
    torch.testing.assert_close(
        whole["reconstructed_flow"][:, 1], module(batch["occluded_flow"][:, 1])[0]
    )
    quantities = ("accuracy", "balanced_accuracy", "f1_macro")
    expected = {f"test/{quantity}_{name}" for quantity in quantities for name in CONDITIONS}
    expected |= {f"test/epe_px_{name}" for name in CONDITIONS[1:6]}
    expected |= {f"test/accuracy_{name}" for name in ("occluded", "reconstructed", "baseline")}
    singles = ("confidence_reconstructed", "active_units", "epe_px_mean_flow")
    expected |= {f"test/{name}" for name in singles}
    assert set(logged) == {*expected, "test/accuracy"}
    assert logged["test/accuracy"] == logged["test/accuracy_reconstructed"]


def test_validation_logs_what_test_logs(model, trainer):
    runner = trainer()
    runner.fit(model(), datamodule=OccludedDataModule())
    validated = {name for name in runner.callback_metrics if name.startswith("val/")}
    [tested] = runner.test(model(), datamodule=OccludedDataModule(), verbose=False)
    assert {name.replace("val/", "test/") for name in validated} == set(tested)
    trained = set(runner.callback_metrics) - validated - set(tested)
    assert trained == set()


def test_every_loss_of_training_is_logged(model, trainer):
    runner = trainer(limit_val_batches=0)
    runner.fit(model(), datamodule=OccludedDataModule())
    names = {"vae", "reconstruction", "kl", "cross_entropy", "cross_entropy_baseline"}
    assert set(runner.callback_metrics) == {f"train/{name}" for name in names}


def test_prediction_reconstructs_and_recognises(model, trainer):
    outputs, module = Outputs(), model()
    trainer(callbacks=[outputs]).predict(
        module, datamodule=OccludedDataModule(), return_predictions=False
    )
    first = outputs.batches[0]
    restored, logits = module.eval()(first["occluded_flow"])
    torch.testing.assert_close(first["logits"], logits)
    torch.testing.assert_close(first["reconstructed_flow"], restored)
    assert first["sequence"] == ["clip"] * 3


def test_a_data_module_without_occlusions_is_refused(model, trainer):
    class Clean(LightningDataModule):
        class_names = CLASS_NAMES
        train_dataloader = val_dataloader = OccludedDataModule().train_dataloader

    with pytest.raises(ValueError, match="names its regions"):
        trainer().fit(model(), datamodule=Clean())


@pytest.mark.parametrize(("width", "least"), [(32, 10), (64, 30)])
def test_both_networks_fit_into_34_megabytes(width, least):
    module = SSIMVAE(width=width)
    networks = (module.vae, module.flow_cnn)  # the baseline is a rival, no part of the method
    parameters = sum(tensor.numel() for network in networks for tensor in network.parameters())
    assert least <= 4e-6 * parameters <= 34


def test_the_papers_experiment_is_of_its_size():
    config = yaml.safe_load((Path(experiments.__file__).parent / "ssim_vae.yaml").read_text())
    assert all(config["model"]["init_args"][key] == 64 for key in ("size", "width", "latent"))


@pytest.mark.parametrize("size", [24, 64, 128])
def test_a_motion_is_the_same_share_of_the_clip_at_every_size(size):
    module = SSIMVAE(num_classes=3, size=size, width=2, latent=2)
    flow = torch.zeros(1, 2, size, size)
    flow[:, 0] = size / 32  # a part in 32 of the width
    torch.testing.assert_close(module.codec.encode(flow)[0, 0].mean(), torch.tensor(0.8))


def test_flows_within_the_clip_come_back_from_the_unit_range(model):
    module = model()
    flow = module.codec.clip * functional.normalize(torch.randn(2, 2, SIZE, SIZE), dim=1)
    flow *= torch.rand(2, 1, SIZE, SIZE)
    seen = []
    module.vae.forward = lambda flows: seen.append(flows) or Reconstruction(flows, None)
    restored, _ = module.eval()(flow)
    [unit] = seen
    assert unit.min() >= 0
    assert unit.max() <= 1
    torch.testing.assert_close(restored, flow, rtol=0, atol=1e-6)
    module(torch.zeros(1, 2, SIZE, SIZE))
    assert (seen[1] == 0.5).all()


def test_flows_of_another_size_are_refused_by_both_sizes(model, trainer) -> None:
    data = OccludedDataModule(3)
    data.size = 2 * SIZE
    said = f"model.size is {SIZE}, but data.size is {2 * SIZE}: give"
    with pytest.raises(UserError, match=said):
        trainer().fit(model(), datamodule=data)

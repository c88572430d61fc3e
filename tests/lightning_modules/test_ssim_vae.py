from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import Callback, LightningDataModule
from lightning.pytorch.callbacks import ModelCheckpoint
from sklearn.metrics import accuracy_score
from torch.nn import functional

import experiments
from datamodules.errors import UserError
from lightning_modules.networks.variational_autoencoder import Reconstruction
from lightning_modules.optim import descend
from lightning_modules.ssim_vae import SSIMVAE
from losses.variational import kl_divergence, reconstruction_loss
from tests.lightning_modules.fakes import Outputs, SeededSteps
from tests.lightning_modules.occluded_fakes import (
    CLASS_NAMES,
    REGIONS,
    SIZE,
    OccludedDataModule,
    occluded_batch,
)

CONDITIONS = (
    *("clean", "eyes", "mouth"),
    *("clean_reconstructed", "eyes_reconstructed", "mouth_reconstructed"),
    *("clean_baseline", "eyes_baseline", "mouth_baseline"),
)


@pytest.fixture
def model() -> Callable[..., SSIMVAE]:
    """Build an SSIM-VAE that takes milliseconds a step."""

    def build(**options: Any) -> SSIMVAE:
        torch.manual_seed(2)
        defaults = {"num_classes": 3, "size": SIZE, "latent": 6, "width": 4, "clip": 20.0}
        return SSIMVAE(**{**defaults, **options})

    return build


def weights(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def still(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.0)


# ---- training


def test_each_player_moves_alone_and_reaches_no_other(model, trainer, monkeypatch):
    notes = []

    def noting(module, optimizer, loss) -> None:
        module.zero_grad()
        descend(module, optimizer, loss)
        touched = {
            name.split(".")[0]
            for name, parameter in module.named_parameters()
            if parameter.grad is not None and parameter.grad.any()
        }
        notes.append(touched)

    monkeypatch.setattr("lightning_modules.ssim_vae.descend", noting)
    trainer(limit_train_batches=1, limit_val_batches=0).fit(
        model(), datamodule=OccludedDataModule()
    )
    assert notes == [{"vae"}, {"flow_cnn"}, {"baseline_cnn"}]


@pytest.mark.parametrize(("resting", "moving"), [("vae", "flow_cnn"), ("flow_cnn", "vae")])
def test_what_one_player_learns_does_not_depend_on_the_other(model, trainer, resting, moving):
    ends = []
    for options in ({}, {f"{resting}_optimizer": still}):
        module = model(**options)
        before = {name: weights(getattr(module, name)) for name in (resting, moving)}
        trainer(max_epochs=2, callbacks=[SeededSteps()]).fit(
            module, datamodule=OccludedDataModule()
        )
        assert not same(before[moving], weights(getattr(module, moving)))
        ends.append(weights(getattr(module, moving)))
    assert same(*ends)
    held = dict(getattr(module, resting).named_parameters())
    assert same({name: before[resting][name] for name in held}, held)


def test_the_loss_of_the_autoencoder_is_equation_6(model):
    module, batch = model(kl_weight=0.3), occluded_batch()
    encoded = module.codec.encode(batch["occluded_flow"].flatten(0, 1))
    occluded = (encoded + 1) / 2
    clean = ((module.codec.encode(batch["flow"]) + 1) / 2).repeat_interleave(2, dim=0)
    torch.manual_seed(0)
    losses, reconstructed = module._vae_losses(occluded, clean)
    mean, log_variance = module.vae.encode(occluded)
    torch.manual_seed(0)
    latent = mean + (0.5 * log_variance).exp() * torch.randn(mean.shape)
    torch.testing.assert_close(reconstructed, module.vae.decode(latent, occluded))
    expected = reconstruction_loss(reconstructed, clean, cost="ssim")
    torch.testing.assert_close(losses["reconstruction"], expected)
    torch.testing.assert_close(losses["kl"], kl_divergence(mean, log_variance))
    torch.testing.assert_close(losses["vae"], losses["reconstruction"] + 0.3 * losses["kl"])


def test_the_cost_is_taken_in_its_range_and_relative_to_no_motion(model):
    flows = torch.rand(2, 4, 2, SIZE, SIZE)
    options = {"data_range": 0.3, "relative": True}
    module = model(data_range=0.3, relative_cost=True, variational=False)
    losses, reconstructed = module._vae_losses(*flows)
    expected = reconstruction_loss(reconstructed, flows[1], cost="ssim", **options)
    torch.testing.assert_close(losses["reconstruction"], expected)


def test_every_occlusion_is_drawn_to_its_own_clean_flow(model, trainer, monkeypatch):
    pairs = []

    def noting(self, occluded, clean):
        pairs.append((self.codec.decode(2 * occluded - 1), self.codec.decode(2 * clean - 1)))
        return losses_of(self, occluded, clean)

    losses_of = SSIMVAE._vae_losses
    monkeypatch.setattr(SSIMVAE, "_vae_losses", noting)
    data = OccludedDataModule(length=3)
    trainer(limit_val_batches=0).fit(model(), datamodule=data)
    batch = occluded_batch(3)
    [(occluded, clean)] = pairs
    for index in range(6):
        sample, region = divmod(index, 2)
        torch.testing.assert_close(occluded[index], batch["occluded_flow"][sample, region])
        torch.testing.assert_close(clean[index], batch["flow"][sample])


def test_a_denoising_autoencoder_neither_samples_nor_is_pulled_to_the_prior(model, trainer):
    module = model(variational=False)
    flows = torch.rand(4, 2, SIZE, SIZE)
    losses, _ = module._vae_losses(flows, flows)
    assert set(losses) == {"reconstruction", "vae"}
    assert torch.equal(losses["vae"], module._vae_losses(flows, flows)[0]["vae"])
    sampling = model()
    assert not torch.equal(*(sampling._vae_losses(flows, flows)[0]["vae"] for _ in range(2)))
    runner = trainer()
    runner.fit(module, datamodule=OccludedDataModule())
    assert "train/kl" not in runner.callback_metrics


def test_a_discriminator_plays_against_the_reconstruction(model, trainer):
    """The DCGAN of Table 4: one more player, which sees encoded flows and moves alone."""
    module = model(adversarial=0.5)
    flows = torch.rand(4, 2, SIZE, SIZE)
    losses, made = module._vae_losses(flows, flows)
    judged = module.discriminator(2 * made - 1)
    torch.testing.assert_close(losses["adversarial"], functional.softplus(-judged).mean())
    expected = losses["reconstruction"] + module.kl_weight * losses["kl"]
    torch.testing.assert_close(losses["vae"], expected + 0.5 * losses["adversarial"])
    before = weights(module.discriminator)
    runner = trainer()
    runner.fit(module, datamodule=OccludedDataModule())
    assert not same(weights(module.discriminator), before)
    assert runner.callback_metrics["train/discriminator"] > 0
    assert runner.global_step == 2  # those of the autoencoder alone
    alone = model(adversarial=0.5, vae_optimizer=still)
    before = weights(alone)
    trainer().fit(alone, datamodule=OccludedDataModule())
    held = {key for key in before if key.startswith("discriminator") and "running" not in key}
    assert all(
        torch.equal(before[key], alone.state_dict()[key]) for key in held if "num_" not in key
    )


@pytest.mark.parametrize("classifier_on", ["clean", "reconstructed", "both"])
def test_each_flow_cnn_learns_on_what_it_is_told(model, trainer, monkeypatch, classifier_on):
    restored, seen, seen_by_baseline = [], [], []

    def noting(self, occluded, clean):
        losses, reconstructed = losses_of(self, occluded, clean)
        restored.append((2 * reconstructed.detach() - 1).unflatten(0, (-1, 2)))
        return losses, reconstructed

    losses_of = SSIMVAE._vae_losses
    monkeypatch.setattr(SSIMVAE, "_vae_losses", noting)
    module = model(classifier_on=classifier_on)
    module.flow_cnn.register_forward_pre_hook(lambda _, flows: seen.append(flows[0]))
    module.baseline_cnn.register_forward_pre_hook(lambda _, flows: seen_by_baseline.append(*flows))
    trainer(max_epochs=20, limit_val_batches=0).fit(module, datamodule=OccludedDataModule(3))
    batch = occluded_batch(3)
    clean = module.codec.encode(batch["flow"]).unsqueeze(1)
    occluded = module.codec.encode(batch["occluded_flow"].flatten(0, 1)).unflatten(0, (3, 2))

    def drawn(inputs: list[torch.Tensor], choices: list[torch.Tensor]) -> list[int]:
        found: list[int] = []
        for flows, several in zip(inputs, choices, strict=True):
            same_as = (several == flows.unsqueeze(1)).flatten(2).all(2)
            assert (same_as.sum(1) == 1).all()
            found += same_as.int().argmax(1).tolist()
        return found

    choices = {
        "clean": [clean] * 20,
        "reconstructed": restored,
        "both": [torch.cat((clean, reconstructed), 1) for reconstructed in restored],
    }[classifier_on]
    found = drawn(seen, choices)
    assert set(found) == set(range(choices[0].shape[1]))
    if classifier_on == "both":
        assert 20 <= found.count(0) <= 40  # of 60
    found = drawn(seen_by_baseline, [torch.cat((clean, occluded), 1)] * 20)
    assert set(found) == {0, 1, 2}
    assert 20 <= found.count(0) <= 40


def test_the_mean_flow_is_that_of_the_clean_flows_of_training(model, trainer):
    module = model()
    trainer(max_epochs=2, limit_val_batches=0).fit(module, datamodule=OccludedDataModule(6))
    mean = occluded_batch(6)["flow"].mean(0)
    torch.testing.assert_close(module.codec.decode(module.mean_flow[None])[0], mean)
    [logged] = trainer().test(module, datamodule=OccludedDataModule(4), verbose=False)
    flow = occluded_batch(4)["flow"]
    errors = 128 / flow.shape[-1] * torch.linalg.vector_norm(flow - mean, dim=1)
    assert logged["test/epe_px_mean_flow"] == pytest.approx(errors.mean().item(), rel=1e-4)


def test_global_step_counts_the_autoencoder_only(model, trainer):
    runner = trainer(max_epochs=3)
    runner.fit(model(), datamodule=OccludedDataModule())
    assert runner.global_step == 3 * 2
    runner = trainer(max_epochs=-1, max_steps=3)
    runner.fit(model(), datamodule=OccludedDataModule())
    assert runner.global_step == 3


def test_all_learning_rates_follow_the_schedule(model, trainer):
    rates = []

    class Note(Callback):
        def on_train_batch_end(self, trainer, *_: Any) -> None:
            rates.append([optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers])

    module = model(
        vae_optimizer=lambda p: torch.optim.Adam(p, lr=0.4),
        flow_cnn_optimizer=lambda p: torch.optim.SGD(p, lr=0.2),
        lr_scheduler=lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [1], gamma=0.5),
    )
    trainer(max_epochs=2, limit_train_batches=1, limit_val_batches=0, callbacks=[Note()]).fit(
        module, datamodule=OccludedDataModule()
    )
    assert rates == [[0.4, 0.2, 0.2], [0.2, 0.1, 0.1]]
    kinds = [type(optimizer) for optimizer in module.configure_optimizers()[0]]
    assert kinds == [torch.optim.Adam, torch.optim.SGD, torch.optim.SGD]


def test_a_schedule_may_count_steps(model, trainer):
    rates = []

    class Note(Callback):
        def on_train_batch_end(self, trainer, *_: Any) -> None:
            rates.append([optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers])

    module = model(
        vae_optimizer=lambda p: torch.optim.Adam(p, lr=0.4),
        flow_cnn_optimizer=lambda p: torch.optim.SGD(p, lr=0.2),
        lr_scheduler=lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [1, 3], gamma=0.5),
        lr_interval="step",
    )
    trainer(max_epochs=-1, max_steps=4, limit_val_batches=0, callbacks=[Note()]).fit(
        module, datamodule=OccludedDataModule()
    )
    assert rates == [[0.4, 0.2, 0.2], *[[0.2, 0.1, 0.1]] * 2, [0.1, 0.05, 0.05]]


@pytest.mark.parametrize("cost", ["mse", "ssim"])
def test_it_gives_a_few_faces_back_what_was_hidden(model, trainer, cost):
    """Flow-CNN learns clean flows alone and reads the reconstructed ones."""
    module = model(
        latent=8,
        width=8,
        cost=cost,
        kl_weight=0.01,
        dropout=0.0,
        vae_optimizer=lambda p: torch.optim.Adam(p, lr=5e-3),
        flow_cnn_optimizer=lambda p: torch.optim.Adam(p, lr=3e-3),
    )
    runner = trainer(max_epochs=70, check_val_every_n_epoch=70)
    runner.fit(module, datamodule=OccludedDataModule(length=6, batch_size=6))
    metrics = {name: value.item() for name, value in runner.callback_metrics.items()}
    assert metrics["val/accuracy_clean"] == 1.0
    assert metrics["val/accuracy_reconstructed"] == 1.0
    assert metrics["val/active_units"] >= 2
    if cost == "mse":  # SSIM compares patterns and hardly sees how strong a motion is
        for region in REGIONS:
            restored = metrics[f"val/epe_px_{region}_reconstructed"]
            assert restored < 0.8 * metrics[f"val/epe_px_{region}"]


# ---- evaluation


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


# ---- checkpoints and sizes


@pytest.mark.filterwarnings("ignore:Checkpoint directory")
def test_a_resumed_run_ends_at_the_same_bits_and_its_checkpoint_is_tested(model, trainer, tmp_path):
    def fit(folder: str, epochs: int, ckpt_path: str | None = None) -> SSIMVAE:
        module = model(lr_scheduler=lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [1, 2]))
        saving = ModelCheckpoint(tmp_path / folder, save_last=True)
        runner = trainer(
            max_epochs=epochs, enable_checkpointing=True, callbacks=[saving, SeededSteps()]
        )
        data = OccludedDataModule()
        runner.fit(module, datamodule=data, ckpt_path=ckpt_path, weights_only=True)
        return module

    whole = fit("whole", 3)
    fit("first", 2)
    last = str(tmp_path / "first" / "last.ckpt")
    checkpoint = torch.load(last, weights_only=True)
    assert checkpoint["hyper_parameters"]["cost"] == "ssim"
    assert len(checkpoint["optimizer_states"]) == len(checkpoint["lr_schedulers"]) == 3
    resumed = fit("first", 3, last)
    assert same(weights(whole), weights(resumed))

    fresh = model()
    before = copy.deepcopy(fresh.state_dict())
    runner = trainer(enable_checkpointing=True, callbacks=[ModelCheckpoint(tmp_path / "first")])
    last = str(tmp_path / "first" / "last.ckpt")
    data = OccludedDataModule()
    runner.test(fresh, datamodule=data, ckpt_path=last, verbose=False, weights_only=True)
    assert not same(before, weights(fresh))
    assert same(weights(resumed), weights(fresh))


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

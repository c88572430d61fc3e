"""How the players of SSIM-VAE move, which flows they learn on, and how they resume."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.nn import functional

from lightning_modules.ssim_vae import SSIMVAE
from losses.variational import kl_divergence, reconstruction_loss
from tests.lightning_modules.fakes import Rates, SeededSteps, same, touched_players, weights
from tests.lightning_modules.occluded_fakes import (
    REGIONS,
    SIZE,
    OccludedDataModule,
    occluded_batch,
    small_ssim_vae,
)


@pytest.fixture
def model() -> Callable[..., SSIMVAE]:
    return small_ssim_vae


def still(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.0)


def test_each_player_moves_alone_and_reaches_no_other(model, trainer, monkeypatch):
    notes = touched_players(monkeypatch, "ssim_vae")
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
    rates = Rates()
    module = model(
        vae_optimizer=lambda p: torch.optim.Adam(p, lr=0.4),
        flow_cnn_optimizer=lambda p: torch.optim.SGD(p, lr=0.2),
        lr_scheduler=lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [1], gamma=0.5),
    )
    trainer(max_epochs=2, limit_train_batches=1, limit_val_batches=0, callbacks=[rates]).fit(
        module, datamodule=OccludedDataModule()
    )
    assert rates.rates == [[0.4, 0.2, 0.2], [0.2, 0.1, 0.1]]
    kinds = [type(optimizer) for optimizer in module.configure_optimizers()[0]]
    assert kinds == [torch.optim.Adam, torch.optim.SGD, torch.optim.SGD]


def test_a_schedule_may_count_steps(model, trainer):
    rates = Rates()
    module = model(
        vae_optimizer=lambda p: torch.optim.Adam(p, lr=0.4),
        flow_cnn_optimizer=lambda p: torch.optim.SGD(p, lr=0.2),
        lr_scheduler=lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [1, 3], gamma=0.5),
        lr_interval="step",
    )
    trainer(max_epochs=-1, max_steps=4, limit_val_batches=0, callbacks=[rates]).fit(
        module, datamodule=OccludedDataModule()
    )
    assert rates.rates == [[0.4, 0.2, 0.2], *[[0.2, 0.1, 0.1]] * 2, [0.1, 0.05, 0.05]]


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

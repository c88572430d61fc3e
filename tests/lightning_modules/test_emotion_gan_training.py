"""How the four players of eMotion-GAN move, count, freeze and resume."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint

from datamodules.errors import UserError
from lightning_modules import emotion_gan, frozen_networks, optim
from lightning_modules.emotion_gan import EMotionGAN
from lightning_modules.networks.fitted_classifier import fit_classifier
from tests.lightning_modules.fakes import FakeDataModule, Rates, SeededSteps, fake_batch

PLAYERS = ("g_f", "g_w", "d_p", "d_e")
FROZEN = ("e_fer", "judges.flow", "judges.image")


def snapshot(module: EMotionGAN) -> dict[str, list[torch.Tensor]]:
    return {
        name: [tensor.detach().clone() for tensor in module.get_submodule(name).parameters()]
        for name in (*PLAYERS, *FROZEN)
    }


def moved(before: dict[str, list[torch.Tensor]], after: dict[str, list[torch.Tensor]]) -> set[str]:
    return {name for name in before if not all(map(torch.equal, before[name], after[name]))}


@pytest.fixture
def notes(monkeypatch) -> list[tuple[set[str], set[str]]]:
    """Who moved, and who got a gradient, whenever a player descends."""
    noted: list[tuple[set[str], set[str]]] = []

    def descend(module, optimizer, loss) -> None:
        module.zero_grad()
        before = snapshot(module)
        optim.descend(module, optimizer, loss)
        touched = {
            name
            for name in before
            for parameter in module.get_submodule(name).parameters()
            if parameter.grad is not None and parameter.grad.abs().sum() > 0
        }
        noted.append((moved(before, snapshot(module)), touched))

    monkeypatch.setattr(emotion_gan, "descend", descend)
    return noted


@pytest.mark.parametrize("connection_epoch", [0, 1])
def test_each_player_moves_alone(model, trainer, notes, connection_epoch):
    module = model(connection_epoch=connection_epoch)
    trainer(limit_train_batches=1, limit_val_batches=0).fit(module, datamodule=FakeDataModule())
    assert notes == [({name}, {name}) for name in ("g_f", "g_w", "d_p", "d_e")]


def test_without_the_adversarial_loss_the_patch_discriminator_rests(model, trainer, notes):
    module = model(lambda_gan=0.0)
    # Two epochs: the scheduler of a player that rests must rest as well.
    trainer(max_epochs=2, limit_train_batches=1, limit_val_batches=0).fit(
        module, datamodule=FakeDataModule()
    )
    assert [note[0] for note in notes] == 2 * [{"g_f"}, {"g_w"}, {"d_e"}]


def test_the_image_generator_rests_where_no_pair_shows_it_a_face(model, trainer):
    class Mixed(FakeDataModule):
        """Every second batch has no neutral-apex pair."""

        def on_after_batch_transfer(self, batch, dataloader_idx):
            if self.trainer.training:
                batch["is_neutral_apex"] &= batch["sample_id"] < 2
            return batch

    states = []

    class Note(Callback):
        def on_train_batch_end(self, trainer, pl_module, *_) -> None:
            states.append(snapshot(pl_module))

    module = model()
    trainer(limit_val_batches=0, callbacks=[Note()]).fit(module, datamodule=Mixed())
    first, second = states
    assert moved(first, second) == {"g_f", "d_p", "d_e"}
    steps = {int(state["step"]) for state in module.optimizers()[1].optimizer.state.values()}
    assert steps == {1}


def test_global_step_counts_the_flow_generator_only(model, trainer, datamodule):
    runner = trainer(max_epochs=3)
    runner.fit(model(), datamodule=datamodule)
    assert runner.global_step == 3 * 2
    runner = trainer(max_epochs=-1, max_steps=3)
    runner.fit(model(), datamodule=datamodule)
    assert runner.global_step == 3


def test_every_term_is_logged_under_train(model, trainer, datamodule):
    runner = trainer()
    runner.fit(model(connection_epoch=0), datamodule=datamodule)
    assert {
        f"train/{name}"
        for name in (
            *("g_f", "g_f_adversarial", "g_f_expression", "epe_px", "charbonnier", "g_f_image"),
            *("g_w", "g_w_l1", "g_w_perceptual", "g_w_expression", "d_p", "d_e"),
        )
    } == {name for name in runner.callback_metrics if name.startswith("train/")}


class Connected(Callback):
    """Keeps of each step whether the loss of G_W reached G_F."""

    def __init__(self) -> None:
        self.steps: list[bool] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, *_) -> None:
        self.steps.append("g_f_image" in outputs)


def test_the_paper_halves_all_rates_at_epochs_10_and_13_and_connects_at_5(model, trainer):
    rates, connected = Rates(), Connected()
    runner = trainer(
        max_epochs=15, limit_train_batches=1, limit_val_batches=0, callbacks=[rates, connected]
    )
    runner.fit(model(), datamodule=FakeDataModule(batch_size=1))
    first = [1e-5, 1e-5, 1e-4, 1e-4]
    expected = [
        [rate * 0.5 ** ((epoch >= 10) + (epoch >= 13)) for rate in first] for epoch in range(15)
    ]
    torch.testing.assert_close(torch.tensor(rates.rates), torch.tensor(expected))
    assert connected.steps == [epoch >= 5 for epoch in range(15)]


def test_a_schedule_can_count_steps(model, trainer):
    rates = Rates()

    def halving(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.MultiStepLR:
        return torch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 3], gamma=0.5)

    module = model(lr_scheduler=halving, lr_interval="step")
    trainer(max_epochs=-1, max_steps=4, limit_val_batches=0, callbacks=[rates]).fit(
        module, datamodule=FakeDataModule()
    )
    first = torch.tensor([1e-5, 1e-5, 1e-4, 1e-4])
    expected = first * torch.tensor([1.0, 0.5, 0.5, 0.25]).unsqueeze(1)
    torch.testing.assert_close(torch.tensor(rates.rates), expected)


@pytest.mark.parametrize(
    ("animate", "seen"), [("frontal", {"frontal"}), ("both", {"frontal", "g_f"})]
)
def test_faces_are_learned_of_the_flows_that_are_asked_for(
    model, trainer, monkeypatch, animate, seen
):
    module = model(animate=animate, representation="cartesian", lambda_image=0.0)
    found = set()
    losses = module._image_generator_losses

    def note(batch, flow):
        true = module.codec.encode(batch["flow"])
        for one, other in zip(flow, true, strict=True):
            found.add("frontal" if torch.equal(one, other) else "g_f")
        return losses(batch, flow)

    monkeypatch.setattr(module, "_image_generator_losses", note)
    trainer(limit_val_batches=0).fit(module, datamodule=FakeDataModule(length=12))
    assert found == seen


def test_the_filter_learns_its_subspaces_before_the_first_step(model, trainer):
    module = model(flow_prior="filter", representation="cartesian")
    assert not module.g_f.subspaces.fitted
    trainer(limit_val_batches=0).fit(module, datamodule=FakeDataModule())
    before = copy.deepcopy(module.g_f.subspaces.state_dict())
    assert before["fitted"]
    trainer(limit_val_batches=0).fit(module, datamodule=FakeDataModule(length=6))
    assert all(torch.equal(module.g_f.subspaces.state_dict()[key], before[key]) for key in before)


def test_the_filter_needs_flows_to_learn_subspaces_from(model, trainer):
    class Bare(FakeDataModule):
        flow_pairs = None

    with pytest.raises(UserError, match=r"no flows to learn subspaces from: .* flow_pairs\(\)"):
        trainer().fit(model(flow_prior="filter", representation="cartesian"), datamodule=Bare())


def test_optimizers_are_those_of_the_paper(model):
    module = model()
    optimizers, schedulers = module.configure_optimizers()
    kinds = [torch.optim.Adam, torch.optim.Adam, torch.optim.Adam, torch.optim.SGD]
    assert [type(optimizer) for optimizer in optimizers] == kinds
    assert len(schedulers) == 4
    for optimizer, name in zip(optimizers, PLAYERS, strict=True):
        held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        assert held == {id(parameter) for parameter in module.get_submodule(name).parameters()}


def test_generated_flows_do_not_reach_the_statistics_of_the_expression_discriminator(
    model, trainer
):
    module = model(d_e_optimizer=lambda p: torch.optim.SGD(p, lr=0.0))
    reference = copy.deepcopy(module.d_e).train()
    trainer(limit_train_batches=1, limit_val_batches=0).fit(module, datamodule=FakeDataModule())
    reference(module.codec.encode(fake_batch(2)["flow"]))
    for name, buffer in reference.named_buffers():
        torch.testing.assert_close(module.d_e.state_dict()[name], buffer)
    assert module.d_e.training


def test_judges_and_e_fer_are_fitted_once_and_then_stay(model, trainer, datamodule):
    module = model(e_fer_epochs=2)
    states = []

    class Note(Callback):
        def on_train_start(self, *_) -> None:
            states.append(
                {name: copy.deepcopy(module.get_submodule(name).state_dict()) for name in FROZEN}
            )

    trainer(max_epochs=2, callbacks=[Note()]).fit(module, datamodule=datamodule)
    asked = datamodule.asked_for_faces
    assert asked >= 1
    for frozen in FROZEN:
        assert module.get_submodule(frozen).fitted
        # Batch statistics too: no batch of a training passes through them.
        for name, tensor in module.get_submodule(frozen).state_dict().items():
            assert torch.equal(tensor, states[0][frozen][name])
    # A judge is of another kind than the network that trains.
    assert module.e_fer.state_dict().keys() != module.judges.image.state_dict().keys()
    trainer().fit(module, datamodule=datamodule)
    assert datamodule.asked_for_faces == asked


def fit(model, trainer, folder: Path, *, epochs: int, ckpt_path: str | None = None):
    module, datamodule = model(), FakeDataModule()
    saving = ModelCheckpoint(folder, save_last=True)
    runner = trainer(
        max_epochs=epochs, enable_checkpointing=True, callbacks=[saving, SeededSteps()]
    )
    runner.fit(module, datamodule=datamodule, ckpt_path=ckpt_path, weights_only=True)
    return module, datamodule, str(folder / "last.ckpt")


@pytest.mark.filterwarnings("ignore:Checkpoint directory")
def test_a_resumed_run_ends_at_the_same_bits(model, trainer, tmp_path):
    def build() -> EMotionGAN:
        torch.manual_seed(1)
        halving = torch.optim.lr_scheduler.MultiStepLR
        return model(connection_epoch=1, lr_scheduler=lambda o: halving(o, milestones=[1, 2]))

    whole, _, _ = fit(build, trainer, tmp_path / "whole", epochs=3)
    _, _, last = fit(build, trainer, tmp_path / "first", epochs=2)
    checkpoint = torch.load(last, weights_only=True)
    assert len(checkpoint["optimizer_states"]) == 4
    assert [state["last_epoch"] for state in checkpoint["lr_schedulers"]] == [1, 1, 1, 1]
    assert checkpoint["hyper_parameters"]["lambda_epe"] == 7.0
    resumed, datamodule, _ = fit(build, trainer, tmp_path / "first", epochs=3, ckpt_path=last)
    assert datamodule.asked_for_faces == 0
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_checkpoint_is_tested_and_lends_its_e_fer(model, trainer, tmp_path, monkeypatch):
    trained, _, last = fit(model, trainer, tmp_path, epochs=1)
    fresh = model()
    runner = trainer(enable_checkpointing=True, callbacks=[ModelCheckpoint(tmp_path)])
    runner.test(
        fresh, datamodule=FakeDataModule(), ckpt_path=last, verbose=False, weights_only=True
    )
    for name, tensor in trained.state_dict().items():
        assert torch.equal(tensor, fresh.state_dict()[name])
    borrower, fitted = model(e_fer_checkpoint=last), []

    def note(network, samples, *, name, **options):
        fitted.append(name)
        return fit_classifier(network, samples, name=name, **options)

    monkeypatch.setattr(frozen_networks, "fit_classifier", note)
    trainer(limit_train_batches=1).fit(borrower, datamodule=FakeDataModule())
    assert fitted == ["the independent Flow-CNN", "the independent ResNet-18"]
    assert torch.equal(borrower.e_fer.classifier[-1].weight, trained.e_fer.classifier[-1].weight)


def test_an_e_fer_that_was_never_fitted_is_not_lent(model, trainer, datamodule, tmp_path):
    state = {f"e_fer.{name}": tensor for name, tensor in model().e_fer.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "random.ckpt")
    with pytest.raises(ValueError, match=r"e_FER in .*random.ckpt was never fitted"):
        trainer().fit(model(e_fer_checkpoint=str(tmp_path / "random.ckpt")), datamodule=datamodule)


@pytest.mark.parametrize("entry", ["test", "validate"])
def test_what_was_never_trained_is_not_evaluated(model, trainer, datamodule, entry):
    with pytest.raises(ValueError, match=r"never trained.*--ckpt_path"):
        getattr(trainer(), entry)(model(), datamodule=datamodule, verbose=False)


def test_what_was_never_trained_predicts_nothing(model, trainer, datamodule):
    with pytest.raises(ValueError, match="never trained"):
        trainer().predict(model(), dataloaders=datamodule.val_dataloader())


def test_without_flows_and_faces_there_is_no_judge(model, trainer, datamodule):
    with pytest.raises(ValueError, match="no frontal flows and faces to learn from"):
        trainer(limit_val_batches=0).fit(
            model(), datamodule.train_dataloader(), datamodule.val_dataloader()
        )


def test_vgg_is_never_silently_random(model, trainer, datamodule, tmp_path):
    module = model(perceptual="vgg16", perceptual_weights=str(tmp_path / "absent.pth"))
    with pytest.raises(ValueError, match="does not exist"):
        trainer().fit(module, datamodule=datamodule)


def test_classes_that_differ_from_the_data_are_refused(model, trainer, datamodule):
    with pytest.raises(ValueError, match=r"num_classes is 6, but the data has 3 .*neutral"):
        trainer().fit(model(num_classes=6), datamodule=datamodule)


@pytest.mark.parametrize("representation", ["polar", "cartesian"])
def test_bf16_trains_and_measures_in_single(model, trainer, datamodule, representation):
    module = model(representation=representation, image_prior="warp", connection_epoch=0)
    runner = trainer(precision="bf16-mixed", max_epochs=2)
    runner.fit(module, datamodule=datamodule)
    assert all(value.isfinite() for value in runner.callback_metrics.values())
    assert all(parameter.isfinite().all() for parameter in module.parameters())
    results = runner.test(module, datamodule=datamodule, verbose=False)[0]
    assert results["test/emotion_gan_ssim"] <= 1


def test_it_overfits_a_handful_of_flows(model, trainer):
    fast = {f"{player}_optimizer": lambda p: torch.optim.Adam(p, lr=3e-3) for player in PLAYERS}
    module = model(width=4, lambda_image=0.0, representation="cartesian", **fast)
    datamodule = FakeDataModule(length=3, batch_size=3)
    errors = []

    class Last(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, *_) -> None:
            errors.append(outputs["epe_px"].item())

    trainer(max_epochs=60, limit_val_batches=0, callbacks=[Last()]).fit(
        module, datamodule=datamodule
    )
    assert sum(errors[-5:]) < 0.5 * sum(errors[:5])

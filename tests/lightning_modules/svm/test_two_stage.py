"""When machines are fitted, and what a kill or a further training leaves of that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback

from lightning_modules.dcgan_svm import DCGANSVM
from lightning_modules.svm import recognisers
from tests.lightning_modules.dcgan_fakes import BarFaces, Saver, small_dcgan_svm
from tests.lightning_modules.fakes import SeededSteps, same, weights


@pytest.fixture
def model() -> Callable[..., DCGANSVM]:
    return small_dcgan_svm


def test_steps_of_the_discriminator_count_and_the_last_epoch_moves_nothing(model, runner, tmp_path):
    ends = []

    class Note(Callback):
        def on_train_epoch_end(self, trainer, pl_module) -> None:
            ends.append((trainer.global_step, weights(pl_module.discriminator)))

    trainer = runner(max_epochs=2, callbacks=[Note()])
    module = model()
    trainer.fit(module, datamodule=BarFaces())
    assert [step for step, _ in ends] == [2, 4, 4]
    assert same(ends[1][1], ends[2][1])
    assert not same(ends[0][1], ends[1][1])
    assert module.recogniser.machine.fitted
    assert {"train/d", "train/g", "val/auc", "val/accuracy"} <= set(trainer.callback_metrics)
    assert not (tmp_path / ".svm_fit").exists()


def test_the_gan_makes_as_many_steps_as_it_is_told_in_the_middle_of_an_epoch_too(model, runner):
    """And then the machines are validated, once, whatever the trainer says of validation."""
    ends, validated = [], []

    class Note(Callback):
        def on_train_epoch_end(self, trainer, pl_module) -> None:
            ends.append((trainer.global_step, bool(pl_module.recogniser.machine.fitted)))

        def on_validation_end(self, trainer, pl_module) -> None:
            validated.append(trainer.global_step)

    for options in ({}, {"check_val_every_n_epoch": None, "val_check_interval": 1}):
        trainer = runner(max_epochs=-1, max_steps=3, callbacks=[Note()], **options)
        module = model()
        trainer.fit(module, datamodule=BarFaces())
        assert ends == [(2, False), (3, False), (3, True)]
        assert validated == [3]
        assert "val/auc" in trainer.callback_metrics
        ends.clear()
        validated.clear()
    # The limit that is reached first counts.
    trainer = runner(max_epochs=1, max_steps=3)
    trainer.fit(model(), datamodule=BarFaces())
    assert trainer.global_step == 2


def test_steps_of_whole_epochs_are_the_same_training(model, runner):
    one, other = model(), model()
    runner(max_epochs=2, callbacks=[SeededSteps()]).fit(one, datamodule=BarFaces())
    runner(max_epochs=-1, max_steps=4, callbacks=[SeededSteps()]).fit(other, datamodule=BarFaces())
    assert same(weights(one), weights(other))


def test_faces_without_labels_train_the_gan_alone(model, runner):
    data, module = BarFaces(), model()
    data.labels = np.full(36, -1)
    trainer = runner(max_epochs=1, limit_val_batches=0)
    trainer.fit(module, datamodule=data)
    assert trainer.global_step == 2
    assert not module.recogniser.machine.fitted


# ---- kills, and further training


class Killed(BaseException):
    pass


STAGES = ["gan", "features", "search", "calibration", "fit", "saving"]
EPOCHS, STEPS = {"max_epochs": 2}, {"max_epochs": -1, "max_steps": 3}


@pytest.mark.parametrize(
    ("stage", "limit"), [*((stage, EPOCHS) for stage in STAGES), ("gan", STEPS), ("search", STEPS)]
)
def test_a_kill_at_any_stage_costs_nothing_of_the_result(
    model, runner, tmp_path, monkeypatch, stage, limit
):
    def fit(folder: Any, **options: Any) -> DCGANSVM:
        module = model(blocks="all", standardised=True, mirrored=True)
        runner(
            **limit,
            enable_checkpointing=True,
            default_root_dir=folder,
            callbacks=[SeededSteps(), Saver(folder)],
        ).fit(module, datamodule=BarFaces(), **options)
        return module

    whole = fit(tmp_path / "whole")
    calls = {
        "gan": (DCGANSVM, "training_step", 3),
        "features": (DCGANSVM, "part_features", 1),
        "search": (recognisers.KernelSearch, "_score", 2),
        "calibration": (recognisers.KernelSearch, "calibrate", 1),
        "fit": (recognisers.KernelSearch, "fit", 1),
        "saving": (DCGANSVM, "on_validation_epoch_end", 1),
    }
    owner, name, at = calls[stage]
    original, seen = getattr(owner, name), []

    def killed(self, *arguments: Any, **options: Any) -> Any:
        seen.append(name)
        if len(seen) == at + (stage == "saving"):  # the first is Lightning's trial
            raise Killed
        return original(self, *arguments, **options)

    folder = tmp_path / "killed"
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, killed)
        if stage == "saving":
            seen.append("")
        with pytest.raises(Killed):
            fit(folder)
    last = folder / "last.ckpt"
    scored: list[Any] = []
    score = recognisers.KernelSearch._score
    monkeypatch.setattr(
        recognisers.KernelSearch, "_score", lambda self, p: scored.append(p) or score(self, p)
    )
    steps: list[int] = []
    step = DCGANSVM.training_step
    monkeypatch.setattr(
        DCGANSVM, "training_step", lambda self, *a: steps.append(self.global_step) or step(self, *a)
    )
    resumed = fit(folder, ckpt_path=last, weights_only=True)
    assert same(weights(whole), weights(resumed))
    done = {"gan": 0, "features": 0, "search": 1, "calibration": 3, "fit": 3, "saving": 3}
    assert len(scored) == 3 - done[stage]
    # A checkpoint holds the GAN before the machines are searched.
    last_step = limit.get("max_steps", 4)
    assert steps == [*range(2, last_step + 1)] if stage == "gan" else [last_step]


def test_a_gan_that_is_trained_further_gets_machines_of_its_own(model, runner, tmp_path):
    saver = Saver(tmp_path)
    runner(enable_checkpointing=True, callbacks=[saver]).fit(model(), datamodule=BarFaces())
    module = model()
    runner(max_epochs=4).fit(
        module, datamodule=BarFaces(), ckpt_path=tmp_path / "last.ckpt", weights_only=True
    )
    old = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    features = module.part_features("train")[1]
    assert not torch.equal(
        old["recogniser.machine.support_vectors"], module.recogniser.machine.support_vectors
    )
    rows = module.recogniser.machine.support_vectors
    assert all((features == row).all(dim=1).any() for row in rows)


def test_a_gan_that_is_trained_further_forgets_machine_and_calibration(model, runner, tmp_path):
    saver = Saver(tmp_path)
    runner(enable_checkpointing=True, callbacks=[saver]).fit(model(), datamodule=BarFaces())
    module = model()

    class Looking(Callback):
        def on_train_batch_start(self, trainer, pl_module, *_: Any) -> None:
            if trainer.current_epoch < trainer.max_epochs - 1:
                fitted.append((pl_module.recogniser.machine, pl_module.recogniser.calibration))
                assert not any(bool(part.fitted) for part in fitted[-1])

    fitted: list[Any] = []
    runner(max_epochs=4, callbacks=[Looking()]).fit(
        module, datamodule=BarFaces(), ckpt_path=tmp_path / "last.ckpt", weights_only=True
    )
    assert fitted
    assert module.recogniser.calibration.fitted

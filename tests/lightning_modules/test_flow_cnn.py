from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from sklearn.metrics import accuracy_score
from torch.nn import functional

from datamodules.errors import UserError
from lightning_modules.flow_cnn import FlowCNNClassifier
from tests.lightning_modules.fakes import FakeDataModule, Outputs
from tests.lightning_modules.occluded_fakes import (
    CLASS_NAMES,
    SIZE,
    OccludedDataModule,
    occluded_batch,
)


@pytest.fixture
def model() -> Callable[..., FlowCNNClassifier]:
    def build(**options: Any) -> FlowCNNClassifier:
        defaults = {"num_classes": len(CLASS_NAMES), "size": SIZE}
        return FlowCNNClassifier(**{**defaults, **options})

    return build


def test_it_overfits_a_few_flows_and_scores_them(model, trainer):
    module = model(dropout=0.0, optimizer=lambda p: torch.optim.Adam(p, lr=3e-3))
    runner = trainer(max_epochs=30, check_val_every_n_epoch=30)
    runner.fit(module, datamodule=OccludedDataModule(length=6, batch_size=6))
    assert runner.callback_metrics["val/accuracy"] == 1.0
    assert runner.global_step == 30


@pytest.mark.parametrize(("interval", "steps"), [(2, [1, 2, 3, 5]), (50, [2, 5])])
def test_losses_are_logged_where_they_are_written_and_at_the_end_of_an_epoch(
    model, trainer, monkeypatch: pytest.MonkeyPatch, interval: int, steps: list[int]
) -> None:
    runner, module, logged = trainer(max_epochs=2, log_every_n_steps=interval), model(), []

    def log(values: dict[str, torch.Tensor], **_: Any) -> None:
        if any(name.startswith("train/") for name in values):
            logged.append((runner.global_step - 1, *values))

    monkeypatch.setattr(module, "log_dict", log)
    runner.fit(module, datamodule=OccludedDataModule(length=6, batch_size=2))
    assert logged == [(step, "train/cross_entropy") for step in steps]


def test_scores_are_those_of_all_samples(model, trainer):
    outputs, module = Outputs(), model()
    [logged] = trainer(callbacks=[outputs]).test(
        module, datamodule=OccludedDataModule(), verbose=False
    )
    batch = occluded_batch(5)
    logits = module.eval()(batch["flow"])
    got = {name: torch.cat([out[name] for out in outputs.batches]) for name in outputs.batches[0]}
    torch.testing.assert_close(got["logits"], logits)
    assert got["sample_id"].tolist() == batch["sample_id"].tolist()
    assert torch.equal(got["flow"], batch["flow"])
    accuracy = accuracy_score(batch["label"], logits.argmax(dim=1))
    assert logged["test/accuracy"] == pytest.approx(accuracy)
    # Batches of 3 and 2: a mean of means would be another number.
    cross_entropy = functional.cross_entropy(logits, batch["label"]).item()
    assert logged["test/cross_entropy"] == pytest.approx(cross_entropy, rel=1e-5)
    names = ("accuracy", "balanced_accuracy", "f1_macro", "confidence", "cross_entropy")
    recalls = (f"recall_{name}" for name in CLASS_NAMES)
    assert set(logged) == {f"test/{name}" for name in (*names, *recalls)}


def test_the_accuracy_is_told_of_each_test_list_too(model, trainer):
    outputs = Outputs()
    [logged] = trainer(callbacks=[outputs]).test(
        model(size=32), datamodule=FakeDataModule(), verbose=False
    )
    right = (outputs.whole("logits").argmax(dim=1) == outputs.whole("label")).float()
    assert logged["test/yaw_accuracy"] == right[:1].mean()
    assert logged["test/roll_accuracy"] == pytest.approx(right[1:].mean().item())


def test_prediction_needs_no_label(model, trainer):
    outputs, module = Outputs(), model()
    trainer(callbacks=[outputs]).predict(
        module, datamodule=OccludedDataModule(), return_predictions=False
    )
    first = outputs.batches[0]
    torch.testing.assert_close(first["logits"], module.eval()(first["flow"]))
    assert first["sequence"] == ["clip"] * 3


@pytest.mark.filterwarnings("ignore:Checkpoint directory")
def test_a_checkpoint_of_plain_values_is_tested(model, trainer, tmp_path):
    saving = ModelCheckpoint(tmp_path, save_last=True)
    trained = model()
    trainer(enable_checkpointing=True, callbacks=[saving]).fit(
        trained, datamodule=OccludedDataModule()
    )
    fresh, last = model(), str(tmp_path / "last.ckpt")
    trainer(enable_checkpointing=True, callbacks=[ModelCheckpoint(tmp_path)]).test(
        fresh, datamodule=OccludedDataModule(), ckpt_path=last, verbose=False, weights_only=True
    )
    for name, tensor in trained.state_dict().items():
        assert torch.equal(tensor, fresh.state_dict()[name])


@pytest.mark.parametrize("size", [24, 48, 64, 96, 128])
def test_the_size_is_one_override(model, size):
    module = model(size=size).eval()
    flow = torch.zeros(2, 2, size, size)
    flow[:, 1] = size / 32
    assert module(flow).shape == (2, len(CLASS_NAMES))
    # The same share of the face at every size is the same share of the clip.
    torch.testing.assert_close(module.codec.encode(flow)[0, 1].mean(), torch.tensor(0.8))


def test_flows_of_another_size_are_refused(model, trainer) -> None:
    data = OccludedDataModule(3)
    data.size = 2 * SIZE
    said = f"model.size is {SIZE}, but data.size is {2 * SIZE}: give"
    with pytest.raises(UserError, match=said):
        trainer().fit(model(), datamodule=data)

from __future__ import annotations

from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint
from sklearn.metrics import accuracy_score
from torch.nn import functional

from datamodules.errors import UserError
from lightning_modules.pcnn import PCNN
from lightning_modules.resnet18 import ResNet18Classifier
from tests.lightning_modules.face_fakes import CLASS_NAMES, SIZE, FaceFakes, face_batch
from tests.lightning_modules.fakes import Outputs

METHODS = [PCNN, ResNet18Classifier]


def build(method: type, **options: Any) -> Any:
    defaults: dict[str, Any] = {"num_classes": len(CLASS_NAMES), "size": SIZE, "width": 2}
    return method(**{**defaults, **options})


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("labels", ["hard", "votes"])
def test_it_overfits_a_few_faces(method, labels, trainer):
    module = build(
        method,
        width=4,
        labels=labels,
        optimizer=lambda p: torch.optim.Adam(p, lr=3e-3),
        lr_scheduler=lambda o: torch.optim.lr_scheduler.StepLR(o, 100),
    )
    runner = trainer(max_epochs=25, check_val_every_n_epoch=25)
    runner.fit(module, datamodule=FaceFakes())
    assert runner.callback_metrics["val/accuracy"] == 1.0
    assert runner.global_step == 25


@pytest.mark.parametrize(
    ("interval", "rates"), [("step", [1.0, 0.5, 0.25, 0.125]), ("epoch", [1.0] * 2 + [0.5] * 2)]
)
def test_a_schedule_counts_epochs_or_steps(interval, rates, trainer):
    seen = []

    class Rates(Callback):
        def on_train_batch_start(self, trainer, *_: Any) -> None:
            seen.append(trainer.optimizers[0].param_groups[0]["lr"])

    module = build(
        METHODS[0],
        optimizer=lambda p: torch.optim.SGD(p, lr=1.0),
        lr_scheduler=lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.5),
        lr_interval=interval,
    )
    runner = trainer(max_epochs=2, limit_train_batches=2, limit_val_batches=0, callbacks=[Rates()])
    runner.fit(module, datamodule=FaceFakes(8, 2))
    assert seen == rates


@pytest.mark.parametrize("method", METHODS)
def test_scores_are_those_of_all_samples_and_of_each_subset(method, trainer):
    outputs, module = Outputs(), build(method)
    [logged] = trainer(callbacks=[outputs]).test(module, datamodule=FaceFakes(7, 4), verbose=False)
    batch = face_batch(7, "test")
    logits = module.eval()(batch["image"])
    got = {name: torch.cat([out[name] for out in outputs.batches]) for name in outputs.batches[0]}
    torch.testing.assert_close(got["logits"], logits)
    torch.testing.assert_close(module.network.fc(got["features"]), logits)
    assert got["sample_id"].tolist() == list(range(7))
    assert torch.equal(got["image"], batch["image"])
    answers = logits.argmax(dim=1)
    assert logged["test/accuracy"] == pytest.approx(accuracy_score(batch["label"], answers))
    cross_entropy = functional.cross_entropy(logits, batch["label"]).item()
    assert logged["test/cross_entropy"] == pytest.approx(cross_entropy, rel=1e-5)
    for column, name in ((0, "occlusion"), (2, "pose45")):
        inside = batch["subsets"][:, column]
        expected = accuracy_score(batch["label"][inside], answers[inside])
        assert logged[f"test/{name}_accuracy"] == pytest.approx(expected)
    names = ("accuracy", "balanced_accuracy", "f1_macro", "confidence", "cross_entropy")
    recalls = (f"recall_{name}" for name in CLASS_NAMES)
    subsets = ("occlusion_accuracy", "pose45_accuracy")  # none shows pose30
    assert set(logged) == {f"test/{name}" for name in (*names, *recalls, *subsets)}


@pytest.mark.parametrize("method", METHODS)
def test_prediction_needs_no_label(method, trainer):
    outputs, module = Outputs(), build(method)
    trainer(callbacks=[outputs]).predict(
        module, datamodule=FaceFakes(4, 4), return_predictions=False
    )
    [first] = outputs.batches
    torch.testing.assert_close(first["logits"], module.eval()(first["image"]))
    assert set(first) == {"logits", "sample_id", "source", "frame", "box", "image"}


@pytest.mark.filterwarnings("ignore:Checkpoint directory")
def test_a_checkpoint_of_plain_values_is_tested(trainer, tmp_path):
    saving, trained, fresh = ModelCheckpoint(tmp_path, save_last=True), build(PCNN), build(PCNN)
    trainer(enable_checkpointing=True, callbacks=[saving]).fit(trained, datamodule=FaceFakes())
    trainer(enable_checkpointing=True, callbacks=[ModelCheckpoint(tmp_path)]).test(
        fresh,
        datamodule=FaceFakes(),
        ckpt_path=str(tmp_path / "last.ckpt"),
        verbose=False,
        weights_only=True,
    )
    for name, tensor in trained.state_dict().items():
        assert torch.equal(tensor, fresh.state_dict()[name])


def test_the_two_phases_are_logged_and_weighed(trainer):
    module = build(PCNN, alpha=3.0, beta=2.0)
    runner = trainer(limit_val_batches=0)
    runner.fit(module, datamodule=FaceFakes())
    logged = {name: value.item() for name, value in runner.callback_metrics.items()}
    terms = [logged[f"train/{name}_cross_entropy"] for name in ("global", "local")]
    assert logged["train/total"] == pytest.approx(3 * terms[0] + 2 * terms[1], rel=1e-5)


def test_votes_are_the_target_by_name():
    batch = face_batch()
    hard, soft = build(ResNet18Classifier), build(ResNet18Classifier, labels="votes")
    soft.load_state_dict(hard.state_dict())
    logits = soft.eval()(batch["image"])
    loss = soft.losses(batch["image"], soft._target(batch))["total"]
    torch.testing.assert_close(loss, functional.cross_entropy(logits, batch["votes"]))
    assert torch.equal(hard._target(batch), batch["label"])
    del batch["votes"]
    with pytest.raises(ValueError, match="on 3 classes in every batch, got none"):
        soft._target(batch)


def test_classes_are_weighed_where_the_data_ask_for_it(trainer):
    for balance, expected in (("none", [1, 1, 1]), ("loss", [3, 1.5, 0.5])):
        module = build(ResNet18Classifier)
        trainer(limit_val_batches=0, limit_train_batches=1).fit(
            module, datamodule=FaceFakes(class_balance=balance)
        )
        assert module.class_weights.tolist() == expected
    batch = face_batch()
    logits = module.eval()(batch["image"])
    torch.testing.assert_close(
        module.losses(batch["image"], batch["label"])["total"],
        functional.cross_entropy(logits, batch["label"], torch.tensor([3, 1.5, 0.5])),
    )


def test_a_class_that_the_data_do_not_have_cannot_be_weighed(trainer):
    data = FaceFakes(class_balance="loss")
    data.class_counts = (1, 0, 6)
    with pytest.raises(UserError, match="has no training sample"):
        trainer().fit(build(ResNet18Classifier), datamodule=data)


@pytest.mark.parametrize("method", METHODS)
def test_training_alone_adjusts_logits_by_the_frequencies_of_the_classes(method, trainer):
    module = build(method, logit_adjustment=0.5)
    trainer(limit_val_batches=0, limit_train_batches=1).fit(module, datamodule=FaceFakes())
    offsets = 0.5 * (torch.tensor([1.0, 2.0, 6.0]) / 9).log()
    torch.testing.assert_close(module.class_offsets, offsets)
    batch = face_batch()
    logits = module.eval()(batch["image"])
    losses = module.losses(batch["image"], batch["label"])
    torch.testing.assert_close(
        losses.get("global_cross_entropy", losses["total"]),
        functional.cross_entropy(logits + offsets, batch["label"]),
    )
    torch.testing.assert_close(logits, module.answer(module.network, batch["image"]).logits)


def test_data_of_other_classes_are_named(trainer):
    with pytest.raises(ValueError, match=r"num_classes is 5, but the data has 3 classes \(neutral"):
        trainer().fit(build(PCNN, num_classes=5), datamodule=FaceFakes())


def test_faces_without_an_expression_are_refused(trainer):
    data = FaceFakes()
    data.annotated = "action_units"
    with pytest.raises(ValueError, match="PCNN learns expressions, so leave it at expressions"):
        trainer().fit(build(PCNN), datamodule=data)


def test_training_starts_from_weights_and_a_resumed_one_needs_them_no_more(trainer, tmp_path):
    other = build(ResNet18Classifier).network
    torch.save(other.state_dict(), tmp_path / "weights.pth")
    still = {"optimizer": lambda p: torch.optim.SGD(p, lr=0.0)}
    module = build(PCNN, weights=str(tmp_path / "weights.pth"), **still)
    first = trainer(limit_val_batches=0)
    first.fit(module, datamodule=FaceFakes())
    for trunk in (module.network.global_trunk, *module.network.region_trunks.values()):
        assert torch.equal(trunk.layer3[1].conv2.weight, other.layer3[1].conv2.weight)
    first.save_checkpoint(tmp_path / "last.ckpt")
    (tmp_path / "weights.pth").unlink()
    again = build(PCNN, weights=str(tmp_path / "weights.pth"), **still)
    trainer(limit_val_batches=0, max_epochs=2).fit(
        again, datamodule=FaceFakes(), ckpt_path=str(tmp_path / "last.ckpt"), weights_only=True
    )
    assert torch.equal(again.network.layer4[0].conv1.weight, other.layer4[0].conv1.weight)


def test_it_starts_from_a_trained_resnet_unless_that_saw_what_is_held_out(trainer, tmp_path):
    plain, path = build(ResNet18Classifier), str(tmp_path / "plain.ckpt")
    first = trainer(limit_val_batches=0)
    first.fit(plain, datamodule=FaceFakes())
    first.save_checkpoint(path)
    module = build(PCNN, weights=path, optimizer=lambda p: torch.optim.SGD(p, lr=0.0))
    trainer(limit_val_batches=0).fit(module, datamodule=FaceFakes())
    for trunk in (module.network.global_trunk, *module.network.region_trunks.values()):
        assert torch.equal(trunk.conv1.weight, plain.network.conv1.weight)
    assert torch.equal(module.network.layer4[1].conv2.weight, plain.network.layer4[1].conv2.weight)

    class Guarded(FaceFakes):
        def refuse_leak(self, checkpoint, what):
            assert set(checkpoint["state_dict"]) == set(plain.state_dict())
            raise UserError(f"{what} was trained on held-out samples.")

    untouched = build(PCNN, weights=path)
    before = untouched.network.layer4[1].conv2.weight.clone()
    with pytest.raises(UserError, match=f"model.weights {path} was trained on held-out samples"):
        trainer().fit(untouched, datamodule=Guarded())
    assert torch.equal(untouched.network.layer4[1].conv2.weight, before)


@pytest.mark.parametrize("method", METHODS)
def test_a_face_and_its_mirror_image_are_judged_alike_where_both_are_seen(method, trainer):
    outputs = Outputs()
    one, both = build(method), build(method, mirror=True)
    both.load_state_dict(one.state_dict())
    image = face_batch(7, "test")["image"]
    image[:, :, :, : SIZE // 2] *= 0.5
    one, both = one.eval(), both.eval()
    assert not torch.allclose(one(image), one(image.flip(3)), atol=1e-5)
    torch.testing.assert_close(both(image), both(image.flip(3)))
    torch.testing.assert_close(both(image), (one(image) + one(image.flip(3))) / 2)
    trainer(callbacks=[outputs]).test(both, datamodule=FaceFakes(7, 4), verbose=False)
    got = {
        name: torch.cat([out[name] for out in outputs.batches]) for name in ("logits", "features")
    }
    torch.testing.assert_close(both.network.fc(got["features"]), got["logits"])

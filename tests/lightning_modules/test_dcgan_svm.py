from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.preprocessing import StandardScaler, normalize
from sklearn.svm import SVC

from datamodules.labels import ACTION_UNITS
from lightning_modules.dcgan_svm import DCGANSVM
from lightning_modules.svm.data import labelled_part
from tests.lightning_modules.dcgan_fakes import SIZE, BarFaces, Saver, small_dcgan_svm
from tests.lightning_modules.fakes import Outputs, same, touched_players, weights


@pytest.fixture
def model() -> Callable[..., DCGANSVM]:
    return small_dcgan_svm


# ---- the GAN


def test_each_player_moves_alone(model, runner, monkeypatch):
    notes = touched_players(monkeypatch, "dcgan_svm")
    runner(limit_train_batches=1).fit(model(), datamodule=BarFaces())
    assert notes == [{"discriminator"}, {"generator"}]


def test_running_statistics_are_those_of_real_faces(model):
    module, data = model(), BarFaces()
    batch = next(iter(data.train_dataloader()))
    real, norm = 2 * batch["image"] - 1, module.discriminator.blocks[2][1]
    seen = module.discriminator.blocks[2][0](module.discriminator.blocks[:2](real))
    module.optimizers = lambda: [  # type: ignore[method-assign]
        torch.optim.SGD(player.parameters(), lr=0.0)
        for player in (module.discriminator, module.generator)
    ]
    module.manual_backward = lambda loss: loss.backward()  # type: ignore[method-assign]
    module.log_dict = lambda values: None  # type: ignore[method-assign]
    module.toggle_optimizer = module.untoggle_optimizer = lambda *_: None  # type: ignore
    module._gan_limits = (1, -1)
    module._trainer = type("Trainer", (), {"current_epoch": 0})()  # type: ignore[assignment]
    module.training_step(batch, 0)
    torch.testing.assert_close(norm.running_mean, 0.1 * seen.mean(dim=(0, 2, 3)))


# ---- the machines


def test_the_machine_is_that_of_scikit_learn_on_the_features(model, runner):
    data, module, outputs = BarFaces(), model(), Outputs()
    trainer = runner(max_epochs=2, callbacks=[outputs])
    trainer.fit(module, datamodule=data)
    [logged] = trainer.test(module, datamodule=data, verbose=False)
    faces, features = module.part_features("train")
    assert faces.rows.tolist() == data.parts["train"].tolist()
    raw = SVC(
        C=float(module.recogniser.machine.cost),
        gamma=float(module.recogniser.machine.gamma),
        break_ties=True,
    ).fit(features.double(), faces.label)
    tested = outputs.whole("features").double()
    np.testing.assert_allclose(outputs.whole("scores"), raw.decision_function(tested), atol=1e-5)
    predicted, label = raw.predict(tested), outputs.whole("label").numpy()
    np.testing.assert_array_equal(outputs.whole("scores").argmax(dim=1), predicted)
    assert logged["test/accuracy"] == pytest.approx((predicted == label).mean())
    expected = balanced_accuracy_score(label, predicted)
    assert logged["test/balanced_accuracy"] == pytest.approx(expected)
    areas = [
        roc_auc_score(label == index, raw.decision_function(tested)[:, index]) for index in range(3)
    ]
    assert logged["test/auc"] == pytest.approx(np.mean(areas))
    assert logged["test/auc_happiness"] == pytest.approx(areas[1])
    assert outputs.whole("sample_id").tolist() == data.parts["test"].tolist()
    assert np.isfinite(logged["test/fid_own_discriminator"])
    assert logged["test/diversity"] >= 0


def test_answers_are_scores_and_only_calibrated_ones_are_probabilities(model, runner):
    module, outputs, data = model(), Outputs(), BarFaces()
    trainer = runner(max_epochs=2, callbacks=[outputs])
    trainer.fit(module, datamodule=data)
    [logged] = trainer.test(module, datamodule=data, verbose=False)
    assert "logits" not in outputs.batches[0]
    scores, probabilities = outputs.whole("scores"), outputs.whole("probabilities")
    temperature = float(module.recogniser.calibration.temperature)
    assert temperature != 1
    torch.testing.assert_close(probabilities, (scores / temperature).softmax(dim=1))
    assert not any(name.startswith("test/is_") for name in logged)
    batch = {**next(iter(data.test_dataloader())), "source": ["a"] * 12}
    predicted = module.eval().predict_step(batch, 0)
    torch.testing.assert_close(predicted["probabilities"], probabilities)
    assert "logits" not in predicted


def test_bars_are_told_apart_by_people_never_seen(model, runner):
    trainer = runner(max_epochs=3)
    trainer.fit(model(width=8), datamodule=BarFaces(60))
    assert trainer.callback_metrics["val/accuracy"] == 1.0
    assert trainer.callback_metrics["val/auc"] == 1.0


@pytest.mark.parametrize("features", ["pixels", "untrained", "hog"])
def test_baselines_train_no_gan(model, runner, features):
    module = model(features=features)
    before = weights(module.generator)
    trainer = runner(max_epochs=50)
    trainer.fit(module, datamodule=BarFaces())
    assert trainer.current_epoch == 1
    assert trainer.global_step == 0
    assert same(before, weights(module.generator))
    [logged] = trainer.test(module, datamodule=BarFaces(), verbose=False)
    assert logged["test/accuracy"] > 0.9
    assert not any("own_discriminator" in name for name in logged)
    widths = {"pixels": 3 * SIZE * SIZE, "untrained": 8 * 16, "hog": 36}
    assert module.recogniser.machine.support_vectors.shape[1] == widths[features]


def test_machines_read_what_the_training_part_has_scaled(model, runner, tmp_path):
    data, outputs = BarFaces(), Outputs()
    module = model(blocks="all", standardised=True, mirrored=True, channels=1)
    trainer = runner(max_epochs=2, callbacks=[Saver(tmp_path)], enable_checkpointing=True)
    trainer.fit(module, datamodule=data)
    again = model(blocks="all", standardised=True, mirrored=True, channels=1)
    runner(callbacks=[outputs]).test(
        again, datamodule=data, ckpt_path=tmp_path / "last.ckpt", verbose=False, weights_only=True
    )
    raw = module.part_features("train")[1]
    assert raw.shape == (24, 4 * 16 + 8 * 16)
    blocks = []
    for train, test in zip(
        raw.double().split([64, 128], dim=1),
        outputs.whole("features").double().split([64, 128], dim=1),
        strict=True,
    ):
        standard = StandardScaler().fit(train)
        blocks.append([normalize(standard.transform(part)) for part in (train, test)])
    scaled_train, scaled_test = map(np.hstack, zip(*blocks, strict=True))
    machine = SVC(
        C=float(module.recogniser.machine.cost),
        gamma=float(module.recogniser.machine.gamma),
        break_ties=True,
    ).fit(scaled_train, module.part_features("train")[0].label)
    np.testing.assert_allclose(
        outputs.whole("scores"), machine.decision_function(scaled_test), atol=1e-4
    )


@pytest.mark.parametrize("source", ["discriminator", "hog", "pixels"])
def test_a_face_and_its_mirror_image_have_the_same_features(model, source):
    image = torch.rand(3, 3, SIZE, SIZE)
    module, plain = model(mirrored=True), model()
    torch.testing.assert_close(
        module.extract(image, source), module.extract(image.flip(-1), source)
    )
    mean = (plain.extract(image, source) + plain.extract(image.flip(-1), source)) / 2
    torch.testing.assert_close(module.extract(image, source), mean)
    assert not torch.allclose(plain.extract(image, source), mean)


def test_baselines_stand_beside_the_run_and_are_their_own_runs(model, runner):
    data, alone = BarFaces(), {}
    trainer, module, outputs = runner(max_epochs=2), model(baselines=["hog", "pixels"]), Outputs()
    trainer.callbacks.append(outputs)
    trainer.fit(module, datamodule=data)
    [logged] = trainer.test(module, datamodule=data, verbose=False)
    for source in ("hog", "pixels"):
        # A baseline of its own run is no row twice.
        one, others = model(features=source, baselines=["hog", "pixels"]), Outputs()
        single = runner(callbacks=[others])
        single.fit(one, datamodule=data)
        [alone] = single.test(one, datamodule=data, verbose=False)
        assert f"test/{source}_accuracy" not in alone
        for measure in ("accuracy", "balanced_accuracy", "auc"):
            assert logged[f"test/{source}_{measure}"] == alone[f"test/{measure}"]
        assert torch.equal(outputs.whole(f"scores_{source}"), others.whole("scores"))


def test_learnt_features_beside_hog_are_a_row(model, runner):
    settings = {"blocks": "all", "standardised": True, "baselines": ["hog", "discriminator_hog"]}
    data, module = BarFaces(), model(**settings)
    trainer = runner(max_epochs=2)
    trainer.fit(module, datamodule=data)
    both, learnt, free = (
        module.part_features("train", source)[1]
        for source in ("discriminator_hog", "discriminator", "hog")
    )
    assert torch.equal(both, torch.cat([learnt, free], dim=1))
    scaled = module.baselines["discriminator_hog"].scaling(both)
    # Three blocks of unit length, of which HOG is the last.
    torch.testing.assert_close(scaled[:, -36:].norm(dim=1), torch.ones(len(both)))
    torch.testing.assert_close(scaled.norm(dim=1), torch.full((len(both),), 3**0.5))
    [logged] = trainer.test(module, datamodule=data, verbose=False)
    assert logged["test/discriminator_hog_accuracy"] > 0.9
    with pytest.raises(ValueError, match="features is hog"):
        model(features="hog", baselines=["discriminator_hog"])


def test_a_checkpoint_holds_all_and_loads_without_pickle(model, runner, tmp_path):
    data, module = BarFaces(), model(channels=1)
    saver = Saver(tmp_path)
    runner(enable_checkpointing=True, callbacks=[saver]).fit(module, datamodule=data)
    content = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert content["state_dict"]["recogniser.machine.fitted"]
    again = model(channels=1)
    outputs = Outputs()
    runner(callbacks=[outputs]).test(
        again, datamodule=data, ckpt_path=tmp_path / "last.ckpt", verbose=False, weights_only=True
    )
    torch.testing.assert_close(
        outputs.whole("scores"), module(torch.cat([b["image"] for b in data.test_dataloader()]))
    )


def test_a_gan_of_another_run_is_taken_whole_or_not_at_all(model, runner, tmp_path):
    saver = Saver(tmp_path)
    first = model()
    runner(enable_checkpointing=True, callbacks=[saver]).fit(first, datamodule=BarFaces())
    path = str(tmp_path / "last.ckpt")
    data = BarFaces(48)
    module = model(pretrained=path, search_trials=1)
    torch.nn.init.zeros_(module.discriminator.head.weight)
    trainer = runner(max_epochs=7)
    trainer.fit(module, datamodule=data)
    assert trainer.global_step == 0
    for player in ("generator", "discriminator"):
        assert same(weights(getattr(first, player)), weights(getattr(module, player)))
    other = model(pretrained=path, width=8)
    before = weights(other)
    with pytest.raises(ValueError, match=r"generator in .* is of another architecture: .*expected"):
        runner().fit(other, datamodule=data)
    assert same(before, weights(other))
    for content, said in (
        ({"state_dict": {"a": torch.ones(1)}}, "holds no generator"),
        (3, "holds a int"),
    ):
        torch.save(content, tmp_path / "odd.ckpt")
        with pytest.raises(ValueError, match=said):
            runner().fit(model(pretrained=str(tmp_path / "odd.ckpt")), datamodule=data)
    with pytest.raises(ValueError, match="nowhere does not exist"):
        runner().fit(model(pretrained="nowhere"), datamodule=data)
    with pytest.raises(ValueError, match="but features is pixels"):
        model(pretrained=path, features="pixels")


# ---- action units


def test_action_units_of_expressions_follow_table_6(model, runner):
    data, module, outputs = BarFaces(), model(task="action_units"), Outputs()
    trainer = runner(max_epochs=2, callbacks=[outputs])
    trainer.fit(module, datamodule=data)
    validated = float(trainer.callback_metrics["val/auc"])
    [logged] = trainer.test(module, datamodule=data, verbose=False)
    shown = outputs.whole("action_units")
    happy, surprised = (data.labels[data.parts["test"]] == label for label in (1, 2))
    for unit, faces in ((6, happy), (12, happy), (27, surprised), (25, happy | surprised)):
        column = shown[:, ACTION_UNITS.index(unit)].bool().numpy()
        np.testing.assert_array_equal(column, faces)
        assert logged[f"test/auc_au{unit}"] > 0.9
        assert logged[f"test/support_au{unit}"] == faces.sum()
        assert logged[f"test/base_rate_au{unit}"] == pytest.approx(faces.mean())
    assert "test/auc_au4" not in logged  # neither happy nor surprised faces show it
    assert logged["test/support_au4"] == 0
    assert logged["test/units"] == 7
    assert torch.isnan(outputs.whole("unit_margins")[:, ACTION_UNITS.index(4)]).all()
    assert validated == pytest.approx(logged["test/auc"])  # both parts are of the same faces here
    assert logged["test/auc"] > 0.9


def test_action_units_of_the_data_set_come_first(model, runner):
    units = np.zeros((36, len(ACTION_UNITS)), np.int64)
    units[:, 3] = np.arange(36) % 3 == 0
    units[:, 5] = 1
    data = BarFaces(units=units)
    trainer, module = runner(), model(task="action_units", features="pixels")
    trainer.fit(module, datamodule=data)
    [logged] = trainer.test(module, datamodule=data, verbose=False)
    assert logged["test/units"] == 1
    assert logged["test/auc"] == logged["test/auc_au5"] > 0.9
    assert logged["test/base_rate_au7"] == 1
    empty = BarFaces(units=np.zeros_like(units))
    with pytest.raises(ValueError, match="None of the 14 Action Units is both present and absent"):
        runner().fit(model(task="action_units"), datamodule=empty)


def test_action_units_are_learnt_of_faces_without_an_expression(model, runner):
    units = np.zeros((36, len(ACTION_UNITS)), np.int64)
    units[:, 3] = np.arange(36) % 3 == 0
    data = BarFaces(units=units)
    data.labels = np.where(np.arange(36) % 2 == 0, data.labels, -1)
    assert len(labelled_part(data, "train", "emotions").rows) == 12
    part = labelled_part(data, "train", "action_units")
    assert part.rows.tolist() == data.parts["train"].tolist()
    assert (part.label == -1).sum() == 12
    outputs, module = Outputs(), model(task="action_units", features="pixels")
    trainer = runner(callbacks=[outputs])
    trainer.fit(module, datamodule=data)
    [logged] = trainer.test(module, datamodule=data, verbose=False)
    assert logged["test/support_au5"] == units[data.parts["test"], 3].sum()
    assert -1 in outputs.whole("label")
    data.annotated = "action_units"
    with pytest.raises(ValueError, match=r"model.task is emotions: set it to action_units too"):
        runner().fit(model(), datamodule=data)


# ---- what must be said


def test_what_cannot_be_is_said(model, runner):
    data = BarFaces()
    for verb in ("test", "validate"):
        with pytest.raises(ValueError, match="has no fitted SVM"):
            getattr(runner(), verb)(model(), datamodule=data, verbose=False)
    with pytest.raises(ValueError, match="num_classes is 4, but the data has 3"):
        runner().fit(model(num_classes=4), datamodule=data)
    with pytest.raises(ValueError, match=r"model.size is 32, but data.size is 16"):
        runner().fit(model(size=32), datamodule=data)
    with pytest.raises(ValueError, match="draws squares of 16, 32, 64, 128"):
        model(size=48)
    with pytest.raises(ValueError, match="search_trials must be 1 or more"):
        model(search_trials=0)
    with pytest.raises(ValueError, match=r"max_steps and trainer\.max_epochs are both -1: set one"):
        runner(max_epochs=-1).fit(model(), datamodule=data)

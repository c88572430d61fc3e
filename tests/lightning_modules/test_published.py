"""Methods that start from, or answer by, what their authors published; stand-ins for the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.errors import UserError
from lightning_modules.emotion_gan import EMotionGAN
from lightning_modules.networks.authors import PCNN_CLASSES
from lightning_modules.networks.pcnn import PCNNNetwork
from lightning_modules.pcnn import PCNN
from lightning_modules.resnet18 import ResNet18Classifier
from tests.lightning_modules.face_fakes import CLASS_NAMES, SIZE, FaceFakes
from tests.lightning_modules.fakes import FakeDataModule, FakeFlows, fake_batch
from tests.lightning_modules.published import (
    authors_checkpoint,
    authors_g_f,
    authors_g_w,
    authors_generators,
    authors_pcnn,
    drawn_pcnn,
)

STILL = {"optimizer": lambda parameters: torch.optim.SGD(parameters, lr=0.0)}


class Seen(Callback):
    """Keeps outputs, and the classes that a callback finds at the start of a prediction."""

    def __init__(self) -> None:
        self.outputs: list[Any] = []
        self.names: tuple[str, ...] = ()

    def on_predict_start(self, trainer: Any, *_: Any) -> None:
        self.names = trainer.datamodule.class_names

    def on_test_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *_: Any) -> None:
        self.outputs.append(outputs)

    on_predict_batch_end = on_test_batch_end


@pytest.fixture
def published(tmp_path: Path) -> tuple[str, PCNNNetwork]:
    """A PCNN of seven classes, in a file as the authors' training writes it."""
    torch.manual_seed(0)
    net, path = drawn_pcnn(size=SIZE), tmp_path / "rafdb.pth"
    torch.save({"state_dict": authors_pcnn(net), "optimizer": {"state": {0: 1}}}, path)
    return str(path), net


def pcnn(path: str, classes: int = 3, **options: Any) -> PCNN:
    return PCNN(classes, SIZE, width=2, weights=path, **options)


def test_a_published_pcnn_is_tested_by_the_names_of_the_classes(published, trainer):
    net, seen, module = published[1], Seen(), pcnn(published[0])
    trainer(callbacks=[seen]).test(module, datamodule=FaceFakes(), verbose=False)
    (found,) = seen.outputs
    with torch.no_grad():
        expected = net(module.normalise(found["image"])).logits
    columns = [PCNN_CLASSES.index(name) for name in CLASS_NAMES]
    torch.testing.assert_close(found["logits"], expected[:, columns], atol=1e-5, rtol=1e-5)


def test_a_published_pcnn_predicts_its_own_classes(published, trainer):
    (path, net), seen, data = published, Seen(), FaceFakes()
    data.class_names = ("something", "else")
    trainer(callbacks=[seen]).predict(pcnn(path, 7), datamodule=data, return_predictions=False)
    assert seen.names == PCNN_CLASSES[:7]
    with torch.no_grad():
        expected = net(pcnn(path, 7).normalise(seen.outputs[0]["image"])).logits
    torch.testing.assert_close(seen.outputs[0]["logits"], expected, atol=1e-5, rtol=1e-5)


def test_a_training_starts_from_a_published_pcnn_and_is_tested_as_it_ends(published, trainer):
    (path, net), module = published, pcnn(published[0], **STILL)
    trainer(limit_val_batches=0).fit(module, datamodule=FaceFakes())
    assert torch.equal(module.network.fc.bias, net.fc.bias[[0, 1, 3]])
    assert torch.equal(module.network.layer4[0].conv1.weight, net.layer4[0].conv1.weight)
    Path(path).unlink()
    with torch.no_grad():
        module.network.fc.bias.fill_(7.0)
    trainer().test(module, datamodule=FaceFakes(), verbose=False)
    assert (module.network.fc.bias == 7).all()


@pytest.mark.filterwarnings("ignore:Checkpoint directory")
def test_a_checkpoint_comes_before_the_weights_that_it_began_with(published, trainer, tmp_path):
    path, first, trained = published[0], trainer(limit_val_batches=0), pcnn(published[0])
    first.fit(trained, datamodule=FaceFakes())
    first.save_checkpoint(tmp_path / "last.ckpt")
    Path(path).unlink()
    module, last = pcnn(path), str(tmp_path / "last.ckpt")
    trainer().test(module, datamodule=FaceFakes(), ckpt_path=last, verbose=False, weights_only=True)
    for name, tensor in trained.state_dict().items():
        assert torch.equal(module.state_dict()[name], tensor)


@pytest.mark.parametrize("method", [PCNN, ResNet18Classifier])
def test_a_backbone_starts_a_training_and_answers_nothing(method, trainer, tmp_path):
    torch.save(ResNet18Classifier(3, width=2).network.state_dict(), tmp_path / "a.pth")
    module = method(3, SIZE, width=2, weights=str(tmp_path / "a.pth"))
    with pytest.raises(UserError, match=f"a.pth holds no {method.__name__} that answers"):
        trainer().test(module, datamodule=FaceFakes(), verbose=False)


def test_weights_of_people_who_are_held_out_are_refused(published, trainer):
    class Guarded(FaceFakes):
        def refuse_leak(self, checkpoint, what):
            raise UserError(f"{what} was trained on held-out samples.")

    with pytest.raises(UserError, match=r"model.weights .*rafdb.pth was trained on held-out"):
        trainer().test(pcnn(published[0]), datamodule=Guarded(), verbose=False)


# ---- eMotion-GAN

FLOW, IMAGE = (3, 1, 2), (2, 4, 3)
FITS = {
    "representation": "authors",
    "width": 4,
    "image_width": 2,
    "flow_blocks": FLOW,
    "image_blocks": IMAGE,
}


@pytest.fixture
def generators(tmp_path: Path) -> tuple[str, dict[str, Tensor], dict[str, Tensor]]:
    """Both generators, in a file as the authors' training writes it."""
    torch.manual_seed(0)
    g_f, _ = authors_generators(4, FLOW, IMAGE)
    _, g_w = authors_generators(2, FLOW, IMAGE)
    torch.save(authors_checkpoint(g_f, g_w), tmp_path / "best_model.pth")
    return str(tmp_path / "best_model.pth"), g_f, g_w


def drawn(generators: Any, module: EMotionGAN) -> tuple[Tensor, Tensor]:
    """Flows in pixels and faces that the authors' code makes of a fake batch."""
    _, g_f, g_w = generators
    batch = fake_batch(3)
    with torch.no_grad():
        made = authors_g_f(g_f, module.codec.encode(batch["posed_flow"]))
        face = 0.5 - 0.5 * authors_g_w(g_w, 1 - 2 * batch["neutral"], made)
    return module.codec.decode(made), face


def test_published_generators_are_tested_with_judges_of_the_training_fold(
    generators, model, trainer
):
    module, seen = model(weights=generators[0], **FITS), Seen()
    runner = trainer(callbacks=[seen])
    data = FakeDataModule(30, 3)
    [logged] = runner.test(module, datamodule=data, verbose=False)
    flow, face = drawn(generators, module)
    torch.testing.assert_close(seen.outputs[0]["frontalized_flow"], flow, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(seen.outputs[0]["warped"], face, atol=1e-5, rtol=1e-4)
    assert module.judges.fitted
    torch.testing.assert_close(module.average_face, data.average_face())
    # D_E, which the file lacks, has learnt the frontal flows.
    assert logged["test/frontal_accuracy"] == 1.0


def test_what_a_test_fits_answers_without_dropout_and_by_the_statistics_of_its_fit(
    generators, model, trainer
):
    module, seen = model(weights=generators[0], **FITS), Seen()
    trainer(callbacks=[seen]).test(module, datamodule=FakeDataModule(3, 3), verbose=False)
    (outputs,) = seen.outputs
    module.eval()
    _, logits, _ = module(outputs["posed_flow"], outputs["neutral"])
    torch.testing.assert_close(outputs["logits"], logits)
    judged = module.judges.flow(outputs["frontalized_flow"]).softmax(dim=1)
    confidence = judged.gather(1, outputs["label"][:, None])[:, 0]
    measured = outputs["measures"]["emotion_gan_judge_confidence"]
    torch.testing.assert_close(measured, confidence)


def test_published_generators_predict_and_name_no_expression(generators, model, trainer):
    class Recordings(FakeDataModule):
        def predict_dataloader(self) -> DataLoader[dict[str, Tensor]]:
            return DataLoader(FakeFlows(3), batch_size=3)

    module = model(weights=generators[0], **FITS)
    (outputs,) = trainer().predict(module, datamodule=Recordings())
    flow, face = drawn(generators, module)
    torch.testing.assert_close(outputs["frontalized_flow"], flow, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(outputs["warped"], face, atol=1e-5, rtol=1e-4)
    assert outputs["logits"].isnan().all()


def test_a_training_starts_from_published_generators(generators, model, trainer):
    still = {f"{name}_optimizer": STILL["optimizer"] for name in ("g_f", "g_w", "d_p", "d_e")}
    module = model(weights=generators[0], **FITS, **still)
    trainer(limit_val_batches=0).fit(module, datamodule=FakeDataModule())
    _, g_f, g_w = generators
    assert torch.equal(module.g_f.encoder[0][0].weight, g_f["encoder.1.weight"])
    stem = g_w["identity_encoder.id_encoder.model.1.weight"]
    assert torch.equal(module.g_w.identity_encoder[0][0].weight, -stem)


def test_a_model_made_otherwise_is_told_what_to_add(generators, model, trainer):
    module = model(weights=generators[0], width=4, flow_blocks=FLOW)
    said = r"need --model.representation authors --model.image_width 2 "
    with pytest.raises(UserError, match=said + r"--model.image_blocks '\[2, 4, 3\]': add them"):
        trainer().test(module, datamodule=FakeDataModule(), verbose=False)


def test_the_checkpoint_of_another_method_holds_no_generators(published, model, trainer):
    module = model(weights=published[0], **FITS)
    with pytest.raises(UserError, match="holds no G_F under the names of eMotion-GAN's authors"):
        trainer().fit(module, datamodule=FakeDataModule())


@pytest.mark.parametrize("blocks", [(-1, 2, 5), (4, 2, -1)])
def test_blocks_are_counted_from_0(model, blocks):
    with pytest.raises(UserError, match="counted from 0"):
        model(flow_blocks=blocks)


def test_other_numbers_of_blocks_need_other_sizes(model):
    model(size=24, flow_blocks=(2, 1, 1), image_blocks=(3, 1, 1)).setup("validate")
    with pytest.raises(ValueError, match="multiples of 32"):
        model(size=48, flow_blocks=(5, 1, 1))

"""The authors' files were never met: these are of their names and shapes."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from datamodules.errors import UserError
from lightning_modules.networks.authors import (
    PCNN_CLASSES,
    describe_generators,
    find_network,
    load_generators,
    load_pcnn,
)
from lightning_modules.networks.blocks import Blocks
from lightning_modules.networks.codec import FlowCodec
from lightning_modules.networks.flow_generator import FlowGenerator
from lightning_modules.networks.image_generator import ImageGenerator
from lightning_modules.networks.pcnn import PCNNNetwork
from lightning_modules.networks.weights import MatchReport
from tests.lightning_modules.published import (
    authors_checkpoint,
    authors_g_f,
    authors_g_w,
    authors_generators,
    authors_pcnn,
    drawn_pcnn,
)

FLOW, IMAGE = Blocks(3, 1, 2), Blocks(2, 4, 3)
CODEC = FlowCodec(10.0, "authors")
NAMES = PCNN_CLASSES[:7]


def generators(width: int = 4, image: Blocks = IMAGE) -> nn.ModuleDict:
    g_f = FlowGenerator(width, FLOW, published=True)
    return nn.ModuleDict({"g_f": g_f, "g_w": ImageGenerator(CODEC, width, image)}).eval()


def load(net: PCNNNetwork, state: Any, **options: Any) -> tuple[MatchReport, tuple[str, ...]]:
    given = {"classes": NAMES, "order": None, "whole": True, **options}
    return load_pcnn(net, find_network(state, "PCNN"), "a.pth", **given)


@pytest.mark.parametrize("prefix", ["module.", "", "G_F.module."])
def test_published_generators_draw_what_they_drew_in_the_authors_code(prefix):
    torch.manual_seed(0)
    theirs = authors_generators(4, FLOW, IMAGE)
    ours, content = generators(), authors_checkpoint(*theirs, prefix=prefix)
    report = load_generators(ours, content, "a.pth", flow=FLOW, image=IMAGE)
    assert report.missing == ()
    flow, face = 4 * torch.randn(2, 2, 32, 32), torch.rand(2, 3, 32, 32)
    length = torch.linalg.vector_norm(flow, dim=1).clamp(max=10) / 10
    turn = torch.atan2(flow[:, 1], flow[:, 0]) % (2 * math.pi) / (2 * math.pi)
    code = -2 * torch.stack((length, turn), 1) + 1
    torch.testing.assert_close(CODEC.encode(flow), code, atol=1e-6, rtol=0)
    with torch.no_grad():
        made = authors_g_f(theirs[0], code)
        torch.testing.assert_close(ours["g_f"](code), made, atol=1e-5, rtol=0)
        drawn = -0.5 * authors_g_w(theirs[1], -2 * face + 1, made) + 0.5
        torch.testing.assert_close(ours["g_w"](face, made), drawn, atol=1e-5, rtol=0)


def test_what_is_not_used_of_a_file_is_named():
    content = authors_checkpoint(*authors_generators(4, FLOW, IMAGE))
    report = load_generators(generators(), content, "a.pth", flow=FLOW, image=IMAGE)
    assert "file: emotion_disc_state_dict.module.conv_0.weight" in report.unexpected
    assert {"G_F: encoder.1.bias", "file: best_val"} <= {*report.unexpected}
    assert "g_w.decoder.3.1.weight" in report.matched
    assert not any("exp_avg" in name for name in report.unexpected)


def test_a_file_says_what_the_model_must_be():
    content = authors_checkpoint(*authors_generators(4, FLOW, IMAGE))
    needed = describe_generators(content, "a.pth")
    assert (needed["flow_blocks"], needed["image_blocks"]) == (list(FLOW), list(IMAGE))
    assert (needed["width"], needed["image_width"]) == (4, 4)
    assert needed["representation"] == "authors"


def test_generators_of_other_sizes_are_refused_whole():
    ours = generators(image=Blocks(2, 4, 2))
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    content = authors_checkpoint(*authors_generators(4, FLOW, IMAGE))
    with pytest.raises(UserError, match="not hold the weights of these generators"):
        load_generators(ours, content, "a.pth", flow=FLOW, image=Blocks(2, 4, 2))
    assert all(torch.equal(tensor, before[name]) for name, tensor in ours.state_dict().items())


@pytest.mark.parametrize("left", ["flow_gen_state_dict", "img_gen_state_dict"])
def test_a_file_without_one_of_the_generators_is_refused(left):
    content = authors_checkpoint(*authors_generators(4, FLOW, IMAGE))
    del content[left]
    name = "G_F" if left.startswith("flow") else "G_W"
    with pytest.raises(UserError, match=f"a.pth holds no {name} under the names"):
        describe_generators(content, "a.pth")


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 1}])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_published_pcnn_answers_by_the_names_of_the_classes(wrap, prefix):
    torch.manual_seed(0)
    source, image = drawn_pcnn(), torch.randn(2, 3, 64, 64)
    state = wrap({f"{prefix}{name}": value for name, value in authors_pcnn(source).items()})
    ours = drawn_pcnn()
    report, names = load(ours, state, classes=NAMES[::-1])
    assert names == NAMES[::-1]
    assert report.missing == ()
    assert {"resnet1.layer4.0.conv1.weight", "resnet4.conv1.weight"} <= {*report.unexpected}
    with torch.no_grad():
        answer, expected = ours(image), source(image)
    torch.testing.assert_close(answer.logits, expected.logits.flip(1))
    torch.testing.assert_close(answer.local_logits, expected.local_logits.flip(1))


@pytest.mark.parametrize("kept", ["resnet", "features"])
def test_either_of_the_two_names_of_a_trunk_is_enough(kept):
    source, ours = drawn_pcnn(), drawn_pcnn()
    other = {"resnet": "features", "features": "resnet"}[kept]
    load(ours, {n: t for n, t in authors_pcnn(source).items() if not n.startswith(other)})
    for name, tensor in source.state_dict().items():
        assert torch.equal(ours.state_dict()[name], tensor)


def test_a_layer_4_of_its_own_in_the_transformer_gets_the_shared_one():
    source, image = drawn_pcnn(), torch.randn(2, 3, 64, 64)
    ours = PCNNNetwork(7, 64, width=2, share_layer4=False).eval()
    load(ours, authors_pcnn(source))
    with torch.no_grad():
        torch.testing.assert_close(ours(image).logits, source(image).logits)


def test_fewer_classes_are_picked_by_name_and_others_refused():
    source, image = drawn_pcnn(8), torch.randn(2, 3, 64, 64)
    ours, chosen = drawn_pcnn(2), ("fear", "happiness")
    load(ours, authors_pcnn(source), classes=chosen)
    with torch.no_grad():
        torch.testing.assert_close(ours(image).logits, source(image).logits[:, [4, 1]])
    with pytest.raises(UserError, match="anger, contempt apart, and the data have fear, boredom"):
        load(ours, authors_pcnn(source), classes=("fear", "boredom"))
    with pytest.raises(UserError, match=r"set model.num_classes to 8"):
        load(ours, authors_pcnn(source), classes=None)


def test_classes_whose_names_nobody_knows_are_refused_unless_given():
    source, ours = drawn_pcnn(3), drawn_pcnn(3)
    with pytest.raises(UserError, match="tells 3 classes apart, and the authors name 7 or 8: give"):
        load(ours, authors_pcnn(source), classes=("a", "b", "c"))
    with pytest.raises(
        UserError, match=r"tells 3 classes apart, and model.weights_classes names 2"
    ):
        load(ours, authors_pcnn(source), classes=("a", "b", "c"), order=("a", "b"))
    load(ours, authors_pcnn(source), classes=("a", "b", "c"), order=("c", "b", "a"))
    assert torch.equal(ours.fc.bias, source.fc.bias.flip(0))


def test_a_training_may_start_without_heads_and_transformer():
    source, ours = drawn_pcnn(), PCNNNetwork(2, 96, width=2)
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    report, names = load(ours, authors_pcnn(source), classes=("x", "y"), whole=False)
    assert names == ("x", "y")
    for name, tensor in ours.state_dict().items():
        if not name.startswith(("fc.", "local_fc.", "transformer.localisation.1.weight")):
            assert torch.equal(tensor, source.state_dict()[name])
        else:
            assert torch.equal(tensor, before[name])
    assert {"fc.weight", "transformer.localisation.1.weight"} <= {*report.missing}
    assert "their fc.weight" in report.unexpected
    with pytest.raises(UserError, match=r"not hold the weights of this PCNN.* as experiments/pcnn"):
        load(PCNNNetwork(7, 96, width=2), authors_pcnn(source))
    with pytest.raises(UserError, match="not hold the weights of this PCNN"):
        load(PCNNNetwork(7, 64, width=4), authors_pcnn(source), whole=False)

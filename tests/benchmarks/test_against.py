"""The authors' code is never here: what stands in for it is ours under their names."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import __main__ as command
from benchmarks import against, authors
from datamodules.errors import UserError
from lightning_modules.emotion_gan import EMotionGAN
from lightning_modules.networks import resnet
from lightning_modules.networks.pcnn import PCNNNetwork

PCNN = """
import torch
from torch import nn
import torchvision.models as models
from lightning_modules.networks.resnet import ResNet18

class PCNN(nn.Module):
    def __init__(self, num_class):
        super().__init__()
        published = torch.load("models/resnet18_msceleb.pth")["state_dict"]
        models.resnet18().load_state_dict(published)
        for name in ("", *"123456"):
            setattr(self, f"resnet{name}", ResNet18(num_class, width=4))
        self.fc = nn.Linear(32, num_class)
        for name in "23467":
            setattr(self, f"fc{name}", nn.Linear(16, num_class))
        self.fc_loc = nn.Sequential(nn.Linear(32 * 4, 32), nn.ReLU(), nn.Linear(32, 6))
"""
NORMALIZER = """
from tests.benchmarks.renamed import Renamed
from lightning_modules.networks.blocks import decoder, encoder
from lightning_modules.networks.flow_cnn import FlowCNN
from lightning_modules.networks.patch_discriminator import PatchDiscriminator

class MotionNormalizer(Renamed):
    part = "g_f"

    def __init__(self, dim, encoder_res, decoder_res, n_sampling):
        super().__init__()
        self.encoder = encoder(2, dim, downsamplings=n_sampling, residuals=encoder_res)
        wide = dim * 2**n_sampling * 2**n_sampling  # as published
        self.decoder = decoder(wide, 2, upsamplings=n_sampling, residuals=decoder_res)

    def forward(self, flow):
        return self.decoder(self.encoder(flow)).tanh()

class MotionDiscriminator(PatchDiscriminator):
    def __init__(self, in_channels):
        super().__init__(16)
        self.model = self._modules.pop("blocks")

    @property
    def blocks(self):
        return self.model

    def forward(self, flow):
        return super().forward(flow, flow)

class EmotionDiscriminator(FlowCNN):
    def __init__(self, in_channels, n_classes):
        super().__init__(n_classes, 32)
"""
WARPER = """
import torch
from tests.benchmarks.renamed import Renamed
from lightning_modules.networks.blocks import decoder, encoder

class MotionWarper(Renamed):
    part = "g_w"

    def __init__(self, dim, encoder_res, decoder_res, n_sampling):
        super().__init__()
        self.identity_encoder = encoder(3, dim, downsamplings=n_sampling, residuals=encoder_res)
        self.motion_encoder = encoder(2, dim, downsamplings=n_sampling, residuals=encoder_res)
        self.decoder = decoder(16 * dim, 3, upsamplings=n_sampling, residuals=decoder_res)

    def forward(self, image, flow):
        seen = self.identity_encoder(image), self.motion_encoder(flow)
        return self.decoder(torch.cat(seen, 1)).tanh()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a user has cloned."""
    for name, text in {
        "PCNN/network/models.py": PCNN,
        "eMotion-GAN/models/motion_normalizer.py": NORMALIZER,
        "eMotion-GAN/models/motion_warper.py": WARPER,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_each_part_of_pcnn_gets_the_weights_of_ours_and_nothing_stays_imported(folder):
    network = PCNNNetwork(3, 64, width=4)
    here = Path.cwd()
    theirs = authors.load_pcnn(folder, network)
    assert Path.cwd() == here
    assert not {"network.models", "torchvision.models"} & sys.modules.keys()
    trunks = [network.global_trunk, *network.region_trunks.values()]
    names = ("resnet", "resnet1", "resnet2", "resnet3", "resnet5", "resnet6")
    for name, trunk in zip(names, trunks, strict=True):
        state = getattr(theirs, name).state_dict()
        for key, value in trunk.state_dict().items():
            assert torch.equal(state[key], value)
    assert torch.equal(theirs.resnet.layer4[1].conv2.weight, network.layer4[1].conv2.weight)
    for name, head in zip("23467", network.local_fc.values(), strict=True):
        assert torch.equal(getattr(theirs, f"fc{name}").weight, head.weight)
    assert torch.equal(theirs.fc_loc[2].bias, network.transformer.localisation[3].bias)


def test_the_stand_in_for_torchvision_is_resnet18():
    ours, plain = resnet.ResNet18(1000).eval(), authors.ResNet18().eval()
    plain.load_state_dict(ours.state_dict())
    image = torch.randn(1, 3, 64, 64)
    features = torch.nn.Sequential(*list(plain.children())[:-1])(image).flatten(1)
    torch.testing.assert_close(plain.fc(features), ours(image), atol=1e-4, rtol=1e-4)


def test_emotion_gan_is_compared_on_equal_outputs(folder):
    module = EMotionGAN(7, 32, width=16, connection_epoch=0)
    results = dict(against.measure_emotion_gan(folder, quick=True, module=module))
    json.dumps(results, allow_nan=False)
    assert set(results) == {"emotion_gan_train", "emotion_gan_g_f", "emotion_gan_g_w"}
    for result in results.values():
        low, high = result["details"]["interval"]
        assert 0 < low <= result["ratio"] + 1e-3
        assert result["ratio"] <= high + 1e-3


def test_outputs_that_differ_are_not_timed():
    one, other = torch.ones(2), torch.tensor([1.0, 1.01])
    actions = {"ours": lambda: one, "theirs": lambda: other}
    with pytest.raises(ValueError, match=r"outputs differ by 9.9e-03"):
        against._compare("it", "none", actions, 1, against.CPU)


def test_other_networks_and_missing_code_are_named(folder, tmp_path):
    with pytest.raises(UserError, match="layers of other shapes"):
        authors._copy(torch.nn.Linear(2, 3), torch.nn.Linear(2, 4), {"weight": "weight"})
    with pytest.raises(UserError, match=r"PCNN.network.models.py does not exist"):
        authors.load_pcnn(tmp_path / "nowhere", PCNNNetwork(3, 64, width=4))


def test_the_command_leaves_out_what_is_not_there(tmp_path, capsys):
    output = tmp_path / "bench.json"
    command.main(["--against", str(tmp_path), "--output", str(output)])
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("left out") == 2

from __future__ import annotations

import torch

from lightning_modules.networks.patch_discriminator import PatchDiscriminator


def test_one_logit_a_patch_of_eight_pixels():
    flow = torch.randn(2, 2, 128, 128)
    assert PatchDiscriminator(4)(flow, flow).shape == (2, 1, 16, 16)
    flow = torch.randn(2, 2, 32, 48)
    assert PatchDiscriminator(4)(flow, flow).shape == (2, 1, 4, 6)


def test_logits_have_no_bound():
    model = PatchDiscriminator(4)
    flow = torch.randn(1, 2, 32, 32)
    model.blocks[-1].weight.data.mul_(1e3)
    logits = model(flow, flow)
    assert logits.min() < -1 or logits.max() > 1


def test_only_the_conditional_discriminator_sees_the_posed_flow():
    flow, one, other = (torch.randn(2, 2, 32, 32) for _ in range(3))
    blind, seeing = PatchDiscriminator(4), PatchDiscriminator(4, conditional=True)
    assert torch.equal(blind(flow, one), blind(flow, other))
    assert not torch.equal(seeing(flow, one), seeing(flow, other))


def test_a_logit_depends_on_its_patch_and_not_on_the_whole_flow():
    # Instance norm carries means over the whole map: without it the field of view is bounded.
    model = PatchDiscriminator(4)
    for index in (3, 6):
        model.blocks[index] = torch.nn.Identity()
    flow = torch.randn(1, 2, 128, 128, requires_grad=True)
    model(flow, flow)[0, 0, 8, 8].backward()
    assert flow.grad is not None
    rows = flow.grad.abs().sum((0, 1, 3)).nonzero()
    assert rows.min() > 16
    assert rows.max() < 128 - 16

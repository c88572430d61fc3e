"""The networks that the preset of a GPU compiles are each one graph."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.networks.codec import FlowCodec
from lightning_modules.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from lightning_modules.networks.flow_filter import FlowFilter
from lightning_modules.networks.flow_generator import FlowGenerator
from lightning_modules.networks.image_generator import ImageGenerator
from lightning_modules.networks.pcnn import PCNNNetwork

CODEC = FlowCodec(2.0, "cartesian")
FLOW, FACE, PEOPLE = torch.zeros(2, 2, 32, 32), torch.zeros(2, 3, 32, 32), torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("network", "inputs"),
    [
        (FlowGenerator(2), (FLOW,)),
        (FlowFilter(CODEC, 32, 2), (FLOW, PEOPLE)),
        (ImageGenerator(CODEC, 2), (FACE, FLOW)),
        (ImageGenerator(CODEC, 2, prior="warp"), (FACE, FLOW)),
        (
            PCNNNetwork(8, 48, width=4, stem="small", warp_limit=0.3, share_norms=False),
            (torch.zeros(2, 3, 48, 48),),
        ),
        (DCGANGenerator(4, 2, 16), (torch.zeros(2, 4),)),
        (DCGANDiscriminator(2, 16), (torch.zeros(2, 3, 16, 16),)),
    ],
    ids=("G_F", "G_F filter", "G_W", "G_W warp", "PCNN", "G", "D"),
)
def test_no_graph_breaks(network: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    torch.compiler.reset()
    found = torch._dynamo.explain(network.train())(*inputs)
    assert found.graph_count == 1
    assert found.break_reasons == []

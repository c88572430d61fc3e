from __future__ import annotations

import torch

from lightning_modules.networks.flow_judge import FlowJudge


def test_it_reads_pixels_of_one_grid_at_every_size() -> None:
    judge = FlowJudge(5, 32).eval()
    flow = torch.randn(3, 2, 32, 32)
    # A quarter of the grid of 128: a pixel here is four there.
    torch.testing.assert_close(judge(flow), judge.network(4 * flow))
    assert judge(flow).shape == (3, 5)


def test_a_mirror_turns_right_into_left_and_leaves_up_and_down() -> None:
    flow = torch.zeros(1, 2, 16, 16)
    flow[0, 0, 3, 2] = 1.5
    flow[0, 1, 3, 2] = -0.5
    mirrored = FlowJudge(2, 16).mirror(flow)
    assert mirrored[0, :, 3, 13].tolist() == [-1.5, -0.5]
    assert mirrored.abs().sum() == 2

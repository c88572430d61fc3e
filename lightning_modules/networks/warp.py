"""Moving the pixels of an image along a flow."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from datamodules.errors import UserError


def warp(image: Tensor, flow: Tensor, *, iterations: int = 5) -> Tensor:
    """Move each pixel p of an image to p + flow(p).

    What enters from outside repeats the border. Differentiable in both arguments.

    Args:
        image: Images [B, C, H, W].
        flow: Forward flow [B, 2, H, W] in pixels of that grid, channel 0 right, channel 1 down.
        iterations: See :func:`arriving`.

    Returns:
        Images of the shape and dtype of ``image``.

    Raises:
        UserError: If ``flow`` is not of the size of ``image``.
    """
    batch, _, height, width = image.shape
    if flow.shape != (batch, 2, height, width):
        raise UserError(
            f"An image {tuple(image.shape)} needs a flow {(batch, 2, height, width)}, "
            f"got {tuple(flow.shape)}."
        )
    return _sample(image, _grid(flow) - arriving(flow, iterations=iterations))


def arriving(flow: Tensor, *, iterations: int = 5) -> Tensor:
    """Return the motion that ends at each pixel, for the motion that starts at each.

    A flow is known where motion starts, an image must be read where motion ends: the flow v that
    ends at q solves v = flow(q - v) and is found by fixed-point iteration, which converges where
    the flow changes by less than a pixel a pixel, that is, where it does not fold.

    Args:
        flow: Forward flow [B, 2, H, W] in pixels of that grid, channel 0 right, channel 1 down.
        iterations: Fixed-point steps; 0 reads the flow where motion ends, which blurs edges.

    Returns:
        float32 of the shape of ``flow``.

    Reference:
        Chen et al., A simple fixed-point approach to invert a deformation field, 2008.
    """
    flow = flow.float()
    grid, motion = _grid(flow), flow
    for _ in range(iterations):
        motion = _sample(flow, grid - motion)
    return motion


def _grid(flow: Tensor) -> Tensor:
    """Return the positions of the pixels of a flow, [1, 2, H, W], x first."""
    height, width = flow.shape[-2:]
    rows = torch.arange(height, dtype=torch.float32, device=flow.device)
    columns = torch.arange(width, dtype=torch.float32, device=flow.device)
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy")).unsqueeze(0)


def _sample(image: Tensor, positions: Tensor) -> Tensor:
    """Read images [B, C, H, W] at positions [B, 2, H, W] in pixels, x first."""
    height, width = image.shape[-2:]
    x, y = positions.unbind(1)
    # kornia's remap copies such factors to the device in every call, which waits for it.
    grid = torch.stack((2 / (width - 1) * x - 1, 2 / (height - 1) * y - 1), dim=-1)
    sampled = functional.grid_sample(image.float(), grid, padding_mode="border", align_corners=True)
    return sampled.to(image.dtype)

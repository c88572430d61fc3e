"""The part of a flow that a rigidly moving head explains."""

from __future__ import annotations

import torch
from torch import Tensor

_ITERATIONS = 6
# Residual at which a pixel counts half, as a share of the grid's side: 0.8 px of 128.
_TOLERANCE = 0.8 / 128


def _quadratic(height: int, width: int, device: torch.device) -> Tensor:
    """Return the monomials 1, x, y, x^2, xy, y^2 at each pixel, x and y in [-1, 1]: [H * W, 6]."""
    y = torch.linspace(-1, 1, height, device=device)
    x = torch.linspace(-1, 1, width, device=device)
    y, x = torch.meshgrid(y, x, indexing="ij")
    monomials = torch.stack((torch.ones_like(x), x, y, x * x, x * y, y * y), dim=-1)
    return monomials.flatten(0, 1)


def face_window(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """Weigh the middle of a loose crop, where the head is, and not the still background: [H, W].

    A loose crop is 1.6 sides of the detected face wide, so the head's half axes are about half and
    0.6 of the crop's; the window falls off smoothly beyond them, from 1 to 0.
    """
    y = torch.linspace(-1, 1, height, device=device).unsqueeze(1)
    x = torch.linspace(-1, 1, width, device=device)
    return torch.exp(-((x / 0.5).square() + (y / 0.6).square()).square())


def remove_head_motion(flow: Tensor) -> Tensor:
    """Subtract the quadratic motion that most of the face follows.

    A plane that turns and shifts before a camera moves by a quadratic flow, and a head seen
    through small motions nearly does. The six coefficients a component are fitted by weighted
    least squares, reweighted so that brows and mouth, which move on their own, count less.

    Args:
        flow: Flow [B, 2, H, W] in pixels.

    Returns:
        float32 [B, 2, H, W]: what is left; outside the face it means nothing. No gradient.

    Reference:
        Black and Yacoob, Recognizing facial expressions in image sequences using local
        parameterized models of image motion, IJCV 1997, equation (5).
    """
    with torch.no_grad(), torch.autocast(flow.device.type, enabled=False):
        height, width = flow.shape[-2:]
        monomials = _quadratic(height, width, flow.device)
        vectors = flow.float().flatten(2).transpose(1, 2)  # (B, H * W, 2)
        window = face_window(height, width, flow.device).flatten().expand(vectors.shape[:2])
        ridge = 1e-3 * torch.eye(monomials.shape[1], device=flow.device)
        weights, left = window, vectors
        for _ in range(_ITERATIONS):
            weighted = weights.unsqueeze(2) * monomials  # (B, H * W, 6)
            normal = weighted.transpose(1, 2) @ monomials + ridge
            coefficients = torch.linalg.solve(normal, weighted.transpose(1, 2) @ vectors)
            left = vectors - monomials @ coefficients
            residual = torch.linalg.vector_norm(left, dim=2) / (_TOLERANCE * width)
            weights = window / (1 + residual.square())
        return left.transpose(1, 2).reshape(flow.shape)


def fit_frontal_flow(flow: Tensor) -> Tensor:
    """Estimate a frontal flow with nothing learned: what the fit leaves, within its window.

    Args:
        flow: Flow [B, 2, H, W] in pixels.

    Returns:
        float32 [B, 2, H, W] in pixels. No gradient.
    """
    height, width = flow.shape[-2:]
    return face_window(height, width, flow.device) * remove_head_motion(flow)

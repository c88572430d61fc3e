"""Head motion for sets without a second camera: small in-plane motions composed with a flow.

A flow `y` moves the frontal pixel `p` to `p + y(p)`. If the second frame is then turned by
`A` about the centre `c` and moved by `t`, the pixel ends at `A (p + y(p) - c) + c + t`, so
the posed flow is known in closed form and costs a few products on the device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.batch import mirror_flow

_MASK = 0xFFFFFFFF


@dataclass(frozen=True)
class PoseRange:
    """How far a posed frame may move from the frontal one.

    Args:
        rotation: Largest in-plane rotation to either side, in degrees.
        translation: Largest shift along each axis, in pixels of the flow's grid.
        scale: Largest relative change of size (0.05: 0.95 to 1.05).
        noise: Standard deviation of the Gaussian noise on each flow component, in pixels.
    """

    rotation: float = 10.0
    translation: float = 4.0
    scale: float = 0.05
    noise: float = 0.2


def uniform_hash(keys: Tensor, count: int) -> Tensor:
    """Uniform numbers that are a pure function of integer keys.

    A generator would tie a draw to the order of the batches; a hash gives each sample its own
    numbers, on any device, however the batch is made up, so that a validation sample is the same
    every time and a resumed run draws what the uninterrupted one would have drawn.

    Args:
        keys: Integers, int64 [B].
        count: Numbers wanted per key.

    Returns:
        float32 [B, count] in (0, 1).
    """
    counter = torch.arange(count, device=keys.device, dtype=torch.int64)
    state = _mix(keys & _MASK)[:, None] ^ _mix(counter + 0x9E3779B9)[None]
    # Half a step keeps 0 and 1 out: the Gaussian below takes a logarithm.
    return ((_mix(state) >> 8).float() + 0.5) / 2**24


def draw_poses(sample_id: Tensor, *, seed: int, epoch: int, limits: PoseRange) -> Tensor:
    """Draw one in-plane motion for each sample.

    Args:
        sample_id: int64 [B].
        seed: Seed of the run.
        epoch: A new value gives new draws; evaluation always passes the same.
        limits: The largest motions.

    Returns:
        float32 [B, 2, 3]: linear part `A` (rotation times scale) and shift `t` in pixels, both
        about the centre of the image.
    """
    u = 2.0 * uniform_hash(_keys(sample_id, seed, epoch, stream=0), 4) - 1.0  # (B, 4) in (-1, 1)
    angle = u[:, 0] * math.radians(limits.rotation)
    scale = 1.0 + u[:, 1] * limits.scale
    shift = u[:, 2:] * limits.translation
    cos, sin = scale * angle.cos(), scale * angle.sin()
    rows = torch.stack([cos, -sin, shift[:, 0], sin, cos, shift[:, 1]], dim=1)
    return rows.view(-1, 2, 3)


def draw_noise(sample_id: Tensor, *, seed: int, epoch: int, size: int, noise: float) -> Tensor:
    """Draw Gaussian flow noise for each sample.

    Args:
        sample_id: int64 [B].
        seed: Seed of the run.
        epoch: A new value gives new draws.
        size: Height and width of the flow.
        noise: Standard deviation, in pixels.

    Returns:
        float32 [B, 2, size, size].
    """
    u = uniform_hash(_keys(sample_id, seed, epoch, stream=1), 2 * size * size)
    first, second = u.chunk(2, dim=1)  # Box-Muller: two uniforms make two Gaussians
    radius = noise * torch.sqrt(-2.0 * torch.log(first))
    angle = 2.0 * math.pi * second
    field = torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)
    return field.view(-1, 2, size, size)


def pose_flow(flow: Tensor, motion: Tensor) -> Tensor:
    """Compose a frontal flow with an in-plane motion of its second frame.

    Args:
        flow: float32 [B, 2, H, W] in pixels, channel 0 right, 1 down.
        motion: float32 [B, 2, 3], as `draw_poses` gives it.

    Returns:
        The posed flow `A (p + y(p) - c) + c + t - p`, float32 [B, 2, H, W] in pixels.

    Reference:
        eMotion-GAN, IV.A: non-frontal images made by basic rotations and random noise.

    Deviation:
        The paper turns the images and estimates the flow again; here the motion is composed with
        the flow. The result is the flow that a perfect estimator would return, it costs nothing in
        the loader, and every epoch can draw a new motion; the estimator's own errors under
        rotation are missing, for which the noise stands in.
    """
    height, width = flow.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=flow.device, dtype=flow.dtype) - (height - 1) / 2,
        torch.arange(width, device=flow.device, dtype=flow.dtype) - (width - 1) / 2,
        indexing="ij",
    )
    grid = torch.stack([x, y])  # (2, H, W), p - c
    # No matrix product: a run may allow those in TF32, which would cost hundredths of a pixel.
    right, down, shift = motion[:, :, :, None, None].unbind(2)  # (B, 2, 1, 1) each
    moved = grid + flow
    return right * moved[:, :1] + down * moved[:, 1:] + shift - grid


def _keys(sample_id: Tensor, seed: int, epoch: int, stream: int) -> Tensor:
    """One 32-bit key a sample from everything its draw depends on, int64 [B]."""
    key = _mix(sample_id & _MASK)
    for part in (seed, epoch, stream):
        key = _mix(key ^ ((part * 0x85EBCA6B + 0x27D4EB2F) & _MASK))
    return key


def _mix(value: Tensor) -> Tensor:
    """32-bit integer hash (Wellons' lowbias32) in int64 arithmetic, which wraps on every device."""
    value = value ^ (value >> 16)
    value = (value * 0x7FEB352D) & _MASK
    value = value ^ (value >> 15)
    value = (value * 0x846CA68B) & _MASK
    return value ^ (value >> 16)


def draw_share(
    sample_id: Tensor, *, seed: int, epoch: int, share: float, stream: int = 2
) -> Tensor:
    """Choose some of the samples, anew in each epoch.

    Args:
        sample_id: int64 [B].
        seed: Seed of the run.
        epoch: Number of the epoch.
        share: How many, from 0 to 1.
        stream: Another number makes another, independent choice.

    Returns:
        bool [B].
    """
    return uniform_hash(_keys(sample_id, seed, epoch, stream), 1)[:, 0] < share


def mirrored(flow: Tensor, chosen: Tensor) -> Tensor:
    """Mirror the flows of some samples, as if their faces had been filmed in a mirror.

    Args:
        flow: Flows [B, ..., 2, H, W].
        chosen: bool [B], the samples to mirror.

    Returns:
        Flows of that shape.
    """
    return torch.where(chosen.view(-1, *[1] * (flow.ndim - 1)), mirror_flow(flow), flow)


def exchanged(flow: Tensor, posed: Tensor, chosen: Tensor) -> Tensor:
    """Give some samples the head motion of the sample before them in their batch.

    Args:
        flow: Frontal flows [B, 2, H, W].
        posed: Posed flows of the same shape: what they have beyond frontal ones is head motion.
        chosen: bool [B], the samples that get another head motion.

    Returns:
        Posed flows of that shape.

    Deviation:
        Motions compose; here they are added, which differs by what the head's motion changes over
        the length of a facial one: hundredths of a pixel.
    """
    head = (posed - flow).roll(1, 0)
    return torch.where(chosen.view(-1, 1, 1, 1), flow + head, posed)

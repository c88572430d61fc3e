"""A take: how action units, head and exposure run from the neutral frame to the apex."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datamodules.labels import Expression
from datamodules.synthetic.difficulty import Difficulty
from datamodules.synthetic.expressions import mix, sample_apex, sample_rest
from datamodules.synthetic.geometry import Floats
from datamodules.synthetic.head_pose import POSES, HeadPose

_FACE_WIDTH = 2.0  # face units


@dataclass(frozen=True)
class TakeFrame:
    """One instant.

    Args:
        action_units: Unit to intensity.
        helmet: Pose seen by the camera on the helmet.
        free: Pose seen by the camera in the room.
        gains: Exposure of the two cameras.
    """

    action_units: dict[int | str, float]
    helmet: HeadPose
    free: HeadPose
    gains: tuple[float, float]


def sample_take(
    expression: Expression,
    movement: str,
    frames: int,
    rng: np.random.Generator,
    difficulty: Difficulty,
    expressiveness: float = 1.0,
) -> list[TakeFrame]:
    """One take from neutral (first frame) to apex (last frame).

    Args:
        expression: What is shown.
        movement: One of `head_pose.POSES`.
        frames: Number of frames, 2 or more.
        rng: Source of chance.
        difficulty: How much the take varies.
        expressiveness: Factor of the person.

    Returns:
        The frames.
    """
    apex = sample_apex(expression, rng, difficulty, expressiveness)
    rest = sample_rest(rng, difficulty)
    start, end = _sway(rng, difficulty), _sway(rng, difficulty)
    end = _moved(end, movement, rng, difficulty)
    face_speed, head_speed = rng.uniform(0.7, 1.5, 2)
    take = []
    for index in range(frames):
        phase = index / (frames - 1)
        twitch = sample_rest(rng, difficulty)
        units = mix([(phase**face_speed, apex), (1.0, rest), (0.4, twitch)])
        gains = 1.0 + difficulty.light_drift * np.clip(rng.standard_normal(2), -2, 2)
        take.append(
            TakeFrame(
                action_units=units,
                helmet=_jitter(rng, difficulty.helmet),
                free=start.blend(end, _ease(phase) ** head_speed),
                gains=(float(gains[0]), float(gains[1])),
            )
        )
    return take


def _ease(phase: float) -> float:
    return phase * phase * (3.0 - 2.0 * phase)


def _jitter(rng: np.random.Generator, degrees: float) -> HeadPose:
    """A few tenths of a degree, and of a per cent of the face."""
    return _pose(rng.normal(0.0, degrees, 3), rng.normal(0.0, 0.02 * degrees, 3))


def _sway(rng: np.random.Generator, difficulty: Difficulty) -> HeadPose:
    turn, shift = np.clip(rng.standard_normal((2, 3)), -2, 2) * difficulty.sway
    return _pose(turn, 0.012 * shift)


def _pose(turn: Floats, shift: Floats) -> HeadPose:
    yaw, pitch, roll = (float(value) for value in turn)
    right, down, nearer = (float(value) for value in shift)
    return HeadPose(yaw, pitch, roll, right, down, 1.0 + nearer)


def _moved(
    pose: HeadPose, movement: str, rng: np.random.Generator, difficulty: Difficulty
) -> HeadPose:
    """The pose after an intended movement of random sign and size."""

    def amount(largest: float) -> float:
        return float(rng.choice((-1.0, 1.0)) * rng.uniform(0.4, 1.0) * largest)

    yaw, pitch, roll, tx = pose.yaw, pose.pitch, pose.roll, pose.tx
    if movement == "tx":
        tx += amount(difficulty.translation * _FACE_WIDTH)
    elif movement == "yaw":
        yaw += amount(difficulty.yaw)
    elif movement == "pitch":
        pitch += amount(difficulty.pitch)
    elif movement == "roll":
        roll += amount(difficulty.roll)
    elif movement == "diagonal":
        # From upper left to lower right or back.
        turn = amount(1.0)
        yaw += turn * 0.75 * difficulty.yaw
        pitch += turn * 0.75 * difficulty.pitch
    elif movement != "static":
        raise ValueError(f"No head movement {movement!r}; expected one of {', '.join(POSES)}.")
    return HeadPose(yaw, pitch, roll, tx, pose.ty, pose.scale)

"""Does the motion of one drawn person bring another nearer to the same expression?

``python -m benchmarks.motion_transfer best.ckpt`` draws pairs of people that no data set has, lets
the source show an expression with some movement of the head, puts its motion onto the target's
neutral face, and compares the result with what the target looks like with the same action units.
Beside G_W stand the pure warp of the same flow, and that of the flow of the moving head as it is.

Reference:
    eMotion-GAN, V.B and Figure 6.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from datamodules.labels import Expression
from datamodules.motion.clips import MotionReading
from datamodules.motion.extraction import Extraction
from datamodules.synthetic import POSES, Difficulty, Frame, HeadPose
from datamodules.synthetic.people import cast
from datamodules.synthetic.sequence import TakeFrame, sample_take
from experiments.recognition.checkpoint import load_data, load_model
from lightning_modules.metrics.frontalization import measure_face
from lightning_modules.networks.warp import warp
from lightning_modules.networks.weights import read_checkpoint

_LAYOUT = 9  # no data set has it, so that nobody is in one
_SIDE = 240
_EXPRESSIONS = [one for one in Expression if 0 < one < 7]


class Pair(NamedTuple):
    """Motion of a source, and a target before and after the same motion of its own.

    Attributes:
        movement: How the source moves its head.
        flow: float32 [1, 2, H, W] in pixels.
        neutral: float32 [1, 3, H, W] in [0, 1].
        apex: float32 [1, 3, H, W] in [0, 1].
    """

    movement: str
    flow: Tensor
    neutral: Tensor
    apex: Tensor


def draw_pairs(count: int, extraction: Extraction, seed: int = 0) -> Iterator[Pair]:
    """Draw so many pairs of people, each person once, expressions and movements in turn."""
    difficulty = Difficulty()
    for number in range(count):
        rng = np.random.default_rng([seed, _LAYOUT, number])
        movement = list(POSES)[number // len(_EXPRESSIONS) % len(POSES)]
        expression = _EXPRESSIONS[number % len(_EXPRESSIONS)]
        first, last = sample_take(expression, movement, 2, rng, difficulty)
        before, after = _shoot(seed, 2 * number, (first, last), extraction, rng, moves=True)
        flow = extraction.estimate(before, after, "drawn")
        faces = _shoot(seed, 2 * number + 1, (first, last), extraction, rng, moves=False)
        neutral, apex = (torch.from_numpy(extraction.image(face)) / 255 for face in faces)
        yield Pair(
            movement,
            torch.from_numpy(flow)[None],
            neutral.expand(3, -1, -1)[None],
            apex.expand(3, -1, -1)[None],
        )


def _shoot(
    seed: int,
    person: int,
    moments: Sequence[TakeFrame],
    extraction: Extraction,
    rng: np.random.Generator,
    *,
    moves: bool,
) -> list[Any]:
    """Draw a person at some moments and cut the face out, all by the box of the first."""
    model, light = cast(_LAYOUT, seed, person, Frame.square(_SIDE))
    frames = [
        model.picture(
            model.express(moment.action_units),
            moment.free if moves else HeadPose(),
            replace(light, gain=moment.gains[int(moves)]),
            rng,
            Difficulty().noise,
            colour=False,
        ).image
        for moment in moments
    ]
    box = extraction.box(frames[0], "drawn")
    return [extraction.cut(frame, frames[0], box, "drawn") for frame in frames]


def measure(checkpoint: Path, count: int, seed: int = 0) -> dict[str, Any]:
    """Compare on so many pairs what is nearer to the target's own apex than its neutral face.

    Returns:
        By ``G_W, warp, posed_warp`` the shares of pairs that are nearer in ``ssim`` and in
        ``rmse``, all and by movement, and the means of these measures, of the neutral face too.
    """
    saved = read_checkpoint(checkpoint)
    method: Any = load_model(saved)
    reading: Any = load_data(saved).reading()  # type: ignore[attr-defined]
    assert isinstance(reading, MotionReading)
    extraction = replace(reading.extraction, colour=False)
    values: dict[str, list[tuple[float, float]]] = {}
    movements = []
    for pair in draw_pairs(count, extraction, seed):
        with torch.inference_mode():
            flow, _, face = method(pair.flow, pair.neutral)
        movements.append(pair.movement)
        faces = {
            "neutral": pair.neutral,
            "G_W": face,
            "warp": warp(pair.neutral, flow),
            "posed_warp": warp(pair.neutral, pair.flow),
        }
        for name, image in faces.items():
            found = measure_face(image, pair.apex)
            values.setdefault(name, []).append((found["ssim"].item(), -found["rmse"].item()))
    table = {name: np.array(rows) for name, rows in values.items()}
    result: dict[str, Any] = {"pairs": count, "seed": seed, "trained_on": "synthetic"}
    for name, rows in table.items():
        ssim, rmse = rows.mean(axis=0)
        result[name] = {"mean_ssim": float(ssim), "mean_rmse": float(-rmse)}
        if name == "neutral":
            continue
        nearer = rows > table["neutral"]
        for number, quantity in enumerate(("ssim", "rmse")):
            result[name][quantity] = float(nearer[:, number].mean())
            result[name][f"{quantity}_by_movement"] = {
                movement: float(nearer[np.array(movements) == movement, number].mean())
                for movement in dict.fromkeys(movements)
            }
    return result


def main() -> None:
    """Measure a checkpoint and print the result as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.motion_transfer")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--pairs", type=int, default=144)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(measure(options.checkpoint, options.pairs, options.seed), indent=1))


if __name__ == "__main__":
    main()

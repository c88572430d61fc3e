"""One set of pictures for each predicted sequence, of its frame with the most facial motion."""

from __future__ import annotations

import re
import shutil
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.image import imsave
from torch import Tensor

from callbacks.figures.colour_wheel import flow_to_rgb, reference_pixels
from callbacks.figures.picture_grid import Cell, Row, draw_grid
from callbacks.records.distributed import gather
from datamodules.store.replacing import replacing

_FLOWS = {"posed": "posed_flow", "frontalized": "frontalized_flow"}
_FACES = {"warped": "warped"}
_COLUMNS = ("posed flow", "frontalized flow", "first frame", "warped face")


def face_to_rgb(image: Tensor) -> npt.NDArray[np.uint8]:
    """Turn a face of a batch into a picture.

    Args:
        image: RGB in [0, 1], shape [3, H, W]; what lies outside is clamped.

    Returns:
        RGB in 0..255, shape [H, W, 3].
    """
    grey_levels = image.detach().float().clamp(0, 1).mul(255).round()
    rgb: npt.NDArray[np.uint8] = grey_levels.byte().permute(1, 2, 0).cpu().numpy()
    return rgb


def file_name(sequence: str) -> str:
    """Turn the name of a sequence into one that every file system takes.

    Args:
        sequence: Any text, possibly with slashes.

    Returns:
        The name itself where it is harmless, else its harmless letters and a checksum, so that two
        sequences never share a file.
    """
    plain = re.sub(r"[^\w.-]+", "_", sequence).lstrip(".")[:100]
    return plain if plain == sequence else f"{plain}-{zlib.crc32(sequence.encode()):08x}"


class SequencePictures:
    """Draws each sequence as soon as its last frame has passed.

    Only the best frame of the sequences in the present batch is held, so that the memory needed
    does not grow with the length or the number of the videos. Every process draws into a folder of
    its own; in the end the process that saw the frame with the most motion puts its pictures in
    place.

    Args:
        folder: Where ``<sequence>_posed.png``, ``_frontalized.png``, ``_warped.png`` and
            ``_strip.png`` go.
        class_names: Names of the K classes, in the order of the logits.
        max_magnitude: Length of the full colour, in pixels of a 128x128 grid.
        rank: Number of this process.
    """

    def __init__(
        self, folder: Path, *, class_names: Sequence[str], max_magnitude: float, rank: int
    ) -> None:
        self._folder = folder
        self._aside = folder / f".rank{rank}"
        self._class_names = class_names
        self._max_magnitude = max_magnitude
        self._rank = rank
        self._open: dict[str, dict[str, Any]] = {}
        self._motion: dict[str, float] = {}

    def add(self, outputs: Mapping[str, Any]) -> None:
        """Look at one batch of predictions.

        Args:
            outputs: What ``predict_step`` returned: ``sequence`` (B names), ``frame`` [B],
                ``logits`` [B, K], ``posed_flow`` and ``frontalized_flow`` [B, 2, H, W] in pixels,
                ``neutral`` and ``warped`` [B, 3, H, W] in [0, 1].
        """
        flow = outputs["frontalized_flow"].float()
        motion = torch.linalg.vector_norm(flow, dim=1).mean(dim=(1, 2)).tolist()
        names = outputs["sequence"]
        for ended in [name for name in self._open if name not in names]:
            self._draw(ended, self._open.pop(ended))
        for i, (name, amount) in enumerate(zip(names, motion, strict=True)):
            if amount > self._motion.get(name, -1.0):
                self._motion[name] = amount
                self._open[name] = {
                    key: outputs[key][i].detach().cpu().clone()
                    for key in (*_FLOWS.values(), "neutral", "warped", "logits", "frame")
                }

    def finish(self) -> list[Path]:
        """Draw what is left and put the pictures in place; every process must call it.

        Returns:
            The strips that this process put in place.
        """
        for name, frame in self._open.items():
            self._draw(name, frame)
        self._open.clear()
        everyone = gather(self._motion)
        strips = []
        for name in self._motion:
            best = max(range(len(everyone)), key=lambda rank: everyone[rank].get(name, -1.0))
            for picture in self._pictures(name):
                if best == self._rank:
                    (self._aside / picture).replace(self._folder / picture)
                else:
                    (self._aside / picture).unlink()
            if best == self._rank:
                strips.append(self._folder / self._pictures(name)[-1])
        shutil.rmtree(self._aside, ignore_errors=True)  # also what a killed run left there
        return strips

    def _pictures(self, sequence: str) -> list[str]:
        stem = file_name(sequence)
        return [f"{stem}_{what}.png" for what in (*_FLOWS, *_FACES, "strip")]

    def _draw(self, sequence: str, frame: Mapping[str, Tensor]) -> None:
        stem = file_name(sequence)
        rgb = {}
        for what, key in _FLOWS.items():
            flow = frame[key].float().numpy()
            flow = flow * reference_pixels(flow.shape[-1])
            rgb[what] = flow_to_rgb(flow, max_magnitude=self._max_magnitude)
        rgb |= {what: face_to_rgb(frame[key]) for what, key in _FACES.items()}
        for what, picture in rgb.items():
            with replacing(self._aside / f"{stem}_{what}.png") as aside:
                imsave(aside, picture)
        probability = frame["logits"].double().softmax(dim=0)
        best = int(probability.argmax())
        said = f"predicted\n{self._class_names[best]}\n{float(probability[best]):.0%}"
        cells = [
            Cell(rgb["posed"]),
            Cell(rgb["frontalized"]),
            Cell(face_to_rgb(frame["neutral"])),
            Cell(rgb["warped"]),
        ]
        draw_grid(
            self._aside / f"{stem}_strip.png",
            title=f"{sequence}, frame {int(frame['frame'])}",
            columns=_COLUMNS,
            rows=[Row(said, cells)],
            max_magnitude=self._max_magnitude,
        )

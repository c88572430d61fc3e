"""Pictures of flows: posed and frontalized, with the faces warped by them; hidden and rebuilt."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from callbacks.figures.base import face_to_rgb, figures_folder, input_folder, titled
from callbacks.figures.colour_wheel import draw_wheel, flow_to_rgb, in_reference_pixels
from callbacks.figures.grid import Cell, GridPictures, Row, draw_grid
from callbacks.figures.pictures import captioned, write_picture
from callbacks.figures.style import Picture, marked
from callbacks.figures.transfer_grid import TransferGrid
from callbacks.outputs import gather, require
from datamodules.files import file_name
from losses.flow import endpoint_error

_COLUMNS = (
    "posed flow",
    "frontalized flow",
    "true frontal flow",
    "neutral",
    "warped",
    "true apex",
)
_FLOWS = ("posed_flow", "frontalized_flow", "flow")
_FACES = ("neutral", "warped", "apex")
_OCCLUSIONS = 2  # in a row
# Of a sequence: what has a file of its own, and what stands in its strip.
_SHOWN = {"posed_flow": "posed", "frontalized_flow": "frontalized", "warped": "warped"}
_STRIP = {
    "posed_flow": "posed flow",
    "frontalized_flow": "frontalized flow",
    "neutral": "neutral face",
    "warped": "warped face",
}


class FlowPictures(GridPictures):
    """Draws flows as colour wheels and faces side by side.

    In validation and test: posed, frontalized and true flow on one colour scale, then the neutral,
    warped and true apex face. In prediction each sequence gets
    ``predict/<input>/<sequence>_*.png``, and where its motion is put onto other faces
    ``predict/<input>/transfer.png`` shows all recordings with all faces, and
    ``<sequence>_on_<face>.png`` is the whole picture of a face, in its own size.
    """

    _sequences: SequencePictures | None = None
    _transfer: TransferGrid | None = None

    def keys(self, outputs: Mapping[str, Any]) -> Sequence[str]:
        """Name the outputs that a row needs."""
        return (*_FLOWS, *_FACES, "logits")

    def columns(self, trainer: pl.Trainer) -> Sequence[str]:
        """Name what stands in a row."""
        return _COLUMNS

    def cells(self, sample: Mapping[str, Tensor], class_names: Sequence[str]) -> list[Cell]:
        """Draw flows, saying how far each is from the true one and how it is read, and faces."""
        posed, frontalized, true = (sample[key] for key in _FLOWS)
        read, right = _answer(sample, "logits", class_names)
        return [
            self.flow_cell(posed, f"EPE {_error(posed, true)}"),
            self.flow_cell(frontalized, f"EPE {_error(frontalized, true)}\n{read}", right),
            self.flow_cell(true, ""),
            *(Cell(face_to_rgb(sample[key])) for key in _FACES),
        ]

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the pictures of the sequences."""
        self._sequences = SequencePictures(
            figures_folder(trainer) / input_folder(trainer),
            class_names=trainer.datamodule.class_names,  # type: ignore[attr-defined]
            caption=partial(titled, trainer),
            max_magnitude=self.max_magnitude,
            rank=trainer.global_rank,
        )
        targets = getattr(trainer.datamodule, "targets", None)  # type: ignore[attr-defined]
        self._transfer = (
            TransferGrid(targets, max_magnitude=self.max_magnitude) if targets else None
        )

    def on_predict_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any
    ) -> None:
        """Look for the frame with the most motion of each sequence."""
        if self._sequences is not None:
            self._sequences.add(require(self, pl_module, outputs, SequencePictures.keys))
        if self._transfer is not None:
            self._transfer.add(require(self, pl_module, outputs, (*TransferGrid.keys, "sequence")))

    def on_predict_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the pictures of the sequences in place."""
        if self._sequences is not None:
            self._sequences.finish()
            self._sequences = None
            folder = figures_folder(trainer) / input_folder(trainer)
            if self._transfer is not None:
                self._write_transfer(trainer, self._transfer, folder)
            if folder.is_dir():  # something was answered
                rank_zero_info(f"Pictures of the sequences: {folder}")

    def _write_transfer(self, trainer: pl.Trainer, transfer: TransferGrid, folder: Path) -> None:
        transfer.gather()
        if not trainer.is_global_zero or not folder.is_dir():
            return
        write_picture(folder / "transfer.png", transfer.draw(partial(titled, trainer)))
        for recording, face, picture in transfer.pictures():
            name = f"{file_name(recording)}_on_{file_name(face).removesuffix('.png')}"
            caption = titled(trainer, f"{recording} on {face}")
            write_picture(folder / f"{name}.png", captioned(picture, caption))


class OcclusionPictures(GridPictures):
    """Draws the face behind each occlusion, its flow and the reconstruction, and the true flow.

    Flows are on one colour scale. A row has two occlusions; where there are more, the sample goes
    on in the next one.

    Each face says what occludes it, each occluded and each reconstructed flow its endpoint error in
    pixels of a 128x128 grid, and which expression is read from it.

    Reference:
        SSIM-VAE, Figures 4 and 5.
    """

    def keys(self, outputs: Mapping[str, Any]) -> Sequence[str]:
        """Name the outputs that a row needs."""
        answers = [key for key in outputs if key.startswith("logits")]
        return ("flow", "occluded_face", "occluded_flow", "reconstructed_flow", *answers)

    def columns(self, trainer: pl.Trainer) -> Sequence[str]:
        """Name what stands in a row: the true flow, and a face and two flows for each region."""
        shown = min(len(trainer.datamodule.regions), _OCCLUSIONS)  # type: ignore[attr-defined]
        return ("true flow", *("occluded face", "occluded flow", "reconstructed flow") * shown)

    def cells(self, sample: Mapping[str, Tensor], class_names: Sequence[str]) -> list[Cell]:
        """Draw the flows of a sample."""
        true = sample["flow"]
        regions = [
            key.removeprefix("logits_").removesuffix("_reconstructed")
            for key in sample
            if key.endswith("_reconstructed") and key != "logits_clean_reconstructed"
        ]

        def cell(flow: Tensor, condition: str) -> Cell:
            read, right = _answer(sample, f"logits_{condition}", class_names)
            return self.flow_cell(flow, f"EPE {_error(flow, true)}\n{read}", right)

        cells = []
        for index, region in enumerate(regions):
            if index % _OCCLUSIONS == 0:
                cells.append(self.flow_cell(true, *_answer(sample, "logits", class_names)))
            cells.append(Cell(face_to_rgb(sample["occluded_face"][index]), region))
            cells.append(cell(sample["occluded_flow"][index], region))
            cells.append(cell(sample["reconstructed_flow"][index], f"{region}_reconstructed"))
        return cells


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
        caption: Makes the caption of every picture of what it shows.
        max_magnitude: Length of the full colour, in pixels of a 128x128 grid.
        rank: Number of this process.
    """

    keys = (*_SHOWN, "neutral", "probabilities", "sequence", "frame")

    def __init__(
        self,
        folder: Path,
        *,
        class_names: Sequence[str],
        caption: Callable[[str], str],
        max_magnitude: float,
        rank: int,
    ) -> None:
        self._folder = folder
        self._aside = folder / f".rank{rank}"
        self._class_names = class_names
        self._caption = caption
        self._max_magnitude = max_magnitude
        self._rank = rank
        self._open: dict[str, dict[str, Tensor]] = {}
        self._motion: dict[str, float] = {}

    def add(self, outputs: Mapping[str, Any]) -> None:
        """Keep the frame with the most motion of each sequence of a batch."""
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
                    for key in self.keys
                    if key != "sequence"
                }

    def finish(self) -> None:
        """Draw what is left and put the pictures in place; every process must call it."""
        for name, frame in self._open.items():
            self._draw(name, frame)
        self._open.clear()
        everyone = gather(self._motion)
        for name in self._motion:
            best = max(range(len(everyone)), key=lambda rank: everyone[rank].get(name, -1.0))
            for kind in (*_SHOWN.values(), "strip"):
                picture = f"{file_name(name)}_{kind}.png"
                if best == self._rank:
                    (self._aside / picture).replace(self._folder / picture)
                else:
                    (self._aside / picture).unlink()
        shutil.rmtree(self._aside, ignore_errors=True)  # also what a killed run left there

    def _draw(self, sequence: str, frame: Mapping[str, Tensor]) -> None:
        pictures = {key: self._picture(key, frame[key]) for key in (*_SHOWN, "neutral")}
        caption = self._caption(f"{sequence}, frame {int(frame['frame'])}")
        best = int(frame["probabilities"].argmax())
        share = float(frame["probabilities"][best])
        said = "" if share != share else f"predicted\n{self._class_names[best]}\n{share:.0%}"
        cells = [Cell(pictures[key]) for key in _STRIP]
        wheel = partial(draw_wheel, max_magnitude=self._max_magnitude)
        strip = draw_grid(caption, list(_STRIP.values()), [Row(said, cells)], wheel)
        write_picture(self._aside / f"{file_name(sequence)}_strip.png", strip)
        for key, kind in _SHOWN.items():
            path = self._aside / f"{file_name(sequence)}_{kind}.png"
            write_picture(path, captioned(pictures[key], caption))

    def _picture(self, key: str, value: Tensor) -> Picture:
        if not key.endswith("flow"):
            return face_to_rgb(value)
        scaled = in_reference_pixels(value).numpy()
        return flow_to_rgb(scaled, max_magnitude=self._max_magnitude)


def _answer(
    sample: Mapping[str, Tensor], logits: str, class_names: Sequence[str]
) -> tuple[str, bool]:
    """Say which expression was read from a sample, and whether it is the true one."""
    answer = int(sample[logits].argmax())
    right = answer == int(sample["label"])
    return marked(class_names[answer], right), right


def _error(flow: Tensor, true: Tensor) -> str:
    return f"{endpoint_error(flow.unsqueeze(0), true.unsqueeze(0)):.2f} px"

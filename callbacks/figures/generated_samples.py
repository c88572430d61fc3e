"""What a generator draws from the same noise, epoch after epoch, and the losses of its training."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor
from torch.nn.functional import pad

from callbacks.figures.base import face_to_rgb, is_ending, send_picture, titled
from callbacks.figures.pictures import captioned, new_axes
from callbacks.figures.style import PALETTE, Picture
from datamodules.errors import UserError

_SEED = 0
_GAP = 2  # pixels
_LOSSES = {"d": "discriminator", "g": "generator"}


class GeneratedSamples(pl.Callback):
    """Draws ``figures/samples_epoch_<n>.png`` and ``figures/loss_curves.png``.

    The noise is fixed, so that each place of the grid shows one face growing. The curves are the
    means of ``train/d`` and ``train/g`` over each epoch; they are kept in the checkpoint, so that a
    resumed run draws all of them. Pictures go to W&B as well where its logger is active.

    It needs of a module ``generate(noise)``, from [B, Z] to faces [B, 3, H, W] in [0, 1], and
    ``latent``, the number Z.

    Args:
        every_n_epochs: Pictures are drawn after every n-th epoch and after the last.
        side: Faces along each side of the grid.
    """

    def __init__(self, every_n_epochs: int = 10, side: int = 8) -> None:
        if every_n_epochs < 1 or side < 1:
            raise UserError(
                "GeneratedSamples needs every_n_epochs and side of 1 or more; got "
                f"{every_n_epochs} and {side}."
            )
        self.every_n_epochs = every_n_epochs
        self.side = side
        self._curves: list[list[float]] = []
        self._sum: Tensor | None = None
        self._count = 0

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse a method that generates nothing before its training begins.

        Raises:
            UserError: If it has no ``generate`` or ``latent``.
        """
        if not (hasattr(pl_module, "generate") and hasattr(pl_module, "latent")):
            raise UserError(
                f"GeneratedSamples needs a method with generate(noise) and latent, which "
                f"{type(pl_module).__name__} has not: take it out of the callbacks."
            )

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any
    ) -> None:
        """Add the losses of a step, on the device; an epoch in which nothing moves has none."""
        if not outputs:
            return
        losses = torch.stack([outputs[name] for name in _LOSSES]).float()
        self._sum = losses if self._sum is None else self._sum.to(losses.device) + losses
        self._count += 1

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the means of the epoch, and draw when it is time."""
        if self._sum is not None:
            self._curves.append((self._sum / self._count).tolist())
            self._sum, self._count = None, 0
        done = trainer.current_epoch + 1
        due = done % self.every_n_epochs == 0 or is_ending(trainer)
        if due and trainer.is_global_zero:
            # A generator of its own: training must not see that a picture was drawn.
            seeded = torch.Generator().manual_seed(_SEED)
            module: Any = pl_module
            noise = torch.randn(self.side**2, module.latent, generator=seeded)
            samples = draw_samples(module.generate(noise.to(pl_module.device)).cpu())
            caption = titled(trainer, f"generated faces, epoch {done}")
            name = f"samples_epoch_{done:03d}"
            send_picture(trainer, captioned(samples, caption), name, "train/samples")
            if self._curves:
                curves = draw_curves(titled(trainer, "training losses"), self._curves)
                send_picture(trainer, curves, "loss_curves", "train/loss_curves")

    def state_dict(self) -> dict[str, Any]:
        """Return the curves and the sums of the epoch, as plain values."""
        total = None if self._sum is None else self._sum.tolist()
        return {"curves": self._curves, "sum": total, "count": self._count}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the curves of the run."""
        self._curves = [list(epoch) for epoch in state_dict["curves"]]
        self._sum = None if state_dict["sum"] is None else torch.tensor(state_dict["sum"])
        self._count = state_dict["count"]


def draw_samples(image: Tensor) -> Picture:
    """Draw faces [S * S, 3, H, W] in [0, 1] side by side, in a square."""
    side = round(len(image) ** 0.5)
    framed = pad(image, (0, _GAP, 0, _GAP), value=1.0)
    rows = [torch.cat(list(row), dim=2) for row in framed.chunk(side)]
    return face_to_rgb(torch.cat(rows, dim=1)[:, :-_GAP, :-_GAP])


def draw_curves(title: str, curves: list[list[float]]) -> Figure:
    """Draw the mean losses of discriminator and generator over the epochs."""
    figure, axes = new_axes(6, 3.5, title)
    epochs = range(1, len(curves) + 1)
    players = zip(_LOSSES.values(), PALETTE[:2], zip(*curves, strict=True), strict=True)
    for name, colour, losses in players:
        marker = "." if len(curves) < 20 else None
        axes.plot(epochs, losses, label=name, color=colour, marker=marker)
    axes.set(xlabel="epoch", ylabel="loss (sigmoid cross-entropy)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.legend()
    return figure

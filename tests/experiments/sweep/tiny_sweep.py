"""A classifier of a few numbers that logs the accuracy of its validation."""

from __future__ import annotations

from torch import Tensor

from tests.experiments.crossval.tiny_folds import TinyClassifier


class TinySearched(TinyClassifier):
    """A linear layer.

    Args:
        lr: Learning rate.
        kind: Anything.
    """

    def __init__(self, lr: float = 0.05, kind: str = "a") -> None:
        super().__init__(lr)

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        super().validation_step(batch, batch_idx)
        right = (self.layer(batch[0]).argmax(dim=1) == batch[1]).float().mean()
        self.log("val/accuracy", right, batch_size=len(batch[1]))
        self.log("val/falling", -float(self.current_epoch), batch_size=len(batch[1]))

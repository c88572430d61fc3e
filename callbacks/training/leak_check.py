"""No score of people whom a checkpoint was trained on."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl


class LeakCheck(pl.Callback):
    """Asks the data module whether a checkpoint was trained on whom it holds out.

    Lightning shows a data module only what one of its own class wrote into a checkpoint. The same
    people may come in a data set of another class.
    """

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Refuse the checkpoint, or let it pass."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        if hasattr(data, "refuse_leak"):
            data.refuse_leak(checkpoint)

"""What a test ends with: one table, and the same numbers in summary.json."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from rich.console import Console

from callbacks.records.distributed import gather
from datamodules.store.replacing import replacing


class TestSummary(pl.Callback, ABC):
    """Writes ``summary.json`` and prints it; a subclass says what it holds.

    Beside that it holds ``data`` (``synthetic`` for the embedded faces), ``seed, fold, n_test,
    n_test_subjects`` (null where nobody knows the people) and ``checkpoint``. The file appears
    whole or not at all.
    """

    __test__ = False  # pytest: not a test

    def __init__(self) -> None:
        self._samples: set[int] = set()
        self._subjects: set[int] = set()

    @abstractmethod
    def measures(self, trainer: pl.Trainer) -> dict[str, Any]:
        """Read from what was logged what the summary holds, of JSON types."""

    @abstractmethod
    def show(self, summary: dict[str, Any], console: Console) -> None:
        """Print the summary."""

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count from zero."""
        self._samples.clear()
        self._subjects.clear()

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count samples and people, so that the table says what it stands on."""
        self._samples.update(outputs["sample_id"].tolist())
        if "subject" in batch:
            self._subjects.update(batch["subject"].tolist())

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write and print the summary."""
        samples = set().union(*gather(self._samples))
        subjects = set().union(*gather(self._subjects))
        if not trainer.is_global_zero:
            return
        data = trainer.datamodule  # type: ignore[attr-defined]
        summary = {
            "data": data.source,
            **self.measures(trainer),
            "seed": data.seed,
            "fold": data.fold,
            "n_test": len(samples),
            # Batches of stills do not name people; their data module may.
            "n_test_subjects": len(subjects or data.test_subjects) or None,
            "checkpoint": None if trainer.ckpt_path is None else str(trainer.ckpt_path),
        }
        folder = Path(trainer.default_root_dir)
        with replacing(folder / "summary.json") as aside:
            aside.write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n", "utf-8")
        console = Console()
        self.show(summary, console)
        print_files(folder, console)


def number(logged: dict[str, float], key: str) -> float | None:
    """Return a logged number, None where it was not measured or is not finite."""
    value = logged.get(key, math.nan)
    # Logged in single precision: further digits would be noise.
    return float(f"{value:.6g}") if math.isfinite(value) else None


def said(value: float | None, form: str, factor: float = 1) -> str:
    """Format a number for a table, a dash where there is none."""
    return "-" if value is None else form.format(factor * value)


def print_files(folder: Path, console: Console) -> None:
    """Say where the run's files are, each path on one line, to be copied."""
    pictures = [("picture", path) for path in sorted((folder / "figures").glob("*.png"))]
    for name, path in [*pictures, ("numbers", folder / "summary.json"), ("run folder", folder)]:
        console.print(f"{name}: {path}", soft_wrap=True, highlight=False, markup=False)

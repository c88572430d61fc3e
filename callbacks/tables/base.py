"""What a test ends with: a table, and the same numbers in summary.json."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.loggers import WandbLogger
from rich.console import Console
from rich.table import Table

from callbacks.outputs import gather
from datamodules.store.replacing import write_json


@dataclass(frozen=True)
class TextTable:
    """A table of what was measured; its first column names the rows.

    Args:
        name: Its name in W&B, after ``test/``.
        emphasized: Name of the row that the method is about.
    """

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    emphasized: str | None = None


class TestTable(pl.Callback, ABC):
    """Writes ``summary.json``, prints it as tables and sends these to W&B where it is active.

    A subclass says what the summary holds. Beside that it holds ``data`` (``synthetic`` for the
    embedded faces), ``seed, fold, n_test, n_test_subjects`` (null where nobody knows the people)
    and ``checkpoint``. The file appears whole or not at all.
    """

    __test__ = False  # pytest: not a test

    title: str
    """What was tested."""

    def __init__(self) -> None:
        self._samples: set[int] = set()
        self._subjects: set[int] = set()

    @abstractmethod
    def measures(self, trainer: pl.Trainer, logged: dict[str, float]) -> dict[str, Any]:
        """Read from what was logged what the summary holds, of JSON types."""

    @abstractmethod
    def tables(self, summary: dict[str, Any]) -> list[TextTable]:
        """Lay out the summary."""

    def verdict(self, summary: dict[str, Any]) -> list[str]:
        """Say what the tables come to, in lines above them."""
        return []

    def notes(self, summary: dict[str, Any]) -> list[str]:
        """Say what the tables show, in lines below them."""
        return []

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
        *_: Any,
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
        logged = {key: float(value) for key, value in trainer.callback_metrics.items()}
        summary = {
            "data": data.source,
            **self.measures(trainer, logged),
            "seed": data.seed,
            "fold": data.fold,
            "n_test": len(samples),
            # Batches of stills do not name people; their data module may.
            "n_test_subjects": len(subjects or data.test_subjects) or None,
            "checkpoint": None if trainer.ckpt_path is None else str(trainer.ckpt_path),
        }
        folder = Path(trainer.default_root_dir)
        write_json(folder / "summary.json", summary)
        self.show(summary, folder, Console())
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                for table in self.tables(summary):
                    rows = [list(row) for row in table.rows]
                    logger.log_table(f"test/{table.name}", list(table.columns), rows)

    def show(self, summary: dict[str, Any], folder: Path, console: Console) -> None:
        """Print the summary and where the run's files are, each path on one line to be copied."""
        people = summary["n_test_subjects"]
        lines = [
            f"\n{self.title}, data: {summary['data']}, fold {summary['fold']}, seed "
            f"{summary['seed']}, {summary['n_test']} test samples of "
            f"{'people unknown' if people is None else f'{people} people'}"
        ]
        _print(console, [*lines, *self.verdict(summary)])
        for table in self.tables(summary):
            printed = Table()
            for i, column in enumerate(table.columns):
                # Words of a column that is not of names may stand below each other.
                printed.add_column(column, justify="right" if i else "left", no_wrap=not i)
            for row in table.rows:
                printed.add_row(*row, style="bold" if row[0] == table.emphasized else None)
            console.print(printed)
        pictures = sorted((folder / "figures").glob("*.png"))
        _print(
            console,
            [
                *self.notes(summary),
                *(f"picture: {path}" for path in pictures),
                f"numbers: {folder / 'summary.json'}",
                f"run folder: {folder}",
            ],
        )


def number(logged: dict[str, float], key: str) -> float | None:
    """Return a logged number, None where it was not measured or is not finite."""
    value = logged.get(key, math.nan)
    # Logged in single precision: further digits would be noise.
    return float(f"{value:.6g}") if math.isfinite(value) else None


def formatted(value: float | None, form: str, factor: float = 1) -> str:
    """Format a number for a table, a dash where there is none."""
    return "-" if value is None else form.format(factor * value)


def _print(console: Console, lines: Sequence[str]) -> None:
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)

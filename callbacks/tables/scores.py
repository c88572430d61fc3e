"""The table that the test of a recogniser of expressions or action units ends with."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from rich.console import Console
from rich.table import Table

from callbacks.records.test_summary import TestSummary, number, said
from datamodules.errors import UserError
from datamodules.labels import ACTION_UNITS

_SHARES = ("accuracy", "recall", "f1", "base_rate")


class ScoreTable(TestSummary):
    """Prints what the test measured, over all samples and by class, and writes ``summary.json``.

    It reads what the test logged as ``test/<measure>`` and ``test/<measure>_<class>``, a class
    being an expression of the data or an action unit such as ``au12``. ``summary.json`` holds
    ``scores``, a number by measure, and ``classes``, the same of each class; accuracies are shares
    from 0 to 1, and what is not defined is null.
    """

    def measures(self, trainer: pl.Trainer) -> dict[str, Any]:
        """Sort the logged numbers.

        Raises:
            UserError: If none was logged.
        """
        logged = {key: float(value) for key, value in trainer.callback_metrics.items()}
        keys = [key.removeprefix("test/") for key in logged if key.startswith("test/")]
        if not keys:
            raise UserError(
                "ScoreTable found no test/<measure> among the logged values: take it out of the "
                "callbacks of a method that logs none."
            )
        expressions = trainer.datamodule.class_names  # type: ignore[attr-defined]
        classes: dict[str, dict[str, float | None]] = {}
        for name in (*expressions, *(f"au{unit}" for unit in ACTION_UNITS)):
            own = [key for key in keys if key.endswith(f"_{name}")]
            if own:
                classes[name] = {
                    key.removesuffix(f"_{name}"): number(logged, f"test/{key}") for key in own
                }
                keys = [key for key in keys if key not in own]
        return {"scores": {key: number(logged, f"test/{key}") for key in keys}, "classes": classes}

    def show(self, summary: dict[str, Any], console: Console) -> None:
        """Print one table over all samples and one by class."""
        people = summary["n_test_subjects"]
        # Not as a title, which would wrap at the width of a narrow table.
        console.print(
            f"\nTest, data: {summary['data']}, fold {summary['fold']}, seed {summary['seed']}, "
            f"{summary['n_test']} samples of "
            f"{'people unknown' if people is None else f'{people} people'}",
            soft_wrap=True,
            highlight=False,
            markup=False,
        )
        table = Table()
        table.add_column("", no_wrap=True)
        table.add_column("all samples", justify="right")
        for measure, value in summary["scores"].items():
            table.add_row(measure.replace("_", " "), _formatted(measure, value))
        console.print(table)
        if not summary["classes"]:
            return
        measures = list(dict.fromkeys(key for row in summary["classes"].values() for key in row))
        classes = Table()
        classes.add_column("", no_wrap=True)
        for measure in measures:
            classes.add_column(measure.replace("_", " "), justify="right")
        for name, row in summary["classes"].items():
            cells = (_formatted(measure, row.get(measure)) for measure in measures)
            classes.add_row(name.upper() if name.startswith("au") else name, *cells)
        console.print(classes)


def _formatted(measure: str, value: float | None) -> str:
    """Write shares of samples in percent, numbers of samples whole, and the rest as they are."""
    if measure in ("support", "units"):
        return said(value, "{:.0f}")
    if measure.startswith(_SHARES) or measure.endswith("accuracy"):
        return said(value, "{:.1f} %", 100)
    return said(value, "{:.3f}")

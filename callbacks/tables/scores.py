"""The table that the test of a recogniser of expressions or action units ends with."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl

from callbacks.tables.base import TestTable, TextTable, number, said
from datamodules.errors import UserError
from datamodules.labels import ACTION_UNITS

_SHARES = ("accuracy", "recall", "f1", "base_rate")


class ScoreTable(TestTable):
    """Prints what the test measured, over all samples and by class, and writes ``summary.json``.

    It reads what the test logged as ``test/<measure>`` and ``test/<measure>_<class>``, a class
    being an expression of the data or an action unit such as ``au12``. ``summary.json`` holds
    ``scores``, a number by measure, and ``classes``, the same of each class; accuracies are shares
    from 0 to 1, and what is not defined is null.
    """

    title = "Test"

    def measures(self, trainer: pl.Trainer, logged: dict[str, float]) -> dict[str, Any]:
        """Sort the logged numbers.

        Raises:
            UserError: If none was logged.
        """
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

    def tables(self, summary: dict[str, Any]) -> list[TextTable]:
        """Lay out one table over all samples and one by class."""
        rows = [[_spaced(key), _formatted(key, value)] for key, value in summary["scores"].items()]
        tables = [TextTable("scores", ["measure", "all samples"], rows)]
        classes = summary["classes"]
        if classes:
            measures = list(dict.fromkeys(key for row in classes.values() for key in row))
            rows = [
                [
                    name.upper() if name.startswith("au") else name,
                    *(_formatted(measure, row.get(measure)) for measure in measures),
                ]
                for name, row in classes.items()
            ]
            tables.append(TextTable("classes", ["class", *map(_spaced, measures)], rows))
        return tables


def _spaced(measure: str) -> str:
    return measure.replace("_", " ")


def _formatted(measure: str, value: float | None) -> str:
    """Write shares of samples in percent, numbers of samples whole, and the rest as they are."""
    if measure in ("support", "units"):
        return said(value, "{:.0f}")
    if measure.startswith(_SHARES) or measure.endswith("accuracy"):
        return said(value, "{:.1f} %", 100)
    return said(value, "{:.3f}")

"""The table that the test of a recogniser of expressions or action units ends with."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from typing import Any

import lightning.pytorch as pl

from callbacks.outputs import Samples, array, concatenate, join_samples, require
from callbacks.statistics import proportion
from callbacks.tables.base import TestTable, TextTable, formatted, number
from datamodules.errors import UserError
from datamodules.labels import ACTION_UNITS

_SHARES = ("accuracy", "recall", "f1", "base_rate")


class ScoreTable(TestTable):
    """Prints what the test measured, over all samples and by class, and writes ``summary.json``.

    It reads what the test logged as ``test/<measure>`` and ``test/<measure>_<class>``, a class
    being an expression of the data or an action unit such as ``au12``. ``summary.json`` holds
    ``scores``, a number by measure, and ``classes``, the same of each class; accuracies are shares
    from 0 to 1, and what is not defined is null.

    Args:
        groups: Whether to say the accuracy for each group of people that the data set knows, such
            as their sex, too. ``summary.json`` then holds ``groups``: by attribute and value ``n,
            mean, low, high``, the accuracy and its 95 % interval.
    """

    title = "Test"

    def __init__(self, groups: bool = False) -> None:
        super().__init__()
        self.groups = groups
        self._parts: list[Samples] = []
        self._right: dict[int, bool] = {}

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count from zero.

        Raises:
            UserError: If groups are asked for of which the data set knows nothing.
        """
        super().on_test_start(trainer, pl_module)
        self._parts, self._right = [], {}
        if self.groups:
            _groups(trainer, [])

    def on_test_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *rest: Any
    ) -> None:
        """Keep which samples of a batch were answered rightly."""
        super().on_test_batch_end(trainer, pl_module, outputs, *rest)
        if self.groups:
            found = require(self, pl_module, outputs, ("scores", "label", "sample_id"))
            scores, label = array(found["scores"]), array(found["label"])
            right = {"sample_id": array(found["sample_id"]), "right": scores.argmax(1) == label}
            labelled = label >= 0
            self._parts.append({name: values[labelled] for name, values in right.items()})

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the samples of all processes together."""
        if self.groups and (joined := join_samples(concatenate(self._parts))):
            pairs = zip(joined["sample_id"].tolist(), joined["right"].tolist(), strict=True)
            self._right = dict(pairs)

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
        summary: dict[str, Any] = {
            "scores": {key: number(logged, f"test/{key}") for key in keys},
            "classes": classes,
        }
        return summary | ({"groups": self._by_group(trainer)} if self.groups else {})

    def _by_group(self, trainer: pl.Trainer) -> dict[str, dict[str, Any]]:
        """Estimate the accuracy of each group."""
        found: dict[str, dict[str, Any]] = {}
        for attribute, values in _groups(trainer, list(self._right)).items():
            right: defaultdict[str, list[bool]] = defaultdict(list)
            for value, is_right in zip(values, self._right.values(), strict=True):
                right[value or "unknown"].append(is_right)
            found[attribute] = {
                value: asdict(proportion(sum(some), len(some)))
                for value, some in sorted(right.items())
            }
        return found

    def tables(self, summary: dict[str, Any]) -> list[TextTable]:
        """Lay out one table over all samples and one by class."""
        rows = [[_spaced(key), _cell(key, value)] for key, value in summary["scores"].items()]
        tables = [TextTable("scores", ["measure", "all samples"], rows)]
        classes = summary["classes"]
        if classes:
            measures = list(dict.fromkeys(key for row in classes.values() for key in row))
            rows = [
                [
                    name.upper() if name.startswith("au") else name,
                    *(_cell(measure, row.get(measure)) for measure in measures),
                ]
                for name, row in classes.items()
            ]
            tables.append(TextTable("classes", ["class", *map(_spaced, measures)], rows))
        if groups := summary.get("groups"):
            rows = [
                [
                    f"{attribute}: {value}",
                    str(found["n"]),
                    *(formatted(found[key], "{:.1f} %", 100) for key in ("mean", "low", "high")),
                ]
                for attribute, values in groups.items()
                for value, found in values.items()
            ]
            columns = ["group", "samples", "accuracy", "95 % from", "to"]
            tables.append(TextTable("groups", columns, rows))
        return tables


def _groups(trainer: pl.Trainer, sample_ids: list[int]) -> dict[str, list[str]]:
    """Ask the data for the groups of samples.

    Raises:
        UserError: If it knows of none.
    """
    data = trainer.datamodule  # type: ignore[attr-defined]
    found: dict[str, list[str]] = data.groups(sample_ids) if hasattr(data, "groups") else {}
    if not found:
        raise UserError(
            f"ScoreTable was asked for groups, but {getattr(data, 'name', 'this data set')} says "
            "nothing of its people; RAF-DB (with its folder Annotation), RaFD and KDEF do: set "
            "groups to false."
        )
    return found


def _spaced(measure: str) -> str:
    return measure.replace("_", " ")


def _cell(measure: str, value: float | None) -> str:
    """Write shares of samples in percent, numbers of samples whole, and the rest as they are."""
    if measure in ("support", "units"):
        return formatted(value, "{:.0f}")
    if measure.startswith(_SHARES) or measure.endswith("accuracy"):
        return formatted(value, "{:.1f} %", 100)
    return formatted(value, "{:.3f}")

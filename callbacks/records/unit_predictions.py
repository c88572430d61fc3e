"""Predictions of a method that names expressions or action units, whichever its run is about."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from typing import Any

import lightning.pytorch as pl
from torch import Tensor

from callbacks.records.predictions import Predictions, _part
from datamodules.labels import ACTION_UNITS


class UnitPredictions(Predictions):
    """Writes ``predictions.csv`` as :class:`Predictions` does, of action units too.

    Where a method returns ``unit_margins`` [B, A] and no ``logits``, ``predicted`` holds the
    numbers of the units with a margin above 0, such as ``6+12``, followed in a test by ``shown``,
    those of the annotation, and by the margin of each unit, empty where it has no machine.
    """

    def _add(
        self,
        trainer: pl.Trainer,
        outputs: Mapping[str, Any],
        names: tuple[str, ...],
        columns: Iterable[tuple[Any, ...]],
    ) -> None:
        if "unit_margins" not in outputs:
            super()._add(trainer, outputs, names, columns)
            return
        margins: Tensor = outputs["unit_margins"].detach().double().cpu()
        answers = [[_numbers(row)] for row in margins > 0]
        further = ["predicted"]
        if "action_units" in outputs:
            further.append("shown")
            for answer, row in zip(answers, outputs["action_units"], strict=True):
                answer.append(_numbers(row > 0))
        with _part(trainer, trainer.global_rank).open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if file.tell() == 0:
                writer.writerow([*names, *further, *(f"au{unit}" for unit in ACTION_UNITS)])
            for own, answer, row in zip(columns, answers, margins.tolist(), strict=True):
                told = ["" if margin != margin else f"{margin:.6f}" for margin in row]  # NaN
                writer.writerow([*own, *answer, *told])


def _numbers(present: Tensor) -> str:
    units = zip(ACTION_UNITS, present.tolist(), strict=True)
    return "+".join(str(unit) for unit, there in units if there)

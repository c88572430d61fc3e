"""One line of predictions.csv for each sample that was tested or predicted."""

from __future__ import annotations

import csv
import itertools
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from callbacks.figures.base import input_folder
from callbacks.outputs import gather, read, require
from datamodules.errors import UserError
from datamodules.labels import ACTION_UNITS
from datamodules.store.replacing import replacing

_ID = "sample_id"


class Predictions(pl.Callback):
    """Writes the predicted class and the probability of every class into ``predictions.csv``.

    The file of a test lies in the run folder; that of a prediction in ``predict/<input>/`` below
    it, which no other input shares; see `input_folder`. Test: ``source, sample_id, sample, label,
    predicted`` and one column of probabilities for each class, named after it; prediction:
    ``source, sample_id, sequence, frame, predicted`` and the same; prediction on faces in pictures
    and films:
    ``source`` (the picture or film), ``frame, x, y, width, height`` (the box in its pixels),
    ``predicted`` and the same; each prediction says in ``trained_on`` which data the model has
    seen. Labels are names, because the order of
    classes differs from set to set. ``source`` says which data the samples are from
    (``synthetic`` for the embedded faces). A method that answers under further conditions, as
    ``logits_<condition>``, has a column ``predicted_<condition>`` for each; one that gives scores
    without probabilities has no columns of probabilities.

    Of a method that returns ``unit_margins`` [B, A], ``predicted`` holds the numbers of the action
    units with a margin above 0, such as ``6+12``, followed in a test by ``shown``, those of the
    annotation, and by the margin of each unit, empty where it has no machine.

    Every process writes its samples beside the file as they come; in the end rank zero takes them
    in turn, each ``sample_id`` once (a distributed sampler may repeat some), and puts the file in
    place when the count is that of the data set. Nothing but the ids is held in memory.

    It needs of a module only ``scores`` [B, K] or ``unit_margins`` and ``sample_id`` [B], in test
    ``label`` [B], in prediction ``sequence`` and ``frame``, or ``source``, ``frame`` and ``box``
    [B, 4]; so it serves any classifier.
    """

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin an empty file."""
        part = _part(trainer, trainer.global_rank)
        part.parent.mkdir(parents=True, exist_ok=True)
        if trainer.is_global_zero:
            _remove_leavings(part.parent)
        part.write_bytes(b"")

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write the samples of a batch."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        ids = outputs[_ID].tolist()
        columns = {
            "source": [data.source] * len(ids),
            _ID: ids,
            "sample": map(data.sample_name, ids),
            # -1, no label, picks the last.
            "label": [(*data.class_names, "")[label] for label in outputs["label"].tolist()],
        }
        self._add(trainer, pl_module, outputs, columns)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the file in place."""
        # The whole number 1 is one batch, the fraction 1.0 all of them.
        whole = trainer.limit_test_batches == 1.0 and isinstance(trainer.limit_test_batches, float)
        loader: Any = trainer.test_dataloaders
        self._finish(trainer, expected=len(loader.dataset) if whole else None)

    on_predict_start = on_test_start

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write the frames or faces of a batch."""
        columns: dict[str, Iterable[Any]]
        if "box" in outputs:
            sides = zip(("x", "y", "width", "height"), outputs["box"].T.tolist(), strict=True)
            columns = {
                "source": outputs["source"],
                "frame": outputs["frame"].tolist(),
                **dict(sides),
            }
        else:
            data = trainer.datamodule  # type: ignore[attr-defined]
            columns = {
                "source": [data.source] * len(outputs["frame"]),
                _ID: outputs[_ID].tolist(),
                "sequence": outputs["sequence"],
                "frame": outputs["frame"].tolist(),
            }
        trained_on = trainer.datamodule.trained_on  # type: ignore[attr-defined]
        columns["trained_on"] = [trained_on] * len(outputs["frame"])
        self._add(trainer, pl_module, outputs, columns)

    def on_predict_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the file in place."""
        self._finish(trainer, expected=None)

    def _add(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Mapping[str, Any],
        columns: Mapping[str, Iterable[Any]],
    ) -> None:
        if "unit_margins" in outputs:
            answers = _units(outputs)
        else:
            require(self, pl_module, outputs, ("scores",))
            answers = _classes(outputs, trainer.datamodule.class_names)  # type: ignore[attr-defined]
        # Opened for each batch: no handle to lose when the run is stopped.
        with _part(trainer, trainer.global_rank).open(
            "a", newline="", encoding="utf-8", errors="backslashreplace"
        ) as file:
            writer = csv.writer(file)
            if file.tell() == 0:
                writer.writerow([*columns, *answers])
            writer.writerows(zip(*columns.values(), *answers.values(), strict=True))

    def _finish(self, trainer: pl.Trainer, *, expected: int | None) -> None:
        own = _part(trainer, trainer.global_rank)
        parts = gather(own)  # all have written when this returns
        if not trainer.is_global_zero:
            return
        path = _folder(trainer) / "predictions.csv"
        if trainer.predicting and not any(part.stat().st_size for part in parts):
            for part in parts:
                part.unlink()
            return  # the data module says why nothing was answered
        replaced = " (replaced an earlier file)" if path.exists() else ""
        with replacing(path) as aside:
            count = _merge(parts, aside)
            if expected is not None and count != expected:
                raise UserError(
                    f"{count} samples were predicted and the data set holds {expected}: "
                    f"{path.name} was not written, because a score from it would be wrong."
                )
        for part in parts:
            part.unlink()
        rank_zero_info(f"Predictions of {count} samples: {path}{replaced}")


def _classes(outputs: Mapping[str, Any], classes: Sequence[str]) -> dict[str, list[str]]:
    """Write answers and probabilities as columns."""
    scores = read(outputs, "scores")
    if scores.shape[1] != len(classes):
        raise UserError(
            f"The model tells {scores.shape[1]} classes apart and the data has "
            f"{len(classes)} ({', '.join(classes)}): give both the same set."
        )
    columns = {"predicted": _best(scores, classes)}
    probabilities = read(outputs, "probabilities")
    if probabilities is not None:
        for name, shares in zip(classes, probabilities.T.tolist(), strict=True):
            columns[name] = [f"{share:.6f}" for share in shares]
    for key, logits in outputs.items():
        if key.startswith("logits_"):
            columns[key.replace("logits", "predicted", 1)] = _best(logits, classes)
    return columns


def _best(scores: Tensor, classes: Sequence[str]) -> list[str]:
    return [classes[number] for number in scores.argmax(dim=1).tolist()]


def _units(outputs: Mapping[str, Any]) -> dict[str, list[str]]:
    """Write action units and their margins as columns."""
    margins: Tensor = outputs["unit_margins"].double()
    columns = {"predicted": [_numbers(row) for row in margins > 0]}
    if "action_units" in outputs:
        columns["shown"] = [_numbers(row) for row in outputs["action_units"] > 0]
    for unit, values in zip(ACTION_UNITS, margins.T.tolist(), strict=True):
        columns[f"au{unit}"] = ["" if math.isnan(value) else f"{value:.6f}" for value in values]
    return columns


def _numbers(present: Tensor) -> str:
    units = zip(ACTION_UNITS, present.tolist(), strict=True)
    return "+".join(str(unit) for unit, there in units if there)


def _folder(trainer: pl.Trainer) -> Path:
    run = Path(trainer.default_root_dir)
    if not trainer.predicting:
        return run
    return run / input_folder(trainer)


def _part(trainer: pl.Trainer, rank: int) -> Path:
    return _folder(trainer) / f".predictions.rank{rank}.{os.getpid()}.csv"


def _remove_leavings(folder: Path) -> None:
    """Remove what killed processes of this machine began."""
    for part in folder.glob(".predictions.rank*.*.csv"):
        try:
            os.kill(int(part.suffixes[-2][1:]), 0)
        except ProcessLookupError:
            part.unlink(missing_ok=True)
        except (PermissionError, ValueError):
            continue


def _merge(parts: list[Path], into: Path) -> int:
    """Take the lines of all parts in turn, which restores the order of the data set."""
    seen: set[tuple[str, ...]] = set()
    files = [part.open(newline="", encoding="utf-8") for part in parts]
    try:
        readers = [csv.reader(file) for file in files]
        # A process that was dealt no sample wrote no header.
        headers = [header for reader in readers if (header := next(reader, None))]
        with into.open("w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out)
            writer.writerows(headers[:1])
            # What stands before the answer says which sample it is of.
            own = slice(headers[0].index("predicted") if headers else 0)
            for row in itertools.chain.from_iterable(itertools.zip_longest(*readers)):
                if row is not None and tuple(row[own]) not in seen:
                    seen.add(tuple(row[own]))
                    writer.writerow(row)
    finally:
        for file in files:
            file.close()
    return len(seen)

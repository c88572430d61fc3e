"""One line of predictions.csv for each sample that was tested or predicted."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.utilities import rank_zero_info

from callbacks.figures.base import input_folder, is_live
from callbacks.outputs import answers_of, array, gather, require
from callbacks.records.rows import Columns, InputRows, append_rows, class_columns, unit_columns
from datamodules.errors import UserError
from datamodules.store.replacing import own_path, remove_leftovers, replacing

_ID = "sample_id"


class Predictions(pl.Callback):
    """Writes the predicted class and the probability of every class into ``predictions.csv``.

    The file of a test lies in the run folder; that of a prediction in ``predict/<input>/`` below
    it, which no other input shares; see `input_folder`. Test: ``source, sample_id, sample, label,
    predicted`` and one column of probabilities for each class, named after it; prediction: see
    `rows.InputRows`. Labels are names, because the order of
    classes differs from set to set. ``source`` says which data the samples are from
    (``synthetic`` for the embedded faces). A method that answers a test under further conditions,
    as ``logits_<condition>`` or ``scores_<condition>``, has a column ``predicted_<condition>`` for
    each; one that gives scores without probabilities has no columns of probabilities.

    Of a method that returns ``unit_margins`` [B, A], ``predicted`` holds the numbers of the action
    units with a margin above 0, such as ``6+12``, followed in a test by ``shown``, those of the
    annotation, and by the margin of each unit, empty where it has no machine.

    Every process writes its samples beside the file as they come; in the end rank zero puts the
    file in place: of a test it takes them in turn, each ``sample_id`` once (a distributed sampler
    may repeat some), when the count is that of the data set; nothing but the ids is held in memory.
    The rows of a live stream are in the file itself as they come.

    It needs of a module only ``scores`` [B, K] or ``unit_margins`` and ``sample_id`` [B], in test
    ``label`` [B]; in prediction it reads the batch. So it serves any classifier.
    """

    _rows: InputRows
    _count = 0

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin an empty file."""
        part = _part(trainer)
        part.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(part.parent)
        part.write_bytes(b"")

    def on_test_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any
    ) -> None:
        """Write the samples of a batch."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        ids = outputs[_ID].tolist()
        columns: Columns = {
            "source": [data.source] * len(ids),
            _ID: ids,
            "sample": [data.sample_name(number) for number in ids],
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

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin rows with the first that comes."""
        part = _part(trainer)
        part.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(part.parent)
        part.unlink(missing_ok=True)  # a live stream's own file, of an earlier time
        self._count = 0
        data = trainer.datamodule  # type: ignore[attr-defined]
        self._rows = InputRows(
            data.class_names,
            source=data.source,
            detector=data.finds_faces_by,
            trained_on=data.trained_on,
            smoothing=data.smoothing,
        )

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        *_: Any,
    ) -> None:
        """Write the frames or faces of a batch."""
        if "unit_margins" in outputs:
            answers = {"unit_margins": array(outputs["unit_margins"])}
        else:
            require(self, pl_module, outputs, ("scores",))
            answers = answers_of(outputs)
        columns = self._rows.columns(batch, **answers)
        self._count += len(columns["frame"])
        append_rows(_part(trainer), columns)

    def on_predict_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the file in place."""
        parts, counts = gather(_part(trainer)), gather(self._count)
        if not trainer.is_global_zero:
            return
        path = _folder(trainer) / "predictions.csv"
        replaced = " (replaced an earlier file)" if path.exists() and path not in parts else ""
        written = [part for part in parts if part.exists()]
        # Each film was read by one process, so that its rows stay together.
        if written and path not in parts:
            with replacing(path) as aside:
                _join(written, aside)
            for part in written:
                part.unlink()
        if written:  # else the data module says why nothing was answered
            rank_zero_info(f"Predictions of {sum(counts)} samples: {path}{replaced}")

    def _add(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Mapping[str, Any],
        columns: Columns,
    ) -> None:
        answers: Columns
        if "unit_margins" in outputs:
            shown = outputs.get("action_units")
            shown = None if shown is None else array(shown)
            answers = unit_columns(array(outputs["unit_margins"]).astype(float), shown)
        else:
            require(self, pl_module, outputs, ("scores",))
            classes = trainer.datamodule.class_names  # type: ignore[attr-defined]
            answers = class_columns(**answers_of(outputs), classes=classes)
            answers |= _of_conditions(outputs, classes)
        append_rows(_part(trainer), {**columns, **answers})

    def _finish(self, trainer: pl.Trainer, *, expected: int | None) -> None:
        parts = gather(_part(trainer))  # all have written when this returns
        if not trainer.is_global_zero:
            return
        path = _folder(trainer) / "predictions.csv"
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


def writes_predictions(trainer: pl.Trainer) -> bool:
    """Tell whether a test writes ``predictions.csv``; else a file there is of an earlier test."""
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return any(isinstance(callback, Predictions) for callback in callbacks)


def _of_conditions(outputs: Mapping[str, Any], classes: Sequence[str]) -> Columns:
    columns: Columns = {}
    for key, answers in outputs.items():
        kind, _, condition = key.partition("_")
        if kind in ("logits", "scores") and condition:
            answered = class_columns(array(answers), None, classes)
            columns[f"predicted_{condition}"] = answered["predicted"]
    return columns


def _folder(trainer: pl.Trainer) -> Path:
    run = Path(trainer.default_root_dir)
    if not trainer.predicting:
        return run
    return run / input_folder(trainer)


def _part(trainer: pl.Trainer) -> Path:
    """Where this process writes; another command may predict beside it.

    Of a live stream it is the file itself, for who watches it.
    """
    if trainer.predicting and trainer.is_global_zero and is_live(trainer):
        return _folder(trainer) / "predictions.csv"
    return own_path(_folder(trainer) / f"part{trainer.global_rank}.csv")


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


def _join(parts: list[Path], into: Path) -> None:
    """Put files of rows below each other, under one header."""
    with into.open("w", newline="", encoding="utf-8") as out:
        for number, part in enumerate(parts):
            with part.open(newline="", encoding="utf-8") as file:
                if number:
                    next(file)
                out.writelines(file)

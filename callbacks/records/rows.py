"""The rows of predictions: where and when a face was, and what is said of it. Without torch."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import UserError
from datamodules.inputs.smoothing import Smoothing
from datamodules.inputs.tracks import time_of
from datamodules.labels import ACTION_UNITS

Columns = dict[str, list[Any]]
"""Values of rows by the name of their column."""
Values = NDArray[np.floating[Any]]

SMOOTHED = "smoothed"
_BOX = ("x", "y", "width", "height")


class InputRows:
    """Makes the rows of faces or frames that nobody labelled.

    Columns, in their order: ``source`` (the picture or film, or, where ``sequence`` names the
    film, the input, and then ``sample_id``); ``frame`` from 0; ``seconds`` since the beginning,
    empty where nobody knows; ``track``, the number of the person in the film; ``x, y, width,
    height`` of what was cut out, in pixels of the picture; ``detector``, what found it;
    ``trained_on``; ``predicted`` and the probability of each class; and, where there are
    probabilities and a smoothing, ``smoothing_s``, its time constant in seconds, ``smoothed``, the
    class that is the likeliest by then, and ``smoothed_<class>``; see `Smoothing`.

    Args:
        classes: Names of the classes.
        source: Name of the input.
        detector: What finds its faces.
        trained_on: Source of the data that the model has seen.
        smoothing: Time constant in seconds; 0 for none.
    """

    def __init__(
        self,
        classes: Sequence[str],
        *,
        source: str,
        detector: str,
        trained_on: str,
        smoothing: float,
    ) -> None:
        self._classes = classes
        self._constant = {"detector": detector, "trained_on": trained_on}
        self._source = source
        self._smoothing = Smoothing(smoothing) if smoothing else None

    def columns(
        self,
        batch: Mapping[str, Any],
        *,
        scores: Values | None = None,
        probabilities: Values | None = None,
        unit_margins: Values | None = None,
    ) -> Columns:
        """Make the rows of a batch.

        Args:
            batch: Faces or pairs of frames, see `batch.FaceInputBatch` and `batch.SequenceBatch`;
                arrays of any library.
            scores: [B, K], of which the highest is the answer.
            probabilities: [B, K], of the same classes.
            unit_margins: [B, A] in place of both, of a method that recognises action units.
        """
        frames = _listed(batch["frame"])
        places: Columns = {"source": [self._source] * len(frames), "sample_id": []}
        if "sequence" in batch:
            places |= {"sample_id": _listed(batch["sample_id"]), "sequence": batch["sequence"]}
        else:
            places = {"source": list(batch["source"])}
        seconds = [round(float(second), 3) for second in batch["seconds"]]
        places |= {"frame": frames, "seconds": seconds, "track": list(batch["track"])}
        boxes = _listed(batch["box"])
        places |= {side: [box[i] for box in boxes] for i, side in enumerate(_BOX)}
        places |= {name: [value] * len(frames) for name, value in self._constant.items()}
        if unit_margins is not None:
            return {**places, **unit_columns(unit_margins)}
        if scores is None:
            raise ValueError("Rows need scores or margins of action units.")
        answers = class_columns(scores, probabilities, self._classes)
        if probabilities is not None and self._smoothing is not None:
            names = batch.get("sequence", batch.get("source"))
            answers |= self._smoothed(self._smoothing, names, places, probabilities)
        return {**places, **answers}

    def _smoothed(
        self, smoothing: Smoothing, names: Any, places: Columns, probabilities: Values
    ) -> Columns:
        moments = zip(names, places["track"], places["frame"], places["seconds"], strict=True)
        means = np.array(
            [
                smoothing.update(name, track, time_of(frame, seconds), values)
                for (name, track, frame, seconds), values in zip(
                    moments, np.asarray(probabilities, np.float64), strict=True
                )
            ]
        )
        columns = class_columns(means, means, self._classes)
        return {
            "smoothing_s": [smoothing.seconds] * len(means),
            SMOOTHED: columns.pop("predicted"),
            **{f"{SMOOTHED}_{name}": values for name, values in columns.items()},
        }


def class_columns(scores: Values, probabilities: Values | None, classes: Sequence[str]) -> Columns:
    """Name the answers ``predicted``, and the probability of each class.

    Raises:
        UserError: If the scores [B, K] are of another number of classes.
    """
    if scores.shape[1] != len(classes):
        raise UserError(
            f"The model tells {scores.shape[1]} classes apart and the data has "
            f"{len(classes)} ({', '.join(classes)}): give both the same set."
        )
    columns: Columns = {"predicted": [classes[number] for number in scores.argmax(axis=1)]}
    if probabilities is not None:
        columns |= dict(zip(classes, probabilities.T.tolist(), strict=True))
    return columns


def unit_columns(margins: Values, shown: Values | None = None) -> Columns:
    """Name the action units with a margin [B, A] above 0, and give the margin of each.

    Args:
        margins: NaN for a unit without a machine.
        shown: [B, A], above 0 for units of the annotation, where there is one.
    """
    columns: Columns = {"predicted": [_numbers(row) for row in margins > 0]}
    if shown is not None:
        columns["shown"] = [_numbers(row) for row in shown > 0]
    for unit, values in zip(ACTION_UNITS, margins.T.tolist(), strict=True):
        columns[f"au{unit}"] = values
    return columns


def rows_of(columns: Columns) -> Iterator[dict[str, Any]]:
    """Yield the rows of columns, values by name."""
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def append_rows(path: Path, columns: Columns) -> None:
    """Append rows to a table of commas, which begins with the names of the columns.

    The file is opened for each batch: no handle to lose when the run is stopped.
    """
    with path.open("a", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        if file.tell() == 0:
            writer.writerow(columns)
        values = ([_text(name, v) for v in column] for name, column in columns.items())
        writer.writerows(zip(*values, strict=True))


def _text(name: str, value: Any) -> Any:
    if not isinstance(value, float):
        return value
    if math.isnan(value):
        return ""
    if name == "smoothing_s":
        return f"{value:g}"
    return f"{value:.3f}" if name == "seconds" else f"{value:.6f}"


def _numbers(present: NDArray[np.bool_]) -> str:
    return "+".join(str(unit) for unit, there in zip(ACTION_UNITS, present, strict=True) if there)


def _listed(values: Any) -> list[Any]:
    """Turn an array of any library into a list."""
    listed: list[Any] = values.tolist()
    return listed

"""What a recognizer asks: a trained method, whatever it was loaded from."""

from __future__ import annotations

from typing import Protocol, TypedDict

from callbacks.records.rows import Values
from datamodules.inputs.reading import InputBatch, Reading


class Answers(TypedDict, total=False):
    """What a method says of a batch: scores with probabilities [B, K], or margins [B, A]."""

    scores: Values
    probabilities: Values | None
    unit_margins: Values


class Method(Protocol):
    """A trained method.

    Attributes:
        reading: Reads inputs as its training data were read.
        class_names: Names of its classes, in the order of its answers.
        trained_on: Source of the data that it has seen.
    """

    reading: Reading
    class_names: tuple[str, ...]
    trained_on: str

    def answer(self, batch: InputBatch) -> Answers:
        """Answer a batch of the reading."""

"""What became of an input to predict on: what could not be read, and where no face was found."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from datamodules.errors import DatasetError, OnBadSample, name_bad, printable
from datamodules.files import Problems

_MOST_NAMED = 20  # pictures without a face

_log = logging.getLogger(__name__)


@dataclass
class InputReport:
    """Counts while an input is read, and tells what is missing once the rest is answered.

    Args:
        problems: (path, reason) of files and frames that cannot be used.
        without_face: Pictures and frames in which no face was found; the first are named.
        named: Names of the first of these.
        pictures: Pictures and frames that were looked at.
        answers: Faces or pairs of frames that were given to the model.
        share: Part of the input that was gone through, in [0, 1]; None where it has no end.
    """

    problems: Problems = field(default_factory=list)
    without_face: int = 0
    named: list[str] = field(default_factory=list)
    pictures: int = 0
    answers: int = 0
    share: float | None = None
    _began: float = field(default_factory=time.monotonic)

    def add(self, path: str | Path, reason: str) -> None:
        """Add what cannot be used."""
        self.problems.append((path, reason))

    def count(self, name: str, faces: int) -> None:
        """Count a picture or frame, and how many faces were found in it."""
        self.pictures += 1
        if not faces:
            self.without_face += 1
            if len(self.named) < _MOST_NAMED:  # a film may have hundred thousands
                self.named.append(name)

    def progress(self) -> str:
        """Say how far the input was gone through, and how long the rest will take."""
        done = f"{self.pictures} pictures, {self.answers} answers"
        if not self.share:
            return done
        left = (time.monotonic() - self._began) * (1 / self.share - 1)
        minutes, seconds = divmod(round(left), 60)
        return f"{self.share:.0%}, {done}, {minutes} min {seconds} s left"

    def close(self, on_bad_sample: OnBadSample, *, alone: bool = True) -> None:
        """Name what is missing.

        Args:
            on_bad_sample: raise: what cannot be used is an error, though the rest is answered;
                skip: it is a warning.
            alone: Whether no other process answers a part of the input.

        Raises:
            DatasetError: If anything cannot be used and may not be skipped, or nothing is answered.
        """
        problems = list(dict.fromkeys((str(path), reason) for path, reason in self.problems))
        named = f"{len(problems)} files or frames cannot be used:\n{name_bad(problems)}"
        faceless = (
            f"No face was found in {self.without_face} of {self.pictures} pictures and frames "
            f"({_name_some(self.named, self.without_face)}); where they are faces already, predict "
            "by the checkpoint with --data.input_crop none."
        )
        if alone and not self.answers and self.without_face and not problems:
            raise DatasetError(f"Nothing is answered. {faceless}")
        if self.without_face:
            _log.warning("%s", faceless)
        if problems and (on_bad_sample == "raise" or (alone and not self.answers)):
            rest = "The rest is answered, but" if self.answers else "Nothing is answered:"
            raise DatasetError(f"{rest} {named}")
        if problems:
            _log.warning("Skipped: %s", named)


def _name_some(names: Sequence[str], count: int) -> str:
    """Join the first of so many names by commas, as many as a line takes, and count the rest."""
    shown = printable(", ".join(names[:_MOST_NAMED]), 1_000)
    return f"{shown} and {count - _MOST_NAMED} more" if count > _MOST_NAMED else shown

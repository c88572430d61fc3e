"""What became of an input to predict on: what could not be read, and where no face was found."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

from datamodules.errors import DatasetError, OnBadSample, name_bad
from datamodules.files import Problems
from datamodules.unread import name_some

_log = logging.getLogger(__name__)


@dataclass
class InputReport:
    """Counts while an input is read, and tells what is missing once the rest is answered.

    Args:
        problems: (path, reason) of files and frames that cannot be used.
        without_face: Names of pictures and frames in which no face was found.
        pictures: Pictures and frames that were looked at.
        answers: Faces or pairs of frames that were given to the model.
    """

    problems: Problems = field(default_factory=list)
    without_face: list[str] = field(default_factory=list)
    pictures: int = 0
    answers: int = 0

    def add(self, path: str | Path, reason: str) -> None:
        """Add what cannot be used."""
        self.problems.append((path, reason))

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
            f"No face was found in {len(self.without_face)} of {self.pictures} pictures and frames "
            f"({name_some(self.without_face)}); where they are faces already, set data.input_crop "
            "to none."
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

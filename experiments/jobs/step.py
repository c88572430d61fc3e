"""A command that leaves something in a folder, and need not run again once that is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from datamodules.store.json_file import read_json, write_json

LOG_FILE = "log.txt"
_FAILURE = "failure.json"


def _nothing() -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Step:
    """One of the commands that a whole, such as a cross-validation, consists of.

    Args:
        name: Its name, by which other steps need it.
        verb: The command of `lightning` that it runs, for its log and messages.
        folder: Where it writes; steps that run one after another may share a folder.
        command: Returns program and arguments. Called when the step starts, so that it may depend
            on what the needed steps left.
        is_done: Tells whether there is everything that the step is for.
        needs: Names of steps that must be done before.
        environment: Returns the variables that it is told besides what it inherits; called when
            the step starts.
    """

    name: str
    verb: str
    folder: Path
    command: Callable[[], Sequence[str]]
    is_done: Callable[[], bool]
    needs: tuple[str, ...] = ()
    environment: Callable[[], Mapping[str, str]] = _nothing

    @property
    def log(self) -> Path:
        """What it prints, added to at every start."""
        return self.folder / LOG_FILE

    def forget_failure(self) -> None:
        """Remove what an earlier start left in failure.json."""
        (self.folder / _FAILURE).unlink(missing_ok=True)

    def record_failure(self, why: str) -> None:
        """Write failure.json.

        Args:
            why: A sentence.
        """
        write_json(self.folder / _FAILURE, {"step": self.verb, "said": why})


def failure(folder: Path) -> str | None:
    """Return why the last step that ran in a folder failed; None where it did not."""
    said: str | None = (read_json(folder / _FAILURE) or {}).get("said")
    return said

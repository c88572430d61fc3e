"""The error of a command that cannot be carried out. Nothing here imports torch."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable

from datamodules.errors import UserError

_USAGE, _FAILURE = 2, 1


class CommandError(UserError):
    """The command cannot be carried out, for a reason that the person can change.

    Args:
        sentence: What was given, what was expected, what to do.
        exit_code: 2 for a wrong command line or config file, 1 for anything else.
    """

    def __init__(self, sentence: str, exit_code: int = _FAILURE) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


def usage_error(sentence: str) -> CommandError:
    """Make the error of a wrong command line or config file."""
    return CommandError(sentence, _USAGE)


def close_match(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean X?` for the closest known word, or nothing where none is close."""
    matches = difflib.get_close_matches(word, sorted(set(known)), n=1, cutoff=0.6)
    return f"; did you mean {matches[0]}?" if matches else ""


def missing_library(error: ImportError) -> CommandError | None:
    """Say which library of the system is missing behind a package; None for another error."""
    found = re.match(r"(\S+): cannot open shared object file", str(error))
    if found is None:
        return None
    return CommandError(
        f"This machine lacks {found.group(1)}, which a package needs: install the system's package "
        "that holds it. What OpenCV needs (libGL.so.1 is in libgl1 on Debian and Ubuntu) is not "
        "needed by its headless build: pip uninstall opencv-contrib-python, then pip install "
        "opencv-contrib-python-headless of the same version."
    )


def complain(error: UserError) -> None:
    """Print why a command ended, as one message on the standard error."""
    print(f"lightning: {error}", file=sys.stderr, flush=True)

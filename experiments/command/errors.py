"""What a person reads when a command cannot be carried out: one sentence, no stack trace."""

from __future__ import annotations

import argparse
import difflib
import errno
import re
from collections.abc import Iterable

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from omegaconf.errors import OmegaConfBaseException

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
    """Say what was probably meant.

    Args:
        word: What was given.
        known: What there is.

    Returns:
        `; did you mean X?`, or nothing where no known word is close.
    """
    matches = difflib.get_close_matches(word, sorted(set(known)), n=1, cutoff=0.6)
    return f"; did you mean {matches[0]}?" if matches else ""


def explain(error: BaseException) -> CommandError | None:
    """Tell a person's mistake from a programmer's.

    Args:
        error: What ended the command.

    Returns:
        The sentence to print, or None for an error that deserves its stack trace.
    """
    if isinstance(error, CommandError):
        return error
    if isinstance(error, (OmegaConfBaseException, argparse.ArgumentError)):
        return usage_error(_one_line(str(error)))
    if isinstance(error, MisconfigurationException):
        return CommandError(_one_line(str(error)))
    if isinstance(error, torch.OutOfMemoryError):
        return CommandError(
            "The accelerator's memory is full: lower --data.batch_size or the model's width, "
            "or train in bf16 with --config experiments/presets/gpu.yaml."
        )
    if isinstance(error, RuntimeError) and "Error(s) in loading state_dict" in str(error):
        return CommandError(_state_dict_sentence(str(error)))
    if isinstance(error, OSError):
        return _explain_os_error(error)
    # jsonargparse wraps what a class says of its arguments into what each type would have wanted.
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UserError):
            # A data set's list of bad files keeps its lines.
            return CommandError(str(cause))
        cause = cause.__cause__
    return None


def _explain_os_error(error: OSError) -> CommandError | None:
    where = f" at {error.filename}" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return CommandError(
            f"The disk is full{where}: make room and give the same command, which goes on from "
            "the last checkpoint."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return CommandError(f"There is no permission to write or read{where}.")
    if isinstance(error, (FileNotFoundError, NotADirectoryError)) and error.filename:
        return CommandError(f"The path {error.filename} does not exist.")
    return None


def _state_dict_sentence(message: str) -> str:
    name = re.search(r"loading state_dict for (\w+)", message)
    reasons = [line.strip().rstrip(".") for line in message.splitlines()[1:] if line.strip()]
    shown = reasons[0] if reasons else message
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return (
        f"The checkpoint does not fit this {name.group(1) if name else 'model'}: "
        f"{_one_line(shown)}{more}; give the config files that it was trained with."
    )


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 400 else f"{line[:400]} ..."

"""Runs a command from its session to its exit code."""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import os
import re
import shlex
import signal
import traceback
from collections.abc import Sequence

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.exceptions import SIGTERMException
from omegaconf.errors import OmegaConfBaseException

from datamodules.errors import UserError
from experiments.command.console import quiet, say
from experiments.command.errors import CommandError, complain, missing_library, usage_error
from experiments.command.experiment import ExperimentCLI
from experiments.command.privacy import without_user
from experiments.command.refusals import refused_argument
from experiments.command.usage import OWN_COMMANDS, TRACEBACK
from experiments.jobs.context import die_with_parent
from experiments.run.processes import is_first_process
from experiments.run.session import Session


def execute(args: Sequence[str]) -> int:
    """Run a command; return the exit code."""
    session = Session()
    if session.fold is not None:
        # The processes that a fold starts for further devices die with that one; those of a
        # cluster's job are ended by the cluster.
        if session.fold.parent is not None:
            die_with_parent(session.fold.parent if is_first_process() else None)
        # SLURM's warning is for the parent, which ends its steps in order.
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    with quiet():
        try:
            if args[:1] and args[0] in OWN_COMMANDS:
                getattr(importlib.import_module(OWN_COMMANDS[args[0]]), args[0])(args[1:])
            else:
                ExperimentCLI(args, session)
        except BaseException as error:
            code = report(error, session, args)
            # What failed, such as a full disk, may fail once more, and was told.
            with contextlib.suppress(OSError):
                session.close(failed=True)
            if code is None:
                raise
            return code
        session.close()
    return 0


def explain(error: BaseException) -> CommandError | None:
    """Tell a person's mistake from a programmer's.

    Returns:
        The sentence to print, or None for an error that deserves its stack trace.
    """
    if isinstance(error, CommandError):
        return error
    if isinstance(error, (OmegaConfBaseException, argparse.ArgumentError)):
        return usage_error(_one_line(str(error)))
    if isinstance(error, ImportError) and (told := missing_library(error)):
        return told
    if isinstance(error, MisconfigurationException):
        return CommandError(_one_line(str(error)))
    if isinstance(error, torch.OutOfMemoryError):
        return CommandError(
            "The accelerator's memory is full: lower --data.batch_size or the model's width, "
            "set --data.on_device or --acceleration.graphs to false, or train with "
            "--trainer.precision bf16-mixed."
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
    return refused_argument(error)


def report(error: BaseException, session: Session, args: Sequence[str]) -> int | None:
    """Tell a person why the command ended; return the exit code, None to raise the error itself."""
    if isinstance(error, SIGTERMException):
        say(f"Ended by SIGTERM. {session.how_to_go_on()}")
        return 128 + signal.SIGTERM
    interrupted = isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt)
    if isinstance(error, KeyboardInterrupt) or interrupted:
        # Lightning made the process deaf to further ones while it shut down.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        say(f"Stopped. {session.how_to_go_on()}")
        return 128 + signal.SIGINT
    if isinstance(error, SystemExit) or os.environ.get(TRACEBACK) == "1":
        return None
    told = explain(error)
    # Any process may be the one that fails, so each says it.
    if told is None:
        traceback.print_exception(error)
        given = without_user(shlex.join(args))
        told = CommandError(
            "That is a bug of this project and not your mistake: please report it with the lines "
            f"above, the command (lightning {given}) and, from the run folder, config.yaml and "
            "environment.json."
        )
    complain(told)
    return told.exit_code


def _explain_os_error(error: OSError) -> CommandError | None:
    where = f" at {error.filename}" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return CommandError(
            f"The disk is full{where}: make room and give the same command, which goes on from "
            "the last checkpoint."
        )
    if error.errno == errno.EFBIG:
        return CommandError(
            f"A file would be larger than this process may write{where} (see ulimit -f): raise the "
            "limit and give the same command, which goes on from the last checkpoint."
        )
    if isinstance(error, (FileExistsError, NotADirectoryError)) and error.filename:
        return CommandError(f"{error.filename} needs a folder where a file is: move that away.")
    if isinstance(error, IsADirectoryError) and error.filename:
        return CommandError(f"{error.filename} is a folder where a file is needed.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return CommandError(f"There is no permission to write or read{where}.")
    if isinstance(error, FileNotFoundError) and error.filename:
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

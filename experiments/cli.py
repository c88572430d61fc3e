"""The `lightning` command."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence

from datamodules.errors import UserError
from experiments.command.errors import CommandError, complain, missing_library
from experiments.command.precheck import check
from experiments.command.usage import OWN_COMMANDS, TRACEBACK, predicts_by_onnx


def main(args: Sequence[str] | None = None) -> None:
    """Run the `lightning` command.

    Args:
        args: The command line; by default that of the process.

    Raises:
        SystemExit: If the command failed, after one sentence on the standard error; with 1, with 2
            for a wrong command line, 130 after Ctrl-C, 143 after SIGTERM.
    """
    args = list(sys.argv[1:] if args is None else args)
    try:
        if predicts_by_onnx(args):
            from experiments.recognition.command import predict

            predict(args[1:])
            return
        check(args)
        if _only_reads_results(args):
            code = _summarize(args)
        else:
            # Only now: torch and Lightning take seconds to import.
            if sys.stderr.isatty():
                print("Loading PyTorch ...", file=sys.stderr, flush=True)
            from experiments.command.execute import execute

            code = execute(args)
    except UserError as error:
        complain(error)
        code = getattr(error, "exit_code", 1)
    except ImportError as error:
        if (told := missing_library(error)) is None:
            raise
        complain(told)
        code = told.exit_code
    except BrokenPipeError:  # whoever reads it, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except KeyboardInterrupt:  # while modules are imported
        print("Stopped. Nothing was begun.", file=sys.stderr, flush=True)
        code = 128 + signal.SIGINT
    # Outside the handler: the interpreter prints what SystemExit came from, were it chained.
    if code:
        raise SystemExit(code)


def _only_reads_results(args: Sequence[str]) -> bool:
    """Tell whether a command reads records of finished folds and needs no torch."""
    if os.environ.get(TRACEBACK) == "1":
        return False
    names = {argument.partition("=")[0] for argument in args}
    everything = "--summarize" in names and names.isdisjoint({"-c", "--config"})
    light = ("compare", "study", "report", "sync", "workspace")
    return args[:1] in [[command] for command in light] or (args[:1] == ["crossval"] and everything)


def _summarize(args: Sequence[str]) -> int:
    """Run a command without torch, which is imported only to tell of an unexpected error."""
    try:
        getattr(importlib.import_module(OWN_COMMANDS[args[0]]), args[0])(args[1:])
    except (CommandError, SystemExit, BrokenPipeError):
        raise
    except BaseException as error:
        from experiments.command.execute import report
        from experiments.run.session import Session

        code = report(error, Session(), args)
        if code is None:
            raise
        return code
    return 0

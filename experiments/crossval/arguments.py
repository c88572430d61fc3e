"""The command line of `lightning crossval`: its own options, and those of `fit` for every fold."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from experiments.command.errors import usage_error

DESCRIPTION = "Cross-validate an experiment, every fold as processes of its own."
# What a cross-validation decides for its folds, and what to say to a person who does.
_DECIDED = {
    "--ckpt_path": "every fold starts from fresh weights",
    "--data.fold": "all folds are run, or one by --fold",
    "--data.init_args.fold": "all folds are run, or one by --fold",
    "--fresh": "move or delete its folder to start anew",
}


@dataclass(frozen=True)
class Options:
    """What `lightning crossval` was asked for.

    Args:
        fold: The only fold to run; None runs all.
        jobs: Folds at once; None takes one for each device.
        devices: Accelerators to spread folds over; empty leaves all visible to every fold.
        summarize: Whether to run nothing and sum up what there is.
        fit: Command line of `fit` that all folds share.
    """

    fold: int | None
    jobs: int | None
    devices: tuple[str, ...]
    summarize: bool
    fit: tuple[str, ...]


class CommandParser(argparse.ArgumentParser):
    """A parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        """Refuse a command line."""
        raise usage_error(f"{self.prog.split()[-1]}: {message}.")


def make_parser() -> CommandParser:
    """Make the parser of the options of `lightning crossval` itself."""
    parser = CommandParser(
        prog="lightning crossval",
        allow_abbrev=False,
        description=f"{DESCRIPTION} Takes every option of `lightning fit` too.",
        epilog="The same command again skips finished folds and resumes started ones.",
    )
    parser.add_argument("--folds", type=positive, help="Number of folds (data.folds).")
    parser.add_argument("--fold", type=_natural, help="Run this one only, e.g. in a cluster array.")
    parser.add_argument("--jobs", type=positive, help="Folds at once; default: one a device.")
    parser.add_argument("--devices", help="GPUs, e.g. 0,1,2,3: each fold sees one of them.")
    parser.add_argument(
        "--summarize", action="store_true", help="Run nothing; sum up the folds that there are."
    )
    return parser


def parse(args: Sequence[str]) -> Options:
    """Read a command line.

    Args:
        args: What follows `lightning crossval`.

    Returns:
        The options.

    Raises:
        CommandError: If it cannot be read.
    """
    own, fit = make_parser().parse_known_args(list(args))
    refuse_decided("crossval", fit, _DECIDED)
    if own.folds is not None:
        fit.append(f"--data.folds={own.folds}")
    devices = split_devices("crossval", own.devices)
    return Options(own.fold, own.jobs, devices, own.summarize, tuple(fit))


def refuse_decided(command: str, fit: Sequence[str], decided: Mapping[str, str]) -> None:
    """Refuse options of `lightning fit` that a command decides itself.

    Args:
        command: Its name.
        fit: What it was given for `lightning fit`.
        decided: Why it takes no option of these names.

    Raises:
        CommandError: If there is one.
    """
    for argument in fit:
        name = argument.split("=", 1)[0]
        if name in decided:
            raise usage_error(f"{command} takes no {name}: {decided[name]}.")


def split_devices(command: str, devices: str | None) -> tuple[str, ...]:
    """Read the names of devices between commas; none where the option was not given.

    Args:
        command: The name of the command.
        devices: What was given, such as `0,1`.

    Raises:
        CommandError: If it names none.
    """
    names = tuple(part.strip() for part in (devices or "").split(",") if part.strip())
    if devices is not None and not names:
        raise usage_error(f"{command}: --devices names no device; give e.g. --devices 0,1.")
    return names


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    number = _natural(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, but is {number}")
    return number


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number, but is {text!r}")
    return int(text)

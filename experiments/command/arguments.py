"""Command lines of the commands that have options of their own beside those of `fit`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import NoReturn

from experiments.command.errors import usage_error


class CommandParser(argparse.ArgumentParser):
    """A parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        """Refuse a command line."""
        raise usage_error(f"{self.prog.split()[-1]}: {message}.")

    def add_slots(self, what: str) -> None:
        """Add --jobs and --devices, see `jobs.local.make_slots`.

        Args:
            what: What runs in a slot, such as fold.
        """
        self.add_argument(
            "--jobs", type=positive, help=f"{what.capitalize()}s at once; default: one a device."
        )
        self.add_argument("--devices", help=f"GPUs, e.g. 0,1,2,3: each {what} sees one of them.")


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
    number = natural(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, but is {number}")
    return number


def natural(text: str) -> int:
    """Read a whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number, but is {text!r}")
    return int(text)

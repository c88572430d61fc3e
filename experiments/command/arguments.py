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
        raise usage_error(f"{self._command}: {message}.")

    def add_slots(self, what: str) -> None:
        """Add --jobs and --devices, see `jobs.local.make_slots`.

        Args:
            what: What runs in a slot, such as fold.
        """
        self.add_argument(
            "--jobs", type=positive, help=f"{what.capitalize()}s at once; default: one a device."
        )
        self.add_argument("--devices", help=f"GPUs, e.g. 0,1,2,3: each {what} sees one of them.")

    def parse_beside_fit(
        self, args: Sequence[str], decided: Mapping[str, str]
    ) -> argparse.Namespace:
        """Parse a command line with options of `lightning fit` among its own.

        Args:
            args: The command line.
            decided: Why the command takes no option of these names, which it decides itself.

        Returns:
            Its own options, `devices` as a tuple of names, and in `fit` all others.

        Raises:
            CommandError: If it cannot be parsed.
        """
        own, fit = self.parse_known_args(list(args))
        for argument in fit:
            name = argument.split("=", 1)[0]
            if name in decided:
                raise usage_error(f"{self._command} takes no {name}: {decided[name]}.")
        names = tuple(part.strip() for part in (own.devices or "").split(",") if part.strip())
        if own.devices is not None and not names:
            self.error("--devices names no device; give e.g. --devices 0,1")
        own.devices, own.fit = names, fit
        return own

    @property
    def _command(self) -> str:
        return self.prog.split()[-1]


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

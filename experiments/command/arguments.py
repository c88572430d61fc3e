"""Command lines of the commands that have options of their own beside those of `fit`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from experiments.command.errors import usage_error
from experiments.jobs.options import LauncherOptions


class CommandParser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, and whose options are written out.

    Args:
        command: Such as crossval.
        **texts: Description, epilog and usage of its help.
    """

    def __init__(self, command: str, **texts: Any) -> None:
        super().__init__(prog=f"lightning {command}", allow_abbrev=False, **texts)
        self._command = command

    def error(self, message: str) -> NoReturn:
        """Refuse a command line."""
        raise usage_error(f"{self._command}: {message}.")

    def add_slots(self, what: str) -> None:
        """Add what says where steps run, see `LauncherOptions`.

        Args:
            what: What runs in a slot, such as fold.
        """
        self.add_argument(
            "--jobs", type=positive, help=f"{what.capitalize()}s at once; default: one a device."
        )
        self.add_argument(
            "--devices", help=f"GPUs, e.g. 0,1,2,3 or auto: each {what} sees one of them."
        )
        self.add_argument(
            "--launcher",
            choices=("local", "slurm"),
            default="local",
            help=f"Run each {what} here, or as a job of SLURM with the options --slurm.partition "
            "gpu, --slurm.gpus_per_node 1, --slurm.time 4:00:00 and so on, as sbatch has them.",
        )
        self.add_argument(
            "--detach",
            action="store_true",
            help="Return at once: a job of one CPU waits for the others and sums up.",
        )

    def parse_beside_fit(
        self, args: Sequence[str], decided: Mapping[str, str]
    ) -> argparse.Namespace:
        """Parse a command line with options of `lightning fit` among its own.

        Args:
            args: The command line.
            decided: Why the command takes no option of these names, such as `--data.fold`, which
                it decides itself; `--data.init_args.fold` is the same.

        Returns:
            Its own options, those of `add_slots` in `launch`, and in `fit` all others.

        Raises:
            CommandError: If it cannot be parsed.
        """
        rest, slurm = _take_slurm(args)
        own, fit = self.parse_known_args(rest)
        for argument in fit:
            name = argument.split("=", 1)[0]
            if why := decided.get(name.replace(".init_args.", ".")):
                raise usage_error(f"{self._command} takes no {name}: {why}.")
        names = tuple(part.strip() for part in (own.devices or "").split(",") if part.strip())
        if own.devices is not None and not names:
            self.error("--devices names no device; give e.g. --devices 0,1")
        in_slurm = own.launcher == "slurm"
        if not in_slurm and (slurm or own.detach):
            name = f"--slurm.{next(iter(slurm))}" if slurm else "--detach"
            self.error(f"{name} is for --launcher slurm")
        if in_slurm and names:
            self.error("in SLURM give --slurm.gpus_per_node in place of --devices")
        own.launch = LauncherOptions(own.jobs, names, slurm if in_slurm else None, own.detach)
        own.fit = fit
        return own


def _take_slurm(args: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Take `--slurm.NAME VALUE` out of a command line; a switch has an empty value."""
    rest: list[str] = []
    options: dict[str, str] = {}
    words = iter([*args, "--"])
    word = next(words)
    for after in words:
        name, equals, value = word.partition("=")
        if not name.startswith("--slurm."):
            rest.append(word)
        else:
            apart = not equals and not after.startswith("-")
            options[name.removeprefix("--slurm.").replace("_", "-")] = after if apart else value
            if apart:
                after = next(words)
        word = after
    return rest, options


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

"""The command line of `lightning export`, read before torch is imported."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from experiments.command.arguments import CommandParser
from experiments.command.usage import COMMANDS


def parse(args: Sequence[str]) -> argparse.Namespace:
    """Read a command line.

    Returns:
        `ckpt_path`, `output` and `check_on`, paths; None where not given.

    Raises:
        CommandError: If it cannot be read.
    """
    parser = CommandParser("export", description=COMMANDS["export"])
    parser.add_argument("--ckpt_path", type=Path, required=True, help="Path of a checkpoint.")
    parser.add_argument(
        "--output", type=Path, help="File to write; default: beside the checkpoint, as .onnx."
    )
    parser.add_argument(
        "--check_on", type=Path, help="Pictures or recordings to check it on; default: drawn ones."
    )
    return parser.parse_args(list(args))

"""The command line of `lightning export`, read before torch is imported."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from experiments.command.arguments import CommandParser
from experiments.command.usage import COMMANDS


def parse(args: Sequence[str]) -> argparse.Namespace:
    """Read a command line.

    Args:
        args: What follows `lightning export`.

    Returns:
        `ckpt_path` and `output`, paths; `root` and `cache_dir`, texts; None where not given.

    Raises:
        CommandError: If it cannot be read.
    """
    parser = CommandParser(
        prog="lightning export", allow_abbrev=False, description=COMMANDS["export"]
    )
    parser.add_argument("--ckpt_path", type=Path, required=True, help="Path of a checkpoint.")
    parser.add_argument(
        "--output", type=Path, help="File to write; default: beside the checkpoint, as .onnx."
    )
    # What a checkpoint says of this machine's folders may be anybody's: it is shown and not used.
    parser.add_argument(
        "--data.root", dest="root", help="Data to check the file on; default: random inputs."
    )
    parser.add_argument("--data.cache_dir", dest="cache_dir", help="Their cache; default: .cache.")
    return parser.parse_args(list(args))

"""The command line of `lightning generate`, read before torch is imported."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from experiments.command.arguments import CommandParser, positive
from experiments.command.errors import CommandError
from experiments.command.usage import COMMANDS, no_export


def parse(args: Sequence[str]) -> argparse.Namespace:
    """Read a command line.

    Returns:
        `classes`, names; `per_class`, a number; `faces`, `out` and `ckpt_path`, paths, the last
        None where not given; and in `fit` the options of `lightning fit`.

    Raises:
        CommandError: If it cannot be read, or what it names is not there, or is in the way.
    """
    parser = CommandParser(
        "generate",
        description=f"{COMMANDS['generate']} The motions are those of the training fold of the "
        "data that --config and --data.root name, as for `lightning fit`; --model.gain makes them "
        "stronger or weaker.",
        epilog="Train on the result with --data.extra FOLDER; nothing is ever tested on it.",
    )
    parser.add_argument(
        "--class",
        dest="classes",
        required=True,
        type=_names,
        metavar="NAMES",
        help="Expressions to make, e.g. fear,disgust.",
    )
    parser.add_argument("--per_class", type=positive, default=500, help="Faces of each.")
    parser.add_argument(
        "--faces",
        type=_folder,
        required=True,
        metavar="FOLDER",
        help="Neutral faces to move: pictures of any size, each with a face; of training people.",
    )
    parser.add_argument(
        "--out",
        type=_new_folder,
        required=True,
        metavar="FOLDER",
        help="Where to write them; must be new or empty.",
    )
    parser.add_argument(
        "--ckpt_path",
        type=Path,
        help="Checkpoint of eMotion-GAN, whose G_W draws the faces; default: none, the pictures "
        "are only moved along the flow.",
    )
    options, fit = parser.parse_known_args(list(args))
    options.fit = fit
    if options.ckpt_path is not None and not options.ckpt_path.is_file():
        raise CommandError(no_export(options.ckpt_path))
    return options


def _names(text: str) -> list[str]:
    if names := list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip())):
        return names
    raise argparse.ArgumentTypeError("must name an expression, e.g. fear,disgust")


def _folder(text: str) -> Path:
    if (folder := Path(text).expanduser()).is_dir():
        return folder
    raise argparse.ArgumentTypeError(f"must be a folder of neutral faces, but {text!r} is none")


def _new_folder(text: str) -> Path:
    folder = Path(text).expanduser()
    if folder.name and (not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))):
        return folder
    raise argparse.ArgumentTypeError(f"must be a new or empty folder, but {text!r} is in the way")

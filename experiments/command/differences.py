"""What a command line changes of its experiment, for the names of W&B runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.command.privacy import is_path
from experiments.command.usage import config_files

_SECTIONS = ("model", "data", "trainer")
# What says where a run is, and not what it computes.
_ELSEWHERE = (
    *("fold", "seed", "num_workers", "on_device"),
    *("accelerator", "devices", "num_nodes", "strategy", "enable_progress_bar", "logger"),
)
_LONGEST = 24
_CLASS = re.compile(r"[A-Za-z_]\w*(\.\w+)+")


def differences(args: Sequence[str]) -> list[str]:
    """Name what a command line of `fit` changes of its experiment.

    Values of `model`, `data` and `trainer` alone, which W&B has in the config too: no path and
    nothing that may hold one, no reference to the environment.

    Args:
        args: The command line.

    Returns:
        Names of the config files behind the first, without folder and suffix, then such as
        `lr=0.1`; not the fold and the seed.
    """
    return [*(Path(file).stem for file in config_files(args)[1:]), *_values(args)]


def _values(args: Sequence[str]) -> Iterator[str]:
    for place, argument in enumerate(args):
        key, equals, value = argument.partition("=")
        section, *path = key.removeprefix("--").split(".")
        if not key.startswith("--") or section not in _SECTIONS or not path:
            continue
        if not equals:
            value = args[place + 1] if place + 1 < len(args) else ""
        name = ".".join(part for part in path if part != "init_args")
        if _CLASS.fullmatch(value):
            value = value.rsplit(".", 1)[-1]
        said = 0 < len(value) <= _LONGEST and "$" not in value and not value.startswith("--")
        if said and path[-1] not in _ELSEWHERE and not is_path(path[-1], value):
            yield f"{name}={value}"

"""Names of W&B runs: method, data, what a command line changes of its experiment, fold, seed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.command.privacy import is_path
from experiments.command.signatures import class_name
from experiments.command.usage import config_files
from experiments.jobs.context import StepContext

_SECTIONS = ("model", "data", "trainer")
# What says where a run is, and not what it computes.
_ELSEWHERE = (
    *("fold", "seed", "num_workers", "on_device"),
    *("accelerator", "devices", "num_nodes", "strategy", "enable_progress_bar", "logger"),
)
_LONGEST = 24
_CLASS = re.compile(r"[A-Za-z_]\w*(\.\w+)+")


def name_run(
    config: Mapping[str, Any], args: Sequence[str], step: StepContext | None
) -> tuple[str, list[str]]:
    """Name a run, so that what differs from others of its method and data can be read.

    Args:
        config: The resolved config, plain values.
        args: The command line.
        step: The step that the run is, if it is one; those of a transfer have folders that say of
            which data sets.

    Returns:
        The name, and tags: the method, the data, its classes, and `synthetic` for drawn faces.
    """
    method = class_name(config["model"])
    data = class_name(config["data"]).removesuffix("DataModule")
    arguments = config["data"].get("init_args", {})
    parts = [method, data, *differences(args)]
    if step is not None and step.job.startswith("transfer"):
        parts.append(Path(step.folder).name)
    elif isinstance(fold := arguments.get("fold"), int):
        parts.append(f"f{fold:02d}")
    source = "synthetic" if arguments.get("root") is None else None
    tags = [method, data, arguments.get("expressions"), source]
    name = "-".join([*parts, f"s{config['seed_everything']}"])
    return name, [tag for tag in tags if tag]


def differences(args: Sequence[str]) -> list[str]:
    """Name what a command line of `fit` changes of its experiment.

    Values of `model`, `data` and `trainer` alone, which W&B has in the config too: no path and
    nothing that may hold one, no reference to the environment.

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

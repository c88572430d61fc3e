"""The files that a person runs, and which of them belong together; all read from the files."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from pydoc import locate
from typing import Any

import yaml

from datamodules.base import FERDataModule
from experiments.command.parsing import class_parameters
from experiments.command.usage import PACKAGE

EXPERIMENTS = sorted(PACKAGE.glob("[!_]*.yaml"))
OVERLAYS = sorted([*PACKAGE.glob("presets/*.yaml"), *PACKAGE.glob("data/*.yaml")])

parameters = cache(class_parameters)


@cache
def content(path: Path) -> dict[str, Any]:
    """The values of a config file."""
    return yaml.safe_load(path.read_text("utf-8"))


def belongs(overlay: Path, experiment: Path) -> bool:
    """Whether an overlay's data are of the experiment's kind, and its classes take its values."""
    given, base = content(overlay), content(experiment)
    for part in ("model", "data"):
        node = given.get(part, {})
        class_path = node.get("class_path", base[part]["class_path"])
        if kind(class_path) != kind(base[part]["class_path"]):
            return False
        if not node.get("init_args", {}).keys() <= parameters(class_path):
            return False
    return True


def kind(class_path: str) -> object:
    """The class that all data sets of one kind have in common; a method stands for itself."""
    bases = locate(class_path).__mro__  # type: ignore[union-attr]
    return bases[bases.index(FERDataModule) - 1] if FERDataModule in bases else bases[0]

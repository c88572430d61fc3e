"""Packages whose classes are imported when they are asked for: torch and Lightning take seconds."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any


def lazy(package: str, file: str) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a package, which imports a class when it is asked for.

    Args:
        package: Its name.
        file: Its ``__init__.py``, which holds ``if TYPE_CHECKING:`` with the imports.
    """

    @cache
    def modules() -> dict[str, str]:
        nodes = ast.walk(ast.parse(Path(file).read_text("utf-8")))
        imports = (node for node in nodes if isinstance(node, ast.ImportFrom))
        return {
            alias.name: node.module
            for node in imports
            for alias in node.names
            if node.module and node.module.startswith(f"{package}.")
        }

    def find(name: str) -> Any:
        if name not in modules():
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        return getattr(import_module(modules()[name]), name)

    return find


def load(package: ModuleType) -> None:
    """Import all classes of a package, so that they are found by their names alone."""
    for name in package.__all__:
        getattr(package, name)

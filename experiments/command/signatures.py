"""What the source of a class says of it, read without importing it."""

from __future__ import annotations

import ast
import importlib.util
import re
import textwrap
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple


class ClassSource(NamedTuple):
    """A class as its file shows it.

    Attributes:
        module: Full name of the module that defines it.
        node: Its definition.
    """

    module: str
    node: ast.ClassDef

    def method(self, name: str) -> ast.FunctionDef | None:
        """Return the definition of a method; None where the class has none of its own."""
        found = (n for n in self.node.body if isinstance(n, ast.FunctionDef) and n.name == name)
        return next(found, None)

    def bases(self) -> list[ClassSource | None]:
        """Find the base classes; None for each whose source was not found."""
        names = [base.id if isinstance(base, ast.Name) else "" for base in self.node.bases]
        return [find_class(f"{self.module}.{name}") if name else None for name in names]

    def parameters(self) -> set[str] | None:
        """List what the class can be made with, what it hands on to its bases included.

        Returns:
            The names, perhaps with some that it sets itself; None where the source does not tell.
        """
        init = self.method("__init__")
        own = set() if init is None else set(argument_names(init))
        if init is None:
            if self.node.decorator_list or not self.node.bases:
                return None
        elif init.args.vararg is not None:
            return None
        elif init.args.kwarg is None:
            return own
        elif not _only_handed_on(init, init.args.kwarg.arg):
            return None
        inherited = [None if base is None else base.parameters() for base in self.bases()]
        if None in inherited:
            return None
        return own.union(*(names for names in inherited if names is not None))

    def documentation(self) -> dict[str, str]:
        """Return the first sentence on each parameter, in the order of the docstrings.

        Returns:
            Those that the class hands on to its bases come after its own.
        """
        init = self.method("__init__")
        found = _documented_arguments(ast.get_docstring(self.node) or "")
        if init is not None:
            found |= _documented_arguments(ast.get_docstring(init) or "")
        if init is None or init.args.kwarg is not None:
            for base in self.bases():
                inherited = {} if base is None else base.documentation()
                found |= {name: inherited[name] for name in inherited if name not in found}
        return found

    def defaults(self) -> dict[str, Any]:
        """Return the literal defaults of what the class can be made with, its bases' included."""
        found: dict[str, Any] = {}
        for base in reversed(self.bases()):
            found |= {} if base is None else base.defaults()
        init = self.method("__init__")
        if init is None:
            return found
        names, values = argument_names(init), init.args.defaults
        pairs = [
            *zip(names[: len(names) - len(init.args.kwonlyargs)][::-1], values[::-1], strict=False),
            *zip((a.arg for a in init.args.kwonlyargs), init.args.kw_defaults, strict=True),
        ]
        for name, value in pairs:
            try:
                found[name] = ast.literal_eval(value)  # type: ignore[arg-type]
            except (ValueError, TypeError):  # computed, or none
                continue
        return found

    def constant(self, name: str) -> Any:
        """Return a literal attribute of the class or of its bases; None where there is none."""
        for node in self.node.body:
            if isinstance(node, ast.AnnAssign) and node.value is not None:
                targets: list[ast.expr] = [node.target]
                value = node.value
            elif isinstance(node, ast.Assign):
                targets, value = node.targets, node.value
            else:
                continue
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                try:
                    return ast.literal_eval(value)
                except ValueError:
                    return None
        found = (base.constant(name) for base in self.bases() if base is not None)
        return next((value for value in found if value is not None), None)


def class_name(node: Any) -> str:
    """Name the class of a node of a config, or of a class path."""
    path = node if isinstance(node, str) else node["class_path"]
    return str(path).rsplit(".", 1)[-1]


def find_class(class_path: str) -> ClassSource | None:
    """Find the source of a class.

    Args:
        class_path: Such as `datamodules.RAFDBDataModule`; packages may import it from where it is.

    Returns:
        Its source; None where none was found, which does not say that there is no such class.
    """
    module, _, name = class_path.rpartition(".")
    for node in _statements(module):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return ClassSource(module, node)
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return find_class(f"{node.module}.{alias.name}")
    return None


def argument_names(function: ast.FunctionDef) -> list[str]:
    """List the arguments of a method but `self`, `*args` and `**kwargs`."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [argument.arg for argument in every[1:]]


def calls(node: ast.AST, *methods: str) -> Iterator[ast.Call]:
    """Walk over the calls of methods of some names."""
    for call in ast.walk(node):
        if (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr in methods
        ):
            yield call


def strings(nodes: Iterable[ast.AST]) -> list[str]:
    """Keep the literal strings among expressions."""
    return [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def _documented_arguments(docstring: str) -> dict[str, str]:
    """Read the section `Args:` of a docstring: the first sentence on each argument."""
    section = re.search(r"^Args:\n((?:[ ]+.*\n?|\n)+)", docstring, re.M)
    lines = textwrap.dedent(section.group(1)) if section else ""
    found = re.findall(r"^(\w+): *\n?((?:.*\n?)(?:[ ]+.*\n?|\n)*)", lines, re.M)
    return {name: _first_sentence(text) for name, text in found}


def _first_sentence(text: str) -> str:
    """Cut a text after its first sentence, without the marks of the documentation."""
    plain = re.sub(r"(?::\w+:)?`+~?([^`]*)`+", r"\1", " ".join(text.split()))
    return re.split(r"(?<=\.)(?<!e\.g\.)\s", plain)[0]


@cache
def _only_handed_on(init: ast.FunctionDef, kwargs: str) -> bool:
    """Tell whether `**kwargs` goes to the `__init__` of the bases and nowhere else."""
    uses = sum(isinstance(node, ast.Name) and node.id == kwargs for node in ast.walk(init))
    handed = [
        keyword
        for call in calls(init, "__init__")
        if ast.unparse(call.func) == "super().__init__"
        for keyword in call.keywords
        if keyword.arg is None and ast.unparse(keyword.value) == kwargs
    ]
    return uses == len(handed) > 0


@cache
def _statements(module: str) -> list[ast.stmt]:
    """List the statements of a module, with those under its `if`s, e.g. `if TYPE_CHECKING`."""
    tree = _parse(module)
    body = [] if tree is None else tree.body
    return [inner for node in body for inner in (node.body if isinstance(node, ast.If) else [node])]


def _parse(name: str) -> ast.Module | None:
    """Parse a module of the project or of an installed package; None where it has no source."""
    package, *parts = name.split(".")
    try:
        # Without dots: for a module within a package it would import the package.
        spec = importlib.util.find_spec(package)
        bases = [Path(root, *parts) for root in (spec and spec.submodule_search_locations) or ()]
        files = [file for base in bases for file in (base / "__init__.py", base.with_suffix(".py"))]
        if spec is not None and not bases and not parts:
            files = [Path(spec.origin or "")]
        for path in files:
            if path.is_file():
                return ast.parse(path.read_text("utf-8"))
    except (ImportError, OSError, SyntaxError, ValueError):
        return None  # whoever imports it hears of it
    return None

"""The pages that mkdocs gets from sources: README, a page a method, a page a data set, commands."""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from experiments.cli import main  # noqa: E402
from experiments.command.help import command_help, help_text  # noqa: E402
from experiments.command.signatures import ClassSource, find_class  # noqa: E402
from experiments.command.usage import COMMANDS, OWN_COMMANDS  # noqa: E402

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

_NETWORKS = "lightning_modules.networks."
_COPIES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}


@cache
def pages() -> dict[str, str]:
    """Return the Markdown of all generated pages by their paths."""
    found = {
        page: (ROOT / file).read_text("utf-8").replace("](docs/", "](")  # pictures
        for file, page in _COPIES.items()
    }
    found["commands.md"] = _commands()
    shown: set[str] = set()
    for folder, package in (("methods", "lightning_modules"), ("data", "datamodules")):
        for name, source in _classes(package).items():
            found[f"{folder}/{name}.md"] = _class_page(package, name, source, shown)
    return found


def on_config(config: MkDocsConfig) -> None:
    """List the pages of methods and data sets below their heads."""
    for head, folder in (("Methods", "methods"), ("Data sets", "data")):
        listed = [page for page in pages() if page.startswith(f"{folder}/")]
        config.nav.append({head: listed})
    config.nav.append({"Project": ["contributing.md", "changelog.md"]})


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the generated pages."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))


def on_page_content(html: str, **kwargs: Any) -> str:
    """Show the roles of Sphinx, which our docstrings have, as code."""
    return re.sub(r":(?:class|meth|func|mod|attr):<code>~?(.*?)</code>", r"<code>\1</code>", html)


def _classes(package: str) -> dict[str, ClassSource]:
    """Find the methods or data modules of a package, by what its ``__all__`` names."""
    tree = ast.parse((ROOT / package / "__init__.py").read_text("utf-8"))
    lists = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    found = {name: find_class(f"{package}.{name}") for name in ast.literal_eval(lists[0])}
    shown = {name: source for name, source in found.items() if source is not None}
    if package == "datamodules":  # it has what is no data set, too
        return {name: source for name, source in shown.items() if source.constant("tree")}
    return shown


def _imports(module: str, package: str) -> list[str]:
    """List what a module imports from another package."""
    tree = ast.parse((ROOT / module.replace(".", "/")).with_suffix(".py").read_text("utf-8"))
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return [
        f"{node.module}.{alias.name}"
        for node in froms
        if (node.module or "").startswith(package)
        for alias in node.names
    ]


def _commands() -> str:
    shown = {"lightning --help": help_text()}
    for name in COMMANDS:
        own = name in OWN_COMMANDS
        shown[f"lightning {name} --help"] = _said(name) if own else command_help(name, [])
    shown["lightning predict --onnx FILE --help"] = _said("predict", "--onnx", "FILE")
    parts = [f"## `{command}`\n\n```text\n{text}\n```\n" for command, text in shown.items()]
    return "\n".join(["# Commands\n", *parts])


def _said(*command: str) -> str:
    """Ask a command for its help, whose lines are as long as here on every terminal."""
    said = io.StringIO()
    os.environ["COLUMNS"] = "88"
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        main([*command, "--help"])
    return said.getvalue().strip()


def _class_page(package: str, name: str, source: ClassSource, shown: set[str]) -> str:
    """Write the page of a class.

    Args:
        package: Where users import it from.
        name: Of the class.
        source: Its source.
        shown: Networks that stand on pages before; the page links to them, and its own are added.
    """
    title = source.constant("name") or name
    lines = [f"# {title}\n", f"::: {source.module}.{name}\n"]
    if (tree := source.constant("tree")) and (origin := source.constant("origin")):
        lines += [f"## Layout\n\n```text\n{tree.strip()}\n```\n", f"It comes from {origin}.\n"]
    if networks := [path for path in _imports(source.module, _NETWORKS) if find_class(path)]:
        lines.append("## Networks\n")
    for path in networks:
        if path in shown:
            lines.append(f"[`{path.rpartition('.')[2]}`][{path}], as in another method.\n")
        else:
            lines.append(f"::: {path}\n    options: {{heading_level: 3}}\n")
    shown.update(networks)
    part = "model" if package == "lightning_modules" else "data"
    for file in sorted((ROOT / "experiments").glob("**/*.yaml")):
        text = file.read_text("utf-8")
        chosen = (yaml.safe_load(text).get(part) or {}).get("class_path")
        if chosen == f"{package}.{name}":
            lines.append(f"## `{file.relative_to(ROOT)}`\n\n```yaml\n{text}```\n")
    return "\n".join(lines)

"""Imports point down only, read from the syntax trees."""

import ast
import sys
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# What a module below a folder may import from the project; the first folder that fits counts.
ALLOWED = {
    "losses": {"losses"},
    "datamodules": {"datamodules"},
    "lightning_modules/networks": {
        "losses",
        "lightning_modules.networks",
        "datamodules.batch",
        "datamodules.errors",
    },
    # Of data no more than what batches and labels mean, and the error of what a user gave.
    "lightning_modules": {
        "losses",
        "lightning_modules",
        "datamodules.batch",
        "datamodules.errors",
        "datamodules.labels",
        "datamodules.lazy",
        "datamodules.store.replacing",
    },
    # Callbacks see modules through Lightning's hooks only.
    "callbacks": {"losses", "datamodules", "callbacks"},
    "experiments": {"losses", "datamodules", "lightning_modules", "callbacks", "experiments"},
}
PACKAGES = {folder.split("/")[0] for folder in ALLOWED}


def imported(path: Path, root: Path) -> Iterator[str]:
    """Full names of the modules that a file imports, wherever in it."""
    package = path.relative_to(root).parent.parts
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            # `from package import module` imports the module, `from module import name` a name.
            for alias in node.names:
                name = f"{base}.{alias.name}"
                file = root / Path(*name.split("."))
                yield name if file.with_suffix(".py").exists() or file.is_dir() else base


def forbidden(path: Path, root: Path) -> list[str]:
    """Imports of a file from the project that its place does not allow."""
    place = path.relative_to(root).as_posix()
    allowed = next(names for folder, names in ALLOWED.items() if place.startswith(folder + "/"))
    return [
        name
        for name in imported(path, root)
        if name.split(".")[0] in PACKAGES
        and not any(name == above or name.startswith(above + ".") for above in allowed)
    ]


FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def test_there_is_something_to_check() -> None:
    assert len(FILES) > 10


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_point_down(path: Path) -> None:
    assert forbidden(path, ROOT) == []


def circle(paths: Iterable[Path], root: Path) -> list[str]:
    """Modules that import each other in a circle, empty where there is none."""
    modules = {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for path in paths
        if path.parent.parent != root or path.name != "__init__.py"  # those of packages are lazy
    }
    graph = {name: {*imported(path, root)} & {*modules} for name, path in modules.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circle(FILES, ROOT) == []


def test_a_circle_is_found(tmp_path: Path) -> None:
    files = {"a": "from losses.b import f", "b": "import losses.c", "c": "from losses import a"}
    paths = [tmp_path / "losses" / f"{name}.py" for name in files]
    paths[0].parent.mkdir()
    for path in paths:
        path.write_text(files[path.stem])
    assert set(circle(paths, tmp_path)) == {"losses.a", "losses.b", "losses.c"}
    assert circle(paths[:2], tmp_path) == []


def test_a_circle_through_what_a_folder_gives_on_is_found(tmp_path: Path) -> None:
    files = {"__init__": "from losses.a.b import f", "b": "from losses.a import g"}
    paths = [tmp_path / "losses" / "a" / f"{name}.py" for name in files]
    paths[0].parent.mkdir(parents=True)
    for path in paths:
        path.write_text(files[path.stem])
    assert set(circle(paths, tmp_path)) == {"losses.a", "losses.a.b"}


@pytest.mark.parametrize("path", sorted((ROOT / "losses").glob("*.py")), ids=lambda path: path.stem)
def test_losses_stand_on_torch_and_kornia_alone(path: Path) -> None:
    roots = {name.split(".")[0] for name in imported(path, ROOT)}
    assert roots <= {"losses", "torch", "kornia", *sys.stdlib_module_names}


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "lightning_modules" / "networks").glob("*.py")),
    ids=lambda path: path.stem,
)
def test_networks_know_no_lightning(path: Path) -> None:
    assert "lightning" not in {name.split(".")[0] for name in imported(path, ROOT)}


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "datamodules").rglob("*.py")),
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_data_draw_no_figures(path: Path) -> None:
    assert "matplotlib" not in {name.split(".")[0] for name in imported(path, ROOT)}


@pytest.mark.parametrize(
    ("place", "line", "found"),
    [
        ("losses/flow.py", "import datamodules.flow", ["datamodules.flow"]),
        ("losses/flow.py", "from losses.ssim import f\nimport torch", []),
        ("datamodules/base.py", "def f():\n    from callbacks import g", ["callbacks"]),
        ("datamodules/base.py", "from . import flow", []),
        ("lightning_modules/gan.py", "from datamodules.batch import FlowBatch", []),
        ("lightning_modules/gan.py", "from datamodules import batch", []),
        ("lightning_modules/gan.py", "from datamodules.flow import f", ["datamodules.flow"]),
        ("lightning_modules/networks/a.py", "from ..gan import G", ["lightning_modules.gan"]),
        ("callbacks/a.py", "from lightning_modules import gan", ["lightning_modules.gan"]),
        ("callbacks/a.py", "import lightning.pytorch", []),
        ("experiments/cli.py", "import callbacks, datamodules.flow", []),
    ],
)
def test_the_check_finds_what_it_should(
    tmp_path: Path, place: str, line: str, found: list[str]
) -> None:
    for name in ("losses/flow.py", "datamodules/batch.py", "lightning_modules/gan.py", place):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / place).write_text(line)
    assert forbidden(tmp_path / place, tmp_path) == found

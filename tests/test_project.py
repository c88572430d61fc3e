"""What stands beside the packages: documentation, Dockerfile, notebook, hooks."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import datamodules
import lightning_modules
from experiments.command.errors import CommandError
from experiments.command.precheck import check
from experiments.command.usage import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pages", ROOT / "docs" / "pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_method_and_data_set_has_a_page(pages: ModuleType) -> None:
    made = pages.pages()
    for name in lightning_modules.__all__:
        page = made[f"methods/{name}.md"]
        assert f".{name}\n" in page
        assert "\n## `experiments/" in page  # at least one config that runs it
    assert "::: lightning_modules.networks.pcnn.PCNNNetwork" in made["methods/PCNN.md"]
    sets = {name for name in datamodules.__all__ if name != "Augmentation"}
    assert {path for path in made if path.startswith("data/")} == {f"data/{n}.md" for n in sets}
    assert all("## Layout" in made[f"data/{name}.md"] for name in sets)
    assert "basic/EmoLabel" in made["data/RAFDBDataModule.md"]


def test_the_pages_of_the_navigation_are_there(pages: ModuleType) -> None:
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    made = pages.pages()
    for entry in config["nav"]:
        for page in entry.values():
            assert page in made or (ROOT / "docs" / page).is_file(), page
    assert all((ROOT / hook).is_file() for hook in config["hooks"])


def test_pages_show_pictures_that_are_there_and_a_class_once(pages: ModuleType) -> None:
    made = pages.pages()
    pictures = re.findall(r"!\[[^\]]*\]\((\S+)\)", made["index.md"])
    assert pictures
    assert [name for name in pictures if not (ROOT / "docs" / name).is_file()] == []
    classes = [name for page in made.values() for name in re.findall(r"^::: (\S+)", page, re.M)]
    assert len(classes) == len(set(classes))


def test_every_command_is_documented(pages: ModuleType) -> None:
    page = pages.pages()["commands.md"]
    for command in COMMANDS:
        said = page.split(f"## `lightning {command} --help`")[1].split("\n## ")[0]
        assert f"usage: lightning {command}" in said
    assert "--onnx FILE" in page.split("## `lightning predict --onnx FILE --help`")[1]


def commands(text: str) -> list[list[str]]:
    """The `lightning` commands of the blocks of a text."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.S | re.M)
    typed = "\n".join(block for language, block in blocks if language in ("", "bash"))
    lines = typed.replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("lightning ")]


@pytest.mark.parametrize("file", ["docs/your_own_data.md", "README.md"])
def test_documented_commands_are_right(file: str) -> None:
    found = commands((ROOT / file).read_text("utf-8"))
    assert len(found) >= 3
    for args in found:
        said = refusal(args)
        # Nobody has the data and the runs of an example.
        assert said is None or re.search("was not found|checkpoint .* does not exist", said), said
    assert "no key trainer.max_epoch" in (refusal([*found[0], "--trainer.max_epoch=1"]) or "")


def refusal(args: list[str]) -> str | None:
    """What is said of a command line, None where nothing is."""
    try:
        check(args)
    except CommandError as error:
        return str(error)
    return None


def test_what_the_image_is_built_from_is_there() -> None:
    steps = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text("utf-8")).splitlines()
    copied = [step.split()[1:-1] for step in steps if step.startswith("COPY ")]
    assert all((ROOT / source).exists() for sources in copied for source in sources)
    installs = [part for step in steps for part in step.split("&&") if " pip install" in f" {part}"]
    assert installs
    assert all("-c constraints.txt" in install for install in installs)
    python = next(step for step in steps if step.startswith("FROM python:")).split(":")[1]
    assert python.startswith("3.11")  # the version that constraints.txt was tested with
    place = [step.split()[1] for step in steps if step.startswith("WORKDIR ")][-1]
    assert f"RUN chmod a+rwx {place}" in steps  # any --user writes its cache there


def test_hooks_run_the_checks_of_the_makefile() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    entries = [hook["entry"].split() for repo in config["repos"] for hook in repo["hooks"]]
    assert {tool for tool, *_ in entries} == {"make"}
    checked = re.search(r"^check: (.*?)  ##", MAKEFILE, re.M)
    assert checked is not None
    assert sorted(verb for _, *verbs in entries for verb in verbs) == sorted(
        checked.group(1).split()
    )


def test_the_notebook_runs_the_demo_and_holds_no_output() -> None:
    notebook = json.loads((ROOT / "notebooks" / "demo.ipynb").read_text("utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    sources = ["".join(cell["source"]) for cell in code]
    names: dict[str, object] = {}
    exec(sources[0], names)  # the imports and the experiment
    experiment = [arg for arg in names["EXPERIMENT"] if arg.startswith("--config")]  # type: ignore[attr-defined]
    assert " ".join(arg.replace("=", " ") for arg in experiment) in MAKEFILE
    called = [
        ast.literal_eval(node.args[0].elts[0])  # type: ignore[attr-defined]
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "main"
    ]
    assert called == ["fit", "test"]
    check(["fit", *names["EXPERIMENT"], *names["OVERRIDES"]])  # type: ignore[misc]

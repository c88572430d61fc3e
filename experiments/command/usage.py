"""jsonargparse's nested messages, said in one sentence with a close match."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from pathlib import Path

import lightning.pytorch as pl
import yaml

from experiments.command.config_files import class_parameters
from experiments.command.errors import CommandError, close_match, usage_error

_BASES = (pl.Callback, pl.LightningModule, pl.LightningDataModule)


def explain_usage(message: str, args: Sequence[str], keys: Sequence[str]) -> CommandError:
    """Turn a parsing error into one sentence.

    Args:
        message: What jsonargparse says.
        args: The command line.
        keys: Every key that the command knows, e.g. `trainer.max_epochs`.

    Returns:
        The error to raise, with exit code 2.
    """
    for pattern, say in (
        (r"unrecognized arguments: (\S+)", _unknown_key),
        (r"does not accept option '([^']+)'", _unknown_key),
        (r"Problem with given class_path '([^']+)':\s+Option '([^']+)' is not accepted", _option),
        (r"Parser key \"config\": File does not exist: '([^']+)'", _no_config),
        (r"module '(\S+)' has no attribute '(\w+)'", _no_class),
        (r"No module named '([^']+)'", _no_module),
        (r"Expected a dot import path string: (\S+)", _no_class_path),
        (r"the following arguments are required: (.+)", _required),
        (r"argument subcommand: invalid choice: '([^']*)'", _subcommand),
    ):
        found = re.search(pattern, message)
        if found:
            return usage_error(say(found, keys))
    if "Problems parsing config" in message:
        return usage_error(_broken_yaml(args))
    return usage_error(_wrong_value(message))


def _unknown_key(found: re.Match[str], keys: Sequence[str]) -> str:
    key = found.group(1).split("=")[0].lstrip("-")
    # `modle.class_path`: the part that is wrong comes first.
    head = key.split(".")[0]
    if head not in {known.split(".")[0] for known in keys}:
        return f"There is no key {key}{close_match(head, {k.split('.')[0] for k in keys})}"
    return f"There is no key {key}{close_match(key, keys)}"


def _option(found: re.Match[str], keys: Sequence[str]) -> str:
    path, option = found.groups()
    name = path.rsplit(".", 1)[-1]
    return f"{name} takes no {option}{close_match(option.split('.')[0], class_parameters(path))}"


def _no_config(found: re.Match[str], keys: Sequence[str]) -> str:
    path = Path(found.group(1))
    folder = path.parent
    there = {str(file) for file in folder.glob("*.y*ml")} if folder.is_dir() else set()
    return f"The config file {path} does not exist{close_match(str(path), there)}"


def _no_class(found: re.Match[str], keys: Sequence[str]) -> str:
    module, name = found.groups()
    return f"{module} has no class {name}{close_match(name, dir(importlib.import_module(module)))}"


def _no_class_path(found: re.Match[str], keys: Sequence[str]) -> str:
    known = [c.__name__ for base in _BASES for c in _subclasses(base)]
    return f"There is no class {found.group(1)}{close_match(found.group(1), known)}"


def _subclasses(base: type) -> list[type]:
    below: list[type] = base.__subclasses__()
    return [*below, *(deeper for sub in below for deeper in _subclasses(sub))]


def _no_module(found: re.Match[str], keys: Sequence[str]) -> str:
    return f"There is no module {found.group(1)} to take a class from"


def _required(found: re.Match[str], keys: Sequence[str]) -> str:
    return (
        f"The command names no {' and no '.join(re.findall(r'(model|data)', found.group(1)))}: "
        "give an experiment, e.g. --config experiments/emotion_gan.yaml"
    )


def _subcommand(found: re.Match[str], keys: Sequence[str]) -> str:
    verbs = ("fit", "validate", "test", "predict", "crossval", "compare", "transfer", "export")
    return f"There is no command {found.group(1)!r}; give one of {', '.join(verbs)}"


def _broken_yaml(args: Sequence[str]) -> str:
    for path in config_files(args):
        try:
            yaml.safe_load(Path(path).read_text("utf-8"))
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            line = f", line {mark.line + 1}" if mark else ""
            return f"{path}{line} is not valid YAML: {error.problem or error.context}"
        except (OSError, UnicodeDecodeError) as error:
            return f"{path} cannot be read: {error}"
    return "A config given on the command line is not valid YAML"


def _wrong_value(message: str) -> str:
    keys = re.findall(r'Parser key "([^"]+)"', message)
    wanted = re.findall(
        r"Expected (?:a|one of:?|an?) ?(.+?)(?:\. Got value: (.+))?$", message, re.M
    )
    types = [_type_name(text) for text, _ in wanted if "NoneType" not in text]
    given = next((value for _, value in wanted if value), None)
    if given is None:
        found = re.search(r"Given value: (.+)$", message, re.M)
        given = found.group(1) if found else None
    key = ".".join(dict.fromkeys(keys))
    if not (key and types and given):
        return " ".join(message.split())
    return f"{key} must be {' or '.join(dict.fromkeys(types))}, but {given} was given"


def _type_name(text: str) -> str:
    names = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text"}
    if choices := re.fullmatch(r"(?:typing\.)?Literal\[(.+)\]", text.strip()):
        return " or ".join(choice.strip(" '") for choice in choices.group(1).split(","))
    found = re.fullmatch(r"<class '([\w.]+)'>", text.strip())
    name = found.group(1) if found else text.strip()
    return names.get(name, name)


def config_files(args: Sequence[str]) -> list[str]:
    """List the config files that a command line names, in order."""
    files = []
    for i, arg in enumerate(args):
        if arg in ("-c", "--config") and i + 1 < len(args):
            files.append(args[i + 1])
        elif arg.startswith("--config="):
            files.append(arg.split("=", 1)[1])
    return files

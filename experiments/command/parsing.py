"""jsonargparse's config files, which add up here, and its errors, in one sentence each."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from pydoc import locate
from typing import Any, Union, get_args, get_origin

import jsonargparse
import lightning.pytorch as pl
from jsonargparse import ArgumentParser, Namespace

from experiments.command.config_file import check_section, read_config
from experiments.command.errors import CommandError, close_match, usage_error
from experiments.command.signatures import class_name
from experiments.command.usage import (
    no_config_file,
    nothing_to_run,
    unknown_command,
    unknown_key,
    unknown_option,
)

_BASES = (pl.Callback, pl.LightningModule, pl.LightningDataModule)


class AddingConfigFile(jsonargparse.ActionConfigFile):  # type: ignore[name-defined,misc]
    """A `--config` that adds to the config files before it where jsonargparse would take away.

    Mappings of later files merge, but lists replace each other: an overlay with one more callback
    would take away all that the experiment brought. Here a callback of the same class is replaced
    and any other one added. An overlay with other data keeps the arguments of the former that the
    new class takes, except interpolations, since `${seed_everything}` is no number: without them
    data would fall back to a seed of their own. Here they are kept too.
    """

    @staticmethod
    def apply_config(parser: ArgumentParser, cfg: Namespace, dest: str, value: str) -> None:
        """Merge one config file into what was read so far."""
        before = _as_list(cfg.get("trainer.callbacks"))
        linked = _interpolations(cfg.get("data"))
        if "\n" not in value and "{" not in value:  # what is no text of a config is a path
            sections = {a.dest.split(".")[0] for a in parser._actions if "." in a.dest}
            for key, content in read_config(value).items():
                if key in sections:
                    check_section(key, content)
        jsonargparse.ActionConfigFile.apply_config(  # type: ignore[attr-defined]
            parser, cfg, dest, value
        )
        lost = linked.keys() - (cfg.get("data.init_args") or {}).keys()
        for name in sorted(lost & class_parameters(cfg["data.class_path"]) if lost else ()):
            cfg[f"data.init_args.{name}"] = linked[name]
        if before:
            after = _as_list(cfg.get("trainer.callbacks"))
            # What the file itself appended by `callbacks+` already begins with the earlier list.
            classes = {class_name(callback) for callback in after}
            kept = [callback for callback in before if class_name(callback) not in classes]
            cfg["trainer.callbacks"] = [*kept, *after]


def whole_first(parser: ArgumentParser) -> None:
    """Read `1` as a whole number where a fraction may stand too.

    To a trainer 1 is one batch and 1.0 is all of them. Python gives out the same object for
    `Union[int, float]` and `Union[float, int]`, and so the order of imports would decide which of
    them an argument is parsed as.
    """
    for action in parser._actions:
        kinds = get_args(kind := getattr(action, "_typehint", None))
        if get_origin(kind) is Union and {int, float} <= {*kinds}:
            ordered = tuple(sorted(kinds, key=lambda one: one is not int))
            action._typehint = Union[ordered]  # type: ignore[attr-defined]  # noqa: UP007


def _interpolations(data: Namespace | None) -> dict[str, str]:
    arguments = (data and data.get("init_args")) or {}
    return {k: v for k, v in arguments.items() if isinstance(v, str) and v.startswith("${")}


def _as_list(callbacks: Any) -> list[Any]:
    return callbacks if isinstance(callbacks, list) else [callbacks] if callbacks else []


def class_parameters(class_path: str) -> set[str]:
    """Name the parameters of a class, its bases' included; none where there is no such class."""
    found = locate(class_path)
    return set(ArgumentParser().add_class_arguments(found)) if isinstance(found, type) else set()


def explain_usage(message: str, keys: Sequence[str]) -> CommandError:
    """Turn a parsing error into one sentence, with exit code 2.

    Args:
        message: What jsonargparse says.
        keys: Every key that the command knows, e.g. `trainer.max_epochs`.
    """

    def key(given: str) -> str:
        return unknown_key(given.split("=")[0].lstrip("-"), keys)

    patterns: dict[str, Callable[..., str]] = {
        r"unrecognized arguments: (\S+)": key,
        r"does not accept option '([^']+)'": key,
        r"Problem with given class_path '([^']+)':\s+Option '([^']+)' is not accepted": (
            lambda path, option: unknown_option(path, option, class_parameters(path))
        ),
        r"Parser key \"config\": File does not exist: '([^']+)'": (
            lambda path: no_config_file(Path(path))
        ),
        r"module '(\S+)' has no attribute '(\w+)'": _no_class,
        r"No module named '([^']+)'": "There is no module {} to take a class from".format,
        r"Expected a dot import path string: (\S+)": _no_class_path,
        r"the following arguments are required: (.+)": (
            lambda names: nothing_to_run(part for part in ("model", "data") if part in names)
        ),
        r"argument subcommand: invalid choice: '([^']*)'": unknown_command,
    }
    for pattern, say in patterns.items():
        if found := re.search(pattern, message):
            return usage_error(say(*found.groups()))
    if "Problems parsing config" in message:
        return usage_error("A config given on the command line is not valid YAML")
    return usage_error(_wrong_value(message))


def _no_class(module: str, name: str) -> str:
    return f"{module} has no class {name}{close_match(name, dir(importlib.import_module(module)))}"


def _no_class_path(name: str) -> str:
    known = [c.__name__ for base in _BASES for c in _subclasses(base)]
    return f"There is no class {name}{close_match(name, known)}"


def _subclasses(base: type) -> list[type]:
    below: list[type] = base.__subclasses__()
    return [*below, *(deeper for sub in below for deeper in _subclasses(sub))]


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
    names = {
        "int": "a whole number",
        "float": "a number",
        "bool": "true or false",
        "str": "a text",
        "dict": "a mapping like {name: value}",
    }
    if choices := re.fullmatch(r"(?:typing\.)?Literal\[(.+)\]", text.strip()):
        return " or ".join(choice.strip(" '") for choice in choices.group(1).split(","))
    found = re.fullmatch(r"<class '([\w.]+)'>", text.strip())
    name = found.group(1) if found else text.strip()
    return names.get(name, name)

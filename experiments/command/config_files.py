"""How a command line and its config files are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from pydoc import locate
from typing import Any

import jsonargparse
from jsonargparse import ArgumentParser, Namespace

PACKAGE = Path(__file__).resolve().parents[1]
DEFAULTS = PACKAGE / "_defaults.yaml"


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
        jsonargparse.ActionConfigFile.apply_config(  # type: ignore[attr-defined]
            parser, cfg, dest, value
        )
        lost = linked.keys() - (cfg.get("data.init_args") or {}).keys()
        for name in sorted(lost & class_parameters(cfg["data.class_path"]) if lost else ()):
            cfg[f"data.init_args.{name}"] = linked[name]
        if before:
            after = _as_list(cfg.get("trainer.callbacks"))
            # What the file itself appended by `callbacks+` already begins with the earlier list.
            classes = {_class_name(callback) for callback in after}
            kept = [callback for callback in before if _class_name(callback) not in classes]
            cfg["trainer.callbacks"] = [*kept, *after]


def _interpolations(data: Namespace | None) -> dict[str, str]:
    arguments = (data and data.get("init_args")) or {}
    return {k: v for k, v in arguments.items() if isinstance(v, str) and v.startswith("${")}


def _as_list(callbacks: Any) -> list[Any]:
    return callbacks if isinstance(callbacks, list) else [callbacks] if callbacks else []


def _class_name(callback: Any) -> str:
    path = callback if isinstance(callback, str) else callback["class_path"]
    return str(path).rsplit(".", 1)[-1]


def class_parameters(class_path: str) -> set[str]:
    """List the parameters of a class, those that it hands on to its bases among them.

    Args:
        class_path: Such as `datamodules.RAFDBDataModule`.

    Returns:
        Their names; none where there is no such class.
    """
    found = locate(class_path)
    return set(ArgumentParser().add_class_arguments(found)) if isinstance(found, type) else set()


def translate(args: Sequence[str]) -> list[str]:
    """Translate what a person or a sweep writes into what the parser reads.

    Args:
        args: The command line.

    Returns:
        The same with `null` for Python's `None`, and with the config files of the installed
        package where `experiments/...` is not below the working directory.
    """
    translated = []
    for i, arg in enumerate(args):
        key, equals, value = arg.partition("=")
        if arg.startswith("--") and equals:
            translated.append(f"{key}={_value(value, is_config=key == '--config')}")
        elif i and args[i - 1].startswith("-") and "=" not in args[i - 1]:
            translated.append(_value(arg, is_config=args[i - 1] in ("-c", "--config")))
        else:
            translated.append(arg)
    return translated


def _value(value: str, *, is_config: bool) -> str:
    if is_config:
        packaged = PACKAGE.parent / value
        below = Path(value).parts[:1] == (PACKAGE.name,)
        return str(packaged) if below and not Path(value).exists() and packaged.exists() else value
    return "null" if value == "None" else value


def given_by_hand(args: Sequence[str], group: str) -> set[str]:
    """List the parameters of a class that the command line itself sets.

    Args:
        args: The command line.
        group: `model` or `data`.

    Returns:
        Names of parameters, e.g. `{"width"}` for `--model.width 8` or `--model.init_args.width=8`.
    """
    names = set()
    for arg in args:
        parts = arg.split("=", 1)[0].split(".")
        if parts[0] == f"--{group}" and len(parts) > 1:
            rest = parts[2:] if parts[1] == "init_args" else parts[1:]
            names.update(rest[:1])
    return {name.rstrip("+") for name in names}

"""How a command line is read, and what is said of a wrong one. Nothing here imports torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from experiments.command.errors import close_match

PACKAGE = Path(__file__).resolve().parents[1]
DEFAULTS = PACKAGE / "_defaults.yaml"
TRACEBACK = "FER_LIGHTNING_TRACEBACK"
"""Environment variable: where it is 1, every error is shown with its stack trace."""
COMMANDS = {
    "fit": "Train an experiment.",
    "validate": "Score a trained experiment on its validation part.",
    "test": "Score a trained experiment on its test part.",
    "predict": "Predict the expressions of pictures, videos or folders.",
    "crossval": "Cross-validate an experiment, every fold as processes of its own.",
    "study": "Fill a table of methods and data sets over folds and seeds.",
    "sweep": "Search for parameters by the accuracy on validation parts.",
    "compare": "Compare cross-validations on the same folds.",
    "report": "Write one page of studies and cross-validations.",
    "transfer": "Pretrain, train and test on every combination of some data sets.",
    "sync": "Send offline runs to Weights & Biases, each once.",
    "workspace": "Save a page in Weights & Biases that compares its runs.",
    "export": "Write a trained method as an ONNX file, checked against PyTorch.",
    "generate": "Put expressions of training people onto neutral faces.",
}
OWN_COMMANDS = {
    "crossval": "experiments.crossval.command",
    "study": "experiments.study.command",
    "sweep": "experiments.sweep.command",
    "compare": "experiments.compare",
    "report": "experiments.page.command",
    "transfer": "experiments.transfer.command",
    "sync": "experiments.sync",
    "workspace": "experiments.workspace",
    "export": "experiments.export",
    "generate": "experiments.generate",
}
"""Modules of the commands that are not Lightning's own."""
_SHORT = {"--every": "--data.every", "--smoothing": "--data.smoothing"}
_BY_NAME = ("--data.frontalized", "--model.judges")
"""Options that hold a path for each name, which may be given as NAME=PATH too."""
_NAMED = re.compile(r"[\w-]+=")
TRAINER = "lightning.pytorch.Trainer"
EXPERIMENT_CLI = "experiments.command.experiment.ExperimentCLI"
"""Classes whose arguments are the keys of Lightning's commands."""


def config_files(args: Sequence[str]) -> list[str]:
    """List the config files that a command line names, in order."""
    files = []
    for i, arg in enumerate(args):
        if arg in ("-c", "--config") and i + 1 < len(args):
            files.append(args[i + 1])
        elif arg.startswith("--config="):
            files.append(arg.split("=", 1)[1])
    return files


def translate(args: Sequence[str]) -> list[str]:
    """Translate what a person or a sweep writes into what the parser reads.

    Returns:
        The same with long names for short ones, with `null` for Python's `None`, with
        `--option.NAME=PATH` for `--option NAME=PATH`, and with the config files of the installed
        package where `experiments/...` is not below the working directory.
    """
    args = _join_names(args)
    translated = []
    for i, arg in enumerate(args):
        key, equals, value = arg.partition("=")
        if key in _SHORT:
            key, arg = _SHORT[key], arg.replace(key, _SHORT[key], 1)
        if arg.startswith("--") and equals:
            translated.append(f"{key}={_value(value, is_config=key == '--config')}")
        elif i and args[i - 1].startswith("-") and "=" not in args[i - 1]:
            translated.append(_value(arg, is_config=args[i - 1] in ("-c", "--config")))
        else:
            translated.append(arg)
    return translated


def _join_names(args: Sequence[str]) -> list[str]:
    joined: list[str] = []
    for arg in args:
        if joined and joined[-1] in _BY_NAME and _NAMED.match(arg):
            joined[-1] += f".{arg}"
            continue
        key, _, value = arg.partition("=")
        joined.append(f"{key}.{value}" if key in _BY_NAME and _NAMED.match(value) else arg)
    return joined


def _value(value: str, *, is_config: bool) -> str:
    if is_config:
        return find_packaged(value)
    return "null" if value == "None" else value


def predicts_by_onnx(args: Sequence[str]) -> bool:
    """Tell whether a command line is that of `predict --onnx`, which has options of its own."""
    return args[:1] == ["predict"] and any(arg.partition("=")[0] == "--onnx" for arg in args)


def find_packaged(file: str) -> str:
    """Return a file of the installed package where `experiments/...` is not below this folder."""
    packaged = PACKAGE.parent / file
    below = Path(file).parts[:1] == (PACKAGE.name,)
    return str(packaged) if below and not Path(file).exists() and packaged.exists() else file


def given_by_hand(args: Sequence[str], group: str) -> set[str]:
    """List the parameters of a class that the command line itself sets.

    Args:
        args: The command line, e.g. `--model.width 8` or `--model.init_args.width=8`.
        group: `model` or `data`.
    """
    names = set()
    for arg in args:
        parts = arg.split("=", 1)[0].split(".")
        if parts[0] == f"--{group}" and len(parts) > 1:
            rest = parts[2:] if parts[1] == "init_args" else parts[1:]
            names.update(rest[:1])
    return {name.rstrip("+") for name in names}


def arguments_of_test(args: Sequence[str]) -> list[str]:
    """Turn the command line of a training into the arguments that test its best checkpoint."""
    kept: list[str] = []
    for i, arg in enumerate(args):
        value_of = args[i - 1] if i and not arg.startswith("-") else ""
        name = (value_of or arg).partition("=")[0]
        if arg != "fit" and name not in ("--ckpt_path", "--fresh"):
            kept.append(arg)
    return [*kept, "--ckpt_path", "best"]


def unknown_command(name: str) -> str:
    """Say that there is no such command."""
    return f"There is no command {name!r}; give one of {', '.join(COMMANDS)}"


def unknown_key(key: str, keys: Iterable[str]) -> str:
    """Say that a command has no such key.

    Args:
        key: What was given, such as `trainer.max_epoch`.
        keys: Every key of the command.
    """
    # `modle.class_path`: the part that is wrong comes first.
    heads = {known.split(".")[0] for known in keys}
    head = key.split(".")[0]
    meant = close_match(key, keys) if head in heads else close_match(head, heads)
    return f"There is no key {key}{meant}"


def unknown_option(class_path: str, option: str, parameters: Iterable[str]) -> str:
    """Say that a class has no such parameter."""
    name = class_path.rsplit(".", 1)[-1]
    return f"{name} takes no {option}{close_match(option.split('.')[0], parameters)}"


def no_config_file(path: Path) -> str:
    """Say that there is no such config file."""
    folder = path.parent
    there = {str(file) for file in folder.glob("*.y*ml")} if folder.is_dir() else set()
    return f"The config file {path} does not exist{close_match(str(path), there)}"


def nothing_to_run(missing: Iterable[str]) -> str:
    """Say that a command names no model or no data."""
    return (
        f"The command names no {' and no '.join(missing)}: "
        "give an experiment, e.g. --config experiments/emotion_gan.yaml"
    )


def no_weights(command: str) -> str:
    """Say that a command needs a checkpoint."""
    return (
        f"{command} needs trained weights: add --ckpt_path best, --ckpt_path last or the path of a "
        "checkpoint."
    )


def no_checkpoint(path: str) -> str:
    """Say that there is no such checkpoint."""
    what = "is a folder" if Path(path).is_dir() else "does not exist"
    return f"The checkpoint {path} {what}: give best, last or the path of a file."


def no_export(path: str | Path) -> str:
    """Say that there is no such checkpoint to export."""
    return (
        f"The checkpoint {path} does not exist: give the path of a file, such as "
        "runs/<experiment>/<run>/checkpoints/best.ckpt."
    )

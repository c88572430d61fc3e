"""Finds the mistakes of a command line that its text shows, before torch is imported.

What cannot be told from the text is left to the full parser, which comes afterwards; what the full
parser accepts is accepted here. The sentences are those of the full parser.
"""

from __future__ import annotations

import ast
import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import experiments
from callbacks.records.source import source_state
from datamodules.errors import missing_root
from experiments.command.config_file import check_section, read_config
from experiments.command.errors import CommandError, usage_error
from experiments.command.help import command_help, help_text
from experiments.command.signatures import argument_names, calls, find_class, strings
from experiments.command.usage import (
    COMMANDS,
    EXPERIMENT_CLI,
    OWN_COMMANDS,
    TRACEBACK,
    TRAINER,
    config_files,
    no_checkpoint,
    no_export,
    no_weights,
    nothing_to_run,
    predicts_by_onnx,
    translate,
    unknown_command,
    unknown_key,
    unknown_option,
)
from experiments.jobs.slurm import refuse_missing_tasks

_CLI = "lightning.pytorch.cli.LightningCLI"
# Keys of jsonargparse's own, and of LightningCLI.
_ALWAYS = (
    *("help", "config", "print_config", "seed_everything", "trainer"),
    *("model", "model.help", "data", "data.help"),
)
_OF_TRAININGS = ("crossval", "study", "sweep", "transfer", "generate")


class _UndecidedError(Exception):
    """The text of a command line does not tell whether it is right."""


def check(args: Sequence[str]) -> None:
    """Check a command line, or answer a wish for help.

    Raises:
        CommandError: If it is wrong for sure.
        SystemExit: If help was asked for, and printed.
    """
    if os.environ.get(TRACEBACK) == "1":
        return
    if not args:
        raise usage_error(f"give a command.\n\n{help_text()}")
    command = args[0]
    if command in ("-h", "--help"):
        _answer(help_text())
    if command == "--version":
        commit = (source_state() or {}).get("commit", "unknown")
        _answer(f"fer-lightning {experiments.__version__}, commit {commit}")
    if command.startswith("-"):
        return
    if command not in COMMANDS:
        raise usage_error(unknown_command(command))
    if predicts_by_onnx(args):
        return
    for argument in args:
        if argument != argument.encode(errors="ignore").decode():
            raise usage_error(
                f"{argument} is no UTF-8: rename the file or folder, or give a link to it"
            )
    if command not in OWN_COMMANDS:
        if {"-h", "--help"} & {*args}:
            _answer(command_help(command, config_files(translate(args[1:]))))
        refuse_missing_tasks(command)
    if command == "export":
        from experiments.export_arguments import parse

        if not (checkpoint := parse(args[1:]).ckpt_path).is_file():
            raise CommandError(no_export(checkpoint))
    for line in _trainings(command, args[1:]):
        with contextlib.suppress(_UndecidedError):
            CommandLine("fit" if command in _OF_TRAININGS else command, line).check()


def _answer(text: str) -> NoReturn:
    """Print what was asked for, and end."""
    print(text, flush=True)
    raise SystemExit(0)


def _trainings(command: str, args: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the command lines of Lightning's commands that a command comes to."""
    if command == "crossval":
        from experiments.crossval.arguments import parse

        options = parse(args)
        if not options.summarize:
            yield options.fit
    elif command == "study":
        from experiments.study.arguments import parse as parse_study

        table = parse_study(args)
        if not table.summarize:
            seed = table.study.seeds[0]
            for cell in (cell for cell in table.cells() if cell.seed == seed):
                yield cell.fit
                if cell.pretraining is not None:
                    yield cell.pretraining.fit
    elif command == "sweep":
        from experiments.sweep.arguments import parse as parse_sweep
        from experiments.sweep.space import corners

        search = parse_sweep(args)
        yield from map(search.fit, corners(search.sweep.space))
    elif command == "transfer":
        from experiments.transfer.arguments import parse as parse_transfer

        matrix = parse_transfer(args)
        yield from map(matrix.fit_on, matrix.data)
    elif command == "generate":
        from experiments.generate_arguments import parse as parse_generate

        yield parse_generate(args).fit
    elif command not in ("compare", "report", "sync", "workspace", "export"):
        yield args


class CommandLine:
    """What a command line and its config files say, as far as their text shows.

    Args:
        command: `fit`, `validate`, `test` or `predict`.
        args: What follows it.
    """

    def __init__(self, command: str, args: Sequence[str]) -> None:
        self.command = command
        self.args = translate(args)
        self.groups, self.keys = _known_keys(command)
        self._class_paths: dict[str, str | None] = {}
        self._values: dict[str, Any] = {}

    def check(self) -> None:
        """Check keys, then the paths of weights and data.

        Raises:
            CommandError: If something is wrong for sure.
            _UndecidedError: If the text does not tell.
        """
        for name, value in _flags(self.args):
            if name == "config":
                self._read(value)
            else:
                self._take(name.split("."), value)
        if "print_config" in self._values:
            return
        if missing := [part for part in ("model", "data") if part not in self._class_paths]:
            raise usage_error(nothing_to_run(missing))
        self._check_checkpoint(self._values.get("ckpt_path"))
        if self.command != "predict":
            self._check_root(self._values.get("data.root"))

    def _read(self, file: str | None) -> None:
        """Read a config file."""
        if file is None or "\n" in file or "{" in file:
            raise _UndecidedError
        for key, value in read_config(file).items():
            self._take(key.split("."), value)

    def _take(self, key: list[str], value: Any) -> None:
        """Take the value of a key, and of those below it where it is a mapping."""
        head, *rest = (part.rstrip("+") for part in key)
        if head not in {known.split(".")[0] for known in self.keys}:
            raise usage_error(unknown_key(".".join(key), self.keys))
        if head in ("model", "data"):
            self._take_class(head, rest, value)
        elif not rest:
            if head in self.groups and not isinstance(value, str):  # of a file
                check_section(head, value)
            self._values[head] = value
            for name, below in value.items() if _is_mapping(value) else ():
                self._take([head, *name.split(".")], below)
        elif (known := self.groups.get(head)) is not None and rest[0] not in known:
            raise usage_error(unknown_key(".".join(key), self.keys))

    def _take_class(self, part: str, rest: list[str], value: Any) -> None:
        """Take what is said of the model or of the data."""
        if not rest:
            check_section(part, value)
        self._class_paths.setdefault(part, None)
        if not rest and _is_mapping(value):
            # The class first, which decides what the others may be.
            for name in sorted(value, key=lambda name: name != "class_path"):
                if name in ("class_path", "init_args"):
                    self._take_class(part, [name], value[name])
        elif not rest or rest == ["class_path"]:
            self._class_paths[part] = value if isinstance(value, str) else None
        elif rest == ["init_args"]:
            for name, below in value.items() if _is_mapping(value) else ():
                self._take_class(part, ["init_args", name], below)
        elif rest[0] != "dict_kwargs":
            self._take_argument(part, rest[1:] if rest[0] == "init_args" else rest, value)

    def _take_argument(self, part: str, rest: list[str], value: Any) -> None:
        class_path = self._class_paths[part]
        found = None if class_path is None else find_class(class_path)
        known = None if found is None else found.parameters()
        if class_path is not None and known is not None and rest[0].rstrip("+") not in known:
            raise usage_error(unknown_option(class_path, ".".join(rest), known))
        if len(rest) == 1:
            self._values[f"{part}.{rest[0]}"] = value

    def _check_checkpoint(self, checkpoint: Any) -> None:
        if checkpoint is None:
            if self.command != "fit":
                self._check_weights(self._values.get("model.weights"))
        elif not isinstance(checkpoint, str) or "${" in checkpoint:
            raise _UndecidedError
        elif checkpoint not in ("best", "last") and not Path(checkpoint).is_file():
            raise CommandError(no_checkpoint(checkpoint))

    def _check_weights(self, weights: Any) -> None:
        """Check what answers where there is no checkpoint; a resumed training needs no weights."""
        if weights is None:
            raise usage_error(no_weights(self.command))
        if not isinstance(weights, str) or re.search(r"://|\$\{", weights):
            return
        if not Path(weights).is_file():
            raise CommandError(f"The file of weights {weights} does not exist.")

    def _check_root(self, root: Any) -> None:
        if not isinstance(root, str) or "${" in root or Path(root).expanduser().exists():
            return
        found = find_class(self._class_paths["data"] or "")
        said = [found and found.constant(name) for name in ("name", "tree", "origin")]
        if all(said):
            name, tree, origin = said
            data = SimpleNamespace(name=name, tree=tree, origin=origin)
            raise CommandError(str(missing_root(data, Path(root).expanduser())))


def _flags(args: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Split the command line into keys, without their dashes, and values."""
    waiting = list(args)
    while waiting:
        name, equals, value = waiting.pop(0).partition("=")
        if name == "-c":
            name = "--config"
        if not name.startswith("--"):
            raise _UndecidedError
        if name in ("--help", "--print_shtab") or name.endswith(".help"):
            raise _UndecidedError
        if not equals and waiting and not waiting[0].startswith(("--", "-c")):
            value = waiting.pop(0)
        yield name[2:], None if value in ("", "null") else value


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


def _known_keys(command: str) -> tuple[dict[str, set[str] | None], set[str]]:
    """Read the keys of a command from the sources of Lightning and of the project.

    Returns:
        The keys below each group, such as `trainer`, None where they are not known; and all keys.
    """
    trainer, cli, ours = find_class(TRAINER), find_class(_CLI), find_class(EXPERIMENT_CLI)
    if trainer is None or cli is None or ours is None:
        raise _UndecidedError
    method, subcommands = trainer.method(command), cli.method("subcommands")
    if method is None or subcommands is None or not isinstance(subcommands.body[-1], ast.Return):
        raise _UndecidedError
    left_out = ast.literal_eval(ast.unparse(subcommands.body[-1].value or ast.Constant(None)))
    keys = {*_ALWAYS, *argument_names(method)} - set(left_out[command]) | {"model"}
    groups: dict[str, set[str] | None] = {"trainer": trainer.parameters()}
    for call in calls(ours.node, "add_argument"):
        keys.update(name[2:] for name in strings(call.args) if name.startswith("--"))
    for call in calls(ours.node, "add_lightning_class_args"):
        group = strings(call.args)[0]
        added = find_class(f"{ours.module}.{ast.unparse(call.args[0])}")
        groups[group] = None if added is None else added.parameters()
    for group, names in groups.items():
        keys.update({group}, (f"{group}.{name}" for name in names or ()))
    return groups, keys

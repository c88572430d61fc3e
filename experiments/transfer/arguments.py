"""The command line of `lightning transfer`: its own options, and those of `fit` for every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.command.arguments import CommandParser
from experiments.command.errors import close_match, usage_error
from experiments.jobs.options import LauncherOptions

# What the matrix decides for its steps, and what to say to a person who does.
_DECIDED = {
    "--ckpt_path": "every step starts from what the one before it has learnt",
    "--model.pretrained": "every data set is pretrained on in turn",
    "--data": "the data sets are those of --data_configs",
    "--data.root": "give each root beside its file, as FILE=ROOT in --data_configs",
    "--fresh": "move or delete its folder to start anew",
}


@dataclass(frozen=True)
class DataConfig:
    """A data set as the command line names it.

    Args:
        name: Name of the file without its ending.
        file: The config file.
        root: Root given beside it; None leaves that of the file.
    """

    name: str
    file: str
    root: str | None


@dataclass(frozen=True)
class Options:
    """What `lightning transfer` was asked for.

    Args:
        data: The data sets, at least one.
        pretrain: Names of those to pretrain on.
        launch: Where steps run.
        fit: Command line of `fit` that all steps share.
    """

    data: tuple[DataConfig, ...]
    pretrain: tuple[str, ...]
    launch: LauncherOptions
    fit: tuple[str, ...]

    def fit_on(self, data: DataConfig) -> list[str]:
        """Return the command line of `fit` on a data set.

        Its config comes after the others, so that it decides what the data are, and before what
        is given by hand.
        """
        apart = [i for i, argument in enumerate(self.fit) if argument in ("-c", "--config")]
        inline = [i for i, argument in enumerate(self.fit) if argument.startswith("--config=")]
        behind = max([0, *(i + 2 for i in apart), *(i + 1 for i in inline)])
        root = [] if data.root is None else [f"--data.root={data.root}"]
        return [*self.fit[:behind], f"--config={data.file}", *root, *self.fit[behind:]]


def parse(args: Sequence[str]) -> Options:
    """Read a command line.

    Raises:
        CommandError: If it cannot be read.
    """
    parser = CommandParser(
        "transfer",
        description="Pretrain, train and test on every combination of some data sets. "
        "Takes every option of `lightning fit` too.",
        epilog="The same command again skips finished steps and resumes started ones.",
    )
    parser.add_argument(
        "--data_configs",
        nargs="+",
        required=True,
        metavar="FILE[=ROOT]",
        help="Config files of the data sets, e.g. experiments/data/kdef.yaml=/data/KDEF.",
    )
    parser.add_argument(
        "--pretrain", nargs="+", metavar="NAME", help="Only these to pretrain on; default: all."
    )
    parser.add_slots("step")
    own = parser.parse_beside_fit(args, _DECIDED)
    data = tuple(_data_config(text) for text in own.data_configs)
    names = [one.name for one in data]
    for name in names:
        if names.count(name) > 1:
            raise usage_error(
                f"transfer: two data configs are named {name}; tables tell them apart by the "
                "names of their files."
            )
    for name in own.pretrain or ():
        if name not in names:
            raise usage_error(f"transfer: --pretrain names {name}{close_match(name, names)}.")
    return Options(data, tuple(own.pretrain or names), own.launch, tuple(own.fit))


def _data_config(text: str) -> DataConfig:
    file, _, root = text.partition("=")
    if Path(file).suffix not in (".yaml", ".yml"):
        raise usage_error(
            f"transfer: --data_configs takes config files like experiments/data/kdef.yaml, but "
            f"got {text}."
        )
    return DataConfig(Path(file).stem, file, root or None)

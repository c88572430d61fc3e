"""The command line of `lightning study`: its own options, and those of `fit` for every row."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.command.arguments import CommandParser, natural, positive
from experiments.command.errors import close_match, usage_error
from experiments.command.usage import find_packaged
from experiments.jobs.options import LauncherOptions
from experiments.run.folder import RunFolder
from experiments.study.study_file import Study, read_study

# What a study decides for its rows, and what to say to a person who does.
_DECIDED = {
    "--ckpt_path": "every fold starts from fresh weights",
    "--data.fold": "all folds are run, or those of --fold",
    "--data.root": "give the root of each data set as NAME=ROOT in --roots",
    "--seed_everything": "the seeds are in the file, or give --seeds 5 for 0 to 4",
    "--fresh": "move or delete the folders that it names to start anew",
}


@dataclass(frozen=True)
class Pretraining:
    """A training whose checkpoint the folds of a cell begin with.

    Args:
        data: Name of the data set.
        run: Its run folder.
        fit: Command line of `fit`.
    """

    data: str
    run: RunFolder
    fit: tuple[str, ...]


@dataclass(frozen=True)
class CellPlan:
    """What is run for a row on a data set with a seed.

    Args:
        row: Name of the row.
        data: Name of the data set.
        seed: The seed.
        fit: Command line of `fit`, but for the fold.
        pretraining: What is trained before; None for nothing.
    """

    row: str
    data: str
    seed: int
    fit: tuple[str, ...]
    pretraining: Pretraining | None = None


@dataclass(frozen=True)
class Options:
    """What `lightning study` was asked for.

    Args:
        study: The study, its seeds and folds those of the command line where it has some.
        launch: Where folds run.
        summarize: Whether to run nothing and show what there is.
        runs_dir: Folder of all runs.
        roots: Roots of the data sets by their names.
        fit: Command line of `fit` that all rows share, behind their own.
    """

    study: Study
    launch: LauncherOptions
    summarize: bool
    runs_dir: Path
    roots: dict[str, str]
    fit: tuple[str, ...]

    def cells(self) -> Iterator[CellPlan]:
        """Yield what is to be run: every row on each of its data sets with every seed."""
        for seed in self.study.seeds:
            for row, data in self.study.places():
                method = self.study.rows[row]
                fit = self._fit(row, data, seed)
                if method.pretrain is None:
                    yield CellPlan(row, data, seed, fit)
                    continue
                first = self._fit(row, method.pretrain, seed)
                digest = hashlib.sha256(" ".join(first).encode()).hexdigest()[:6]
                run = RunFolder(self.runs_dir / "pretrained" / f"{method.pretrain}-{digest}")
                weights = f"--model.pretrained={run.last}"
                before = Pretraining(method.pretrain, run, first)
                yield CellPlan(row, data, seed, (*fit, weights), before)

    def _fit(self, row: str, data: str, seed: int) -> tuple[str, ...]:
        root = [f"--data.root={self.roots[data]}"] if data in self.roots else []
        shared = [*self.fit, f"--runs_dir={self.runs_dir}", f"--seed_everything={seed}"]
        return (*self.study.rows[row].fit, *self.study.data[data], *root, *shared)


def parse(args: Sequence[str]) -> Options:
    """Read a command line, and the file of the study.

    Raises:
        CommandError: If either cannot be read.
    """
    parser = CommandParser(
        "study",
        description="Fill a table of methods, data sets and measures over folds and seeds. "
        "Takes every option of `lightning fit` too, for every row.",
        epilog="The same command again skips finished folds, also those of other studies with the "
        "same settings, and resumes started ones.",
    )
    parser.add_argument("file", type=Path, help="The study, e.g. experiments/studies/NAME.yaml.")
    parser.add_argument(
        "--roots", nargs="+", default=[], metavar="NAME=ROOT", help="Where the data sets lie."
    )
    parser.add_argument("--seeds", type=positive, help="Number of seeds, from 0.")
    parser.add_argument("--fold", type=natural, nargs="+", help="Run these folds only.")
    parser.add_slots("fold")
    parser.add_argument("--runs_dir", type=Path, default=Path("runs"), help="Folder of all runs.")
    parser.add_argument(
        "--summarize", action="store_true", help="Run nothing; show the cells that there are."
    )
    own = parser.parse_beside_fit(args, _DECIDED)
    study = read_study(Path(find_packaged(str(own.file))))
    if own.seeds is not None:
        study = replace(study, seeds=tuple(range(own.seeds)))
    if own.fold is not None:
        study = replace(study, fold=tuple(sorted(set(own.fold))))
    roots = {}
    for text in own.roots:
        name, equals, root = text.partition("=")
        if not equals or not root:
            raise usage_error(f"study: --roots takes NAME=ROOT, e.g. ckplus=/data/CK+, not {text}")
        if name not in study.data:
            known = f"; {own.file} has {', '.join(study.data)}"
            raise usage_error(
                f"study: --roots names {name}{close_match(name, study.data) or known}"
            )
        roots[name] = root
    return Options(study, own.launch, own.summarize, own.runs_dir, roots, tuple(own.fit))

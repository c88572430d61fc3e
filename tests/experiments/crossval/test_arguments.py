from __future__ import annotations

import pytest

from experiments.command.errors import CommandError
from experiments.crossval.arguments import Options, parse
from experiments.jobs.options import LauncherOptions


def test_own_options_are_taken_and_the_rest_is_fits() -> None:
    options = parse(
        [
            "--config",
            "a.yaml",
            "--folds",
            "5",
            "--jobs",
            "2",
            "--model.lr",
            "0.1",
            "--devices",
            "0,1",
            "-c",
            "b.yaml",
            "--x=-1",
        ]
    )
    fit = ("--config", "a.yaml", "--model.lr", "0.1", "-c", "b.yaml", "--x=-1", "--data.folds=5")
    assert options == Options(None, LauncherOptions(2, ("0", "1")), False, fit)


def test_options_of_slurm_are_taken_wherever_they_stand() -> None:
    line = "--slurm.partition gpu -c a.yaml --slurm.exclusive --slurm.gpus_per_node=2 --x=1"
    options = parse([*line.split(), "--launcher=slurm", "--slurm.mem", "4G", "--detach"])
    slurm = {"partition": "gpu", "exclusive": "", "gpus-per-node": "2", "mem": "4G"}
    assert options.launch == LauncherOptions(slurm=slurm, detach=True)
    assert options.fit == ("-c", "a.yaml", "--x=1")
    assert parse(["--launcher", "slurm", "--slurm.requeue"]).launch.slurm == {"requeue": ""}


def test_one_fold() -> None:
    assert parse(["--fold=3"]).fold == 3


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--data.fold 3", "crossval takes no --data.fold: all folds are run, or one by --fold."),
        (
            "--data.init_args.fold=3",
            "crossval takes no --data.init_args.fold: all folds are run, or one by --fold.",
        ),
        ("--fresh", "crossval takes no --fresh: move or delete its folder to start anew."),
        ("--ckpt_path=x", "crossval takes no --ckpt_path: every fold starts from fresh weights."),
        ("--jobs 0", "crossval: argument --jobs: must be at least 1, but is 0."),
        ("--fold x", "crossval: argument --fold: must be a whole number, but is 'x'."),
        ("--devices ,", "crossval: --devices names no device; give e.g. --devices 0,1."),
        ("--slurm.mem 4G", "crossval: --slurm.mem is for --launcher slurm."),
        ("--detach", "crossval: --detach is for --launcher slurm."),
        (
            "--launcher slurm --devices 0",
            "crossval: in SLURM give --slurm.gpus_per_node in place of --devices.",
        ),
        ("--folds", "crossval: argument --folds: expected one argument."),
    ],
)
def test_what_is_refused(line: str, said: str) -> None:
    with pytest.raises(CommandError) as error:
        parse(line.split())
    assert str(error.value) == said
    assert error.value.exit_code == 2

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments.command.errors import CommandError
from experiments.sweep.arguments import parse
from experiments.sweep.space import corners
from experiments.sweep.sweep_file import read_sweep

SWEEPS = sorted((Path(__file__).resolve().parents[3] / "experiments" / "sweeps").glob("*.yaml"))
FILE: dict[str, Any] = {
    "program": "lightning",
    "method": "bayes",
    "metric": {"name": "cv/val_accuracy_mean", "goal": "maximize"},
    "parameters": {"model.lr": {"min": 0.0, "max": 1.0}},
    "command": ["${env}", "${program}", "crossval", "--config=a.yaml", "--wandb=online", "${args}"],
}


def write(folder: Path, **changed: Any) -> Path:
    values = {k: v for k, v in {**FILE, **changed}.items() if v is not None}
    (folder / "search.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    return folder / "search.yaml"


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_the_sweeps_of_the_project(path: Path) -> None:
    options = parse([str(path), "--trials=2"])
    lines = [options.fit(setting) for setting in corners(options.sweep.space)]
    assert len({*lines}) == len(lines)
    assert all("--wandb=online" not in line for line in lines)


def test_every_method_has_a_sweep() -> None:
    assert {"dcgan_svm", "emotion_gan", "pcnn", "ssim_vae"} <= {path.stem for path in SWEEPS}


def test_what_a_file_says(tmp_path: Path) -> None:
    sweep = read_sweep(write(tmp_path, run_cap=7, early_terminate={"type": "hyperband"}))
    assert (sweep.name, sweep.method, sweep.run_cap) == ("search", "bayes", 7)
    assert sweep.command == ("--config=a.yaml",)
    assert sweep.prune_after == 3


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"methods": "grid"}, "unknown key methods; did you mean method?"),
        ({"method": "hyper"}, "method must be one of grid, random, bayes, but is 'hyper'"),
        # Of test folds.
        (
            {"metric": {"name": "cv/accuracy_mean", "goal": "maximize"}},
            "metric must be {name: cv/val_accuracy_mean, goal: maximize}, since a search sees",
        ),
        ({"metric": None}, "metric must be {name: cv/val_accuracy_mean, goal: maximize}, since"),
        ({"parameters": []}, "parameters must be a section such as {model.init_args.lr:"),
        ({"parameters": {"a": 1}}, "parameters.a must be a section such as"),
        ({"method": "grid"}, "a grid needs values, but parameters.model.lr has none"),
        ({"run_cap": 0}, "run_cap must be a whole number of at least 1, but is 0"),
        ({"command": ["${program}", "fit"]}, "command must be a list such as"),
        ({"command": None}, "command must be a list such as"),
        ({"command": ["crossval", "${args_no_hyphens}"]}, "command has ${args_no_hyphens}, which"),
        ({"early_terminate": {"type": "median"}}, "early_terminate must be {type: hyperband"),
        (
            {"early_terminate": {"type": "hyperband", "min_iter": 0}},
            "early_terminate.min_iter must be a number of folds, but is 0",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, changed: dict[str, Any], sentence: str) -> None:
    file = write(tmp_path, **changed)
    with pytest.raises(CommandError, match=f"^{re.escape(f'{file}: {sentence}')}"):
        read_sweep(file)

"""The file of a sweep, in the schema of W&B: the same one works with `wandb sweep`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.command.config_file import read_config
from experiments.command.errors import CommandError, close_match, usage_error
from experiments.sweep.space import Choice, Parameter, read_parameter

OBJECTIVE = "cv/val_accuracy_mean"
"""Mean over folds of the accuracy on their validation parts."""

_KEYS = ("program", "method", "metric", "parameters", "command", "early_terminate", "run_cap")
# What W&B shows or needs, and a search does not.
_SHOWN = ("name", "description", "project", "entity")
_METHODS = ("grid", "random", "bayes")
_MACROS = ("${env}", "${interpreter}", "${program}", "${args}")
_FOLDS_BEFORE_PRUNING = 3


@dataclass(frozen=True)
class Sweep:
    """A search over parameters of an experiment.

    Args:
        name: Name of its file without the ending.
        method: `grid`, `random` or `bayes`.
        space: The parameters by their names on the command line, such as `model.init_args.lr`.
        command: Command line of `lightning crossval` that all trials share.
        run_cap: Number of trials, None where the file does not say.
        prune_after: Number of folds after which a trial may end early; None ends none.
    """

    name: str
    method: str
    space: Mapping[str, Parameter]
    command: tuple[str, ...]
    run_cap: int | None
    prune_after: int | None


def read_sweep(file: Path) -> Sweep:
    """Read the file of a sweep.

    Args:
        file: A YAML file; those of the project are in experiments/sweeps.

    Raises:
        CommandError: If it is none, or W&B would do with it what a search here cannot.
    """
    values = read_config(file)

    def refuse(sentence: str) -> CommandError:
        return usage_error(f"{file}: {sentence}")

    for key in values:
        if key not in (*_KEYS, *_SHOWN):
            known = f"; a sweep has {', '.join(_KEYS)}"
            raise refuse(f"unknown key {key}{close_match(key, _KEYS) or known}")
    method = values.get("method")
    if method not in _METHODS:
        raise refuse(f"method must be one of {', '.join(_METHODS)}, but is {method!r}")
    wanted = {"name": OBJECTIVE, "goal": "maximize"}
    if values.get("metric") != wanted:
        raise refuse(
            f"metric must be {{name: {OBJECTIVE}, goal: maximize}}, since a search sees validation "
            f"parts only, but is {values.get('metric')!r}"
        )
    parameters = values.get("parameters")
    if not isinstance(parameters, Mapping) or not parameters:
        raise refuse("parameters must be a section such as {model.init_args.lr: {values: [0.1]}}")
    space = {
        key: read_parameter(f"{file}: parameters.{key}", told) for key, told in parameters.items()
    }
    ranges = [key for key, parameter in space.items() if not isinstance(parameter, Choice)]
    if method == "grid" and ranges:
        raise refuse(f"a grid needs values, but parameters.{ranges[0]} has none")
    run_cap = values.get("run_cap")
    if run_cap is not None and (type(run_cap) is not int or run_cap < 1):
        raise refuse(f"run_cap must be a whole number of at least 1, but is {run_cap!r}")
    return Sweep(
        name=file.stem,
        method=method,
        space=space,
        command=_command(values.get("command"), refuse),
        run_cap=run_cap,
        prune_after=_prune_after(values.get("early_terminate"), refuse),
    )


def _command(told: Any, refuse: Callable[[str], CommandError]) -> tuple[str, ...]:
    """Read the command of a trial: that of `lightning crossval` among what W&B fills in."""
    words = [str(word) for word in told] if isinstance(told, list) else []
    words = [word for word in words if word not in _MACROS]
    if words[:1] != ["crossval"]:
        raise refuse(
            'command must be a list such as ["${program}", crossval, --config, '
            f'experiments/pcnn.yaml, "${{args}}"], but is {told!r}'
        )
    if macros := [word for word in words if "${" in word]:
        raise refuse(f"command has {macros[0]}, which only an agent of W&B can fill in")
    # An agent of W&B needs it; a search here needs no network.
    return tuple(word for word in words[1:] if word != "--wandb=online")


def _prune_after(told: Any, refuse: Callable[[str], CommandError]) -> int | None:
    if told is None:
        return None
    if not isinstance(told, Mapping) or told.get("type") != "hyperband":
        raise refuse(f"early_terminate must be {{type: hyperband, min_iter: 3}}, but is {told!r}")
    folds = told.get("min_iter", _FOLDS_BEFORE_PRUNING)
    if type(folds) is not int or folds < 1:
        raise refuse(f"early_terminate.min_iter must be a number of folds, but is {folds!r}")
    return folds

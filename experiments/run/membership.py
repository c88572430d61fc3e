"""What a process knows of the cross-validation that it trains or tests a fold for."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from experiments.run.folder import config_hash

_VARIABLE = "FER_LIGHTNING_FOLD"
# What says how a command runs, and not what comes out.
_COMMAND = ("ckpt_path", "config", "fresh", "runs_dir", "verbose", "wandb", "weights_only")
# What differs from fold to fold or from machine to machine, with the same results.
_DATA = ("cache_dir", "fold", "num_workers")
_LIMITS = {
    "limit_train_batches": 1.0,
    "limit_val_batches": 1.0,
    "limit_test_batches": 1.0,
    "overfit_batches": 0.0,
}


@dataclass(frozen=True)
class Membership:
    """The place of a fold, told to its processes by their environment.

    Args:
        folder: Run folder of the fold.
        group: Name that all folds share in W&B.
        wandb_id: Id by which every start of the fold is the same W&B run.
        digest: Hash of the config that all folds share, see `fold_free_hash`.
        parent: Process id of the cross-validation.
    """

    folder: str
    group: str
    wandb_id: str
    digest: str
    parent: int

    def environment(self) -> dict[str, str]:
        """Return the environment variable that tells a process."""
        return {_VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def current(cls) -> Membership | None:
        """Return what this process was told, None outside a cross-validation."""
        text = os.environ.get(_VARIABLE)
        return None if text is None else cls(**json.loads(text))


def fold_free_hash(config: Mapping[str, Any]) -> str:
    """Hash what the folds of a cross-validation have in common.

    Args:
        config: Resolved config of `fit` or `test`, plain values.

    Returns:
        64 hexadecimal digits, equal for all folds and both commands.
    """
    kept = copy.deepcopy({key: value for key, value in config.items() if key not in _COMMAND})
    arguments = kept["data"].get("init_args", {})
    for name in _DATA:
        arguments.pop(name, None)
    return config_hash(kept)


def departures(config: Mapping[str, Any]) -> list[str]:
    """Name what a config changes of the trusted protocol.

    Args:
        config: Resolved config of `fit`.

    Returns:
        A phrase for each; what only the data show, `callbacks.FoldReport` adds.
    """
    trainer, data = config["trainer"], config["data"].get("init_args", {})
    found = [
        f"shortened by trainer.{name}"
        for name, whole in _LIMITS.items()
        # The whole number 1 is one batch, the fraction 1.0 all of them.
        if (value := trainer.get(name)) is not None and (type(value), value) != (float, whole)
    ]
    if data.get("labels_csv") is not None or data.get("label_map") is not None:
        found.append("labels by a list of the user's")
    return found

"""Which values hold where a command and the checkpoint that it starts from differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.core.optimizer import _init_optimizers_and_lr_schedulers
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ChainedScheduler, ReduceLROnPlateau

from datamodules.errors import UserError
from experiments.command.privacy import is_path

# Not of the result: settings of the trainer and of the run folder.
_COMPARED = ("seed_everything", "model", "data")
# Of what is predicted on, which a training has none of.
_OF_INPUT = tuple(
    f"data.init_args.{name}" for name in ("input", "every", "detector", "smoothing", "neutral")
)


@dataclass
class Reconciled:
    """What came of comparing a command with a checkpoint.

    Args:
        model: Parameters of the model to take from the checkpoint.
        said: One line for each difference, naming which side holds.
    """

    model: dict[str, Any] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)


def reconcile(
    saved: Mapping[str, Any], given: Mapping[str, Any], *, by_hand: set[str], training: bool
) -> Reconciled:
    """Compare the config in a checkpoint with that of a command.

    A training goes by its command. Whatever only looks at a trained model takes that model's
    parameters, except for those given by hand on the command line.

    Args:
        saved: The config of the run that wrote the checkpoint.
        given: The command's config.
        by_hand: Parameters of the model set on the command line itself.
        training: Whether the command is `fit`.

    Returns:
        The parameters to change and the lines to print.

    Raises:
        UserError: If the checkpoint is of another method.
    """
    trained, now = saved["model"]["class_path"], given["model"]["class_path"]
    if trained.rsplit(".", 1)[-1] != now.rsplit(".", 1)[-1]:
        raise UserError(
            f"The checkpoint holds a {trained}, but this command has a {now}: give the experiment "
            "that it was trained with."
        )
    result = Reconciled()
    parameters = saved["model"].get("init_args", {})
    for key, old, new in _differences(
        {part: saved.get(part) for part in _COMPARED},
        {part: given.get(part) for part in _COMPARED},
    ):
        if key in _OF_INPUT:
            continue
        part, *path = key.split(".")
        name = path[1] if path[:1] == ["init_args"] else ""
        taken = "the command's"
        # What a file names on this machine is shown, and used where a person gives it.
        whole = not is_path(name, parameters.get(name)) and "${" not in str(parameters.get(name))
        taken_over = part == "model" and not training and name in parameters and whole
        if taken_over and name not in by_hand:
            result.model[name] = parameters[name]
            taken = "the checkpoint's"
        shown = key.replace(".init_args.", ".")
        result.said.append(
            f"{shown}: {old} in the checkpoint, {new} in this command; {taken} is used"
        )
    return result


def _differences(
    saved: Mapping[str, Any], given: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Yield (dotted key, saved value, given value) of all that differs."""
    for key in dict.fromkeys([*saved, *given]):
        old, new = saved.get(key), given.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            yield f"{prefix}{key}", old, new


class CommandedOptimizers(pl.Callback):
    """Lets optimizers and schedules of a command win over those in the checkpoint it starts from.

    An optimizer's state holds its learning rate, momentum and so on as well, and a schedule's its
    length and shape, so that loading them would silently undo what the command says. Here each
    schedule is the command's, at the epoch or step that the checkpoint's had reached.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set what the command says, in the optimizers and schedulers just loaded."""
        optimizers, configs = _init_optimizers_and_lr_schedulers(pl_module)
        loaded = [config.scheduler for config in trainer.lr_scheduler_configs]
        fresh = [config.scheduler for config in configs]
        for old, new in zip(loaded, fresh, strict=True):
            if not isinstance(new, ReduceLROnPlateau):
                # A ChainedScheduler counts in its parts.
                counting = old._schedulers[0] if isinstance(old, ChainedScheduler) else old
                for _ in range(counting.last_epoch):
                    new.step()
        for optimizer, wanted in zip(trainer.optimizers, optimizers, strict=True):
            # What lowered the rates at a plateau is not repeated, so their share of it stays.
            plateau = any(
                isinstance(s, ReduceLROnPlateau) and s.optimizer is optimizer for s in loaded
            )
            _set_hyperparameters(optimizer, wanted, keep_share=plateau)
        for old, new in zip(loaded, fresh, strict=True):
            state = new.state_dict()
            if isinstance(new, ReduceLROnPlateau):
                state.update({key: old.state_dict()[key] for key in _PLATEAU})
            old.load_state_dict(state)


# What a ReduceLROnPlateau has seen, beside what it was told.
_PLATEAU = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch")


def _set_hyperparameters(loaded: Optimizer, wanted: Optimizer, *, keep_share: bool) -> None:
    for group, new in zip(loaded.param_groups, wanted.param_groups, strict=True):
        began, begins = (g.get("initial_lr", g["lr"]) for g in (group, new))
        rate = group["lr"] * begins / began if keep_share and began else new["lr"]
        group.update({key: value for key, value in new.items() if key != "params"})
        group["lr"] = rate

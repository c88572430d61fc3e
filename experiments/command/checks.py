"""What Lightning would begin, and what no run comes of: each is refused in a sentence."""

from __future__ import annotations

import lightning.pytorch as pl
from jsonargparse import Namespace
from lightning.pytorch.strategies import DDPStrategy
from torch import nn

from experiments.command.errors import CommandError, usage_error


def check_settings(settings: Namespace) -> None:
    """Check the parsed keys of a command.

    Raises:
        CommandError: If they say where the run lives, or the trainer would divide by 0.
    """
    if settings.trainer.default_root_dir is not None:
        raise usage_error("A run lives below --runs_dir; trainer.default_root_dir is not used.")
    if settings.experiment in (".", "..") or set(settings.experiment) & {"/", "\\", "\0"}:
        raise usage_error(
            f"--experiment {settings.experiment} is no name of a folder below --runs_dir: give "
            "one without slashes, and the place as --runs_dir."
        )
    for name in ("accumulate_grad_batches", "check_val_every_n_epoch"):
        if (value := settings.trainer[name]) is not None and value < 1:
            raise usage_error(f"trainer.{name} must be at least 1, but is {value}.")


def check_weights(model: nn.Module) -> None:
    """Check that a model has weights to train.

    Raises:
        CommandError: If one of its parameters is empty.
    """
    empty = [name for name, value in model.named_parameters() if not value.numel()]
    if empty:
        raise usage_error(
            f"{type(model).__name__} has no weights in {empty[0]}: a width or a number of its "
            "arguments is 0."
        )


def check_strategy(model: pl.LightningModule, trainer: pl.Trainer) -> None:
    """Check that the trainer's strategy can train a model.

    Raises:
        CommandError: If it waits for gradients of all players at once.
    """
    strategy = trainer.strategy
    together = isinstance(strategy, DDPStrategy) and not strategy._ddp_kwargs.get(
        "find_unused_parameters"
    )
    if together and trainer.world_size > 1 and not model.automatic_optimization:
        raise usage_error(
            f"{type(model).__name__} trains several players in turn, which plain ddp cannot: add "
            "--config experiments/presets/slurm.yaml, or "
            "--trainer.strategy ddp_find_unused_parameters_true."
        )


def check_trained(trainer: pl.Trainer, max_time: object) -> None:
    """Check that a training which has ended had a batch.

    Raises:
        CommandError: If it had none.
    """
    if not trainer.fit_loop.epoch_loop.batch_progress.total.ready:
        raise CommandError(
            f"Nothing was trained: {trainer.num_training_batches:.0f} batches an epoch, "
            f"max_epochs {trainer.max_epochs}, max_steps {trainer.max_steps}, "
            f"max_time {max_time}; each must allow for at least one batch."
        )

"""LightningCLI with run folders, resuming and plain errors."""

from __future__ import annotations

import argparse
import contextlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import yaml
from jsonargparse import Namespace, set_parsing_settings
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

import callbacks
import datamodules
import lightning_modules
from callbacks.figures.films import FilmPictures
from callbacks.figures.progress import LearningCurve
from callbacks.records.fold_report import FoldReport
from callbacks.records.latency import Latency
from callbacks.records.run_record import RunRecord
from callbacks.records.size import Size
from callbacks.training.acceleration import Acceleration
from callbacks.training.leak_check import LeakCheck
from callbacks.training.nan_guard import NaNGuard
from callbacks.training.step_seed import StepSeed
from callbacks.training.zero_rate import ZeroRate
from datamodules.errors import UserError
from datamodules.lazy import load
from experiments.command.checkpoint_config import CommandedOptimizers, reconcile
from experiments.command.checks import (
    check_settings,
    check_strategy,
    check_trained,
    check_weights,
)
from experiments.command.console import say
from experiments.command.errors import usage_error
from experiments.command.names import name_run
from experiments.command.parsing import AddingConfigFile, explain_usage, whole_first
from experiments.command.privacy import environment_hider, without_user
from experiments.command.progress import RunProgress
from experiments.command.usage import (
    DEFAULTS,
    arguments_of_test,
    config_files,
    given_by_hand,
    translate,
)
from experiments.jobs.slurm import refuse_unequal_tasks
from experiments.run.checkpoints import AtomicCheckpointIO, RunCheckpoints
from experiments.run.folder import setting_hash, shared_config_hash
from experiments.run.loggers import MetricsCSV, wandb_logger
from experiments.run.model_size import describe_size
from experiments.run.requeue import slurm_plugins
from experiments.run.session import Session
from experiments.run.validation import chosen_validation
from experiments.run.wandb_results import Artifacts, WandbResults
from experiments.run.wandb_run import wandb_mode
from lightning_modules.networks.weights import read_checkpoint

# What changes where a run is kept or shown, and not what it computes.
_OUTSIDE = ("config", "runs_dir", "wandb", "wandb_artifacts", "fresh", "films")


class ExperimentCLI(LightningCLI):
    """One experiment: a model, its data and a trainer, from YAML files and the command line.

    Args:
        args: The command line.
        session: Gets to know the run folder, and outlives an error.
    """

    def __init__(self, args: Sequence[str], session: Session) -> None:
        self.given = list(args)
        self.arguments = translate(args)
        self.hide = environment_hider(self.arguments)
        self.session = session
        self._read: dict[Path, dict[str, Any]] = {}
        for package in (callbacks, datamodules, lightning_modules):
            load(package)
        # `${seed_everything}` means the key of the file's top, below whichever command.
        set_parsing_settings(omegaconf_absolute_to_relative_paths=True)
        parser: dict[str, Any] = {
            "parser_mode": "omegaconf+",
            "exit_on_error": False,
            "allow_abbrev": False,
        }
        command = {**parser, "default_config_files": [str(DEFAULTS)]}
        super().__init__(
            datamodule_class=pl.LightningDataModule,
            subclass_mode_data=True,
            save_config_callback=None,  # RunRecord writes it to where the run lives
            seed_everything_default=0,
            auto_configure_optimizers=False,
            parser_kwargs={**parser, **{verb: dict(command) for verb in self.subcommands()}},
            args=self.arguments,
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """Return those that the command line may mean, so that no other's parser is made."""
        every = super().subcommands()
        return {verb: every[verb] for verb in every if verb in self.arguments} or every

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """Make a parser whose config files add to the list of callbacks."""
        parser = LightningArgumentParser(prog="lightning", **kwargs)
        parser.add_argument(
            "-c", "--config", action=AddingConfigFile, help="A YAML file; later files win."
        )
        return parser

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add what every command takes besides model, data and trainer."""
        parser.add_argument(
            "--experiment", type=str | None, help="Its name; default: the first config file's."
        )
        parser.add_argument("--runs_dir", type=str, default="runs", help="Folder of all runs.")
        parser.add_argument(
            "--wandb",
            type=Literal["offline", "online", "disabled"] | None,
            help="Weights & Biases; default: WANDB_MODE, else offline.",
        )
        parser.add_argument(
            "--wandb_artifacts",
            type=Artifacts,
            default="none",
            help="What W&B also gets as files: the predictions of a test, with the names of its "
            "samples, or these and the best checkpoint.",
        )
        parser.add_argument(
            "--headline",
            type=list[str] | None,
            help="Conditions of the test, e.g. *_reconstructed, whose accuracy a "
            "cross-validation takes for the result; default: the method's own answers.",
        )
        # Here and not in `trainer.callbacks`, so that no list of callbacks takes them away.
        parser.add_lightning_class_args(RunCheckpoints, "checkpoint")
        parser.add_lightning_class_args(NaNGuard, "nan_guard")
        parser.add_lightning_class_args(Acceleration, "acceleration")
        parser.add_lightning_class_args(FilmPictures, "films")

    def _prepare_subcommand_parser(
        self, klass: type, subcommand: str, **kwargs: Any
    ) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        whole_first(parser)
        if subcommand == "fit":
            parser.add_argument(
                "--fresh", action="store_true", help="Start anew, not from an unfinished run."
            )
        elif subcommand == "test":
            # The experiment's own table comes last.
            parser.set_defaults(verbose=False)
        elif subcommand == "predict":
            # Callbacks write every batch as it comes; a long video would fill the memory.
            parser.set_defaults(return_predictions=False)
        return parser

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the command line.

        Raises:
            CommandError: If it cannot be parsed.
        """
        try:
            self.config = parser.parse_args(args)
        except argparse.ArgumentError as error:
            verb = next((arg for arg in self.arguments if arg in self._subcommand_parsers), "fit")
            actions = self._subcommand_parsers[verb]._actions
            keys = [action.dest for action in actions]
            raise explain_usage(str(error), keys) from error

    def _parse_ckpt_path(self) -> None:
        """Leave the checkpoint's parameters to `before_instantiate_classes`."""

    def before_instantiate_classes(self) -> None:
        """Choose the run folder and the checkpoint to start from."""
        config = self.resolve()
        settings = self._settings
        trainer = settings.trainer
        refuse_unequal_tasks(self.verb, trainer.devices, trainer.num_nodes)
        given = settings.ckpt_path
        hashed = {key: value for key, value in config.items() if key not in _OUTSIDE}
        self.session.open(
            self.verb,
            experiment=settings.experiment,
            runs_dir=Path(settings.runs_dir),
            config=hashed,
            checkpoint=given,
            fresh=bool(settings.get("fresh")),
            weights=(config["model"].get("init_args") or {}).get("weights"),
        )
        name, tags = name_run(config, self.arguments, self.session.fold)
        group = f"{settings.experiment}-{setting_hash(config)[:8]}"
        self._identity = self.session.identify(group, name, tags)
        adopted: list[pl.Callback] = []
        if self.session.checkpoint is not None and not self.session.resumes:
            config = self._reconciled(self.session.checkpoint, config)
            settings = self._settings
            adopted = [CommandedOptimizers()] if self.verb == "fit" else []
        checkpoint = self.session.checkpoint and str(self.session.checkpoint)
        config["ckpt_path"] = given if self.verb == "fit" else checkpoint
        config.pop("fresh", None)
        self.config_dump = config  # Lightning would write and read it once more
        config = self.hide(config)
        self.trainer_defaults["callbacks"] = [
            StepSeed(settings.seed_everything),
            ZeroRate(),
            LeakCheck(),
            RunRecord(config, self.arguments, self.verb, hide=self.hide),
            WandbResults(settings.wandb_artifacts),
            *adopted,
            *self._fold_report(config),
            LearningCurve(),
            Latency(),
            Size(),
            *([RunProgress()] if settings.trainer.enable_progress_bar is not False else []),
        ]
        settings.trainer.default_root_dir = str(self.session.run.path)
        settings.ckpt_path = checkpoint

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """Make the trainer with the run's loggers and checkpoints."""
        trainer = self.config_init[self.verb].trainer
        loggers = trainer.logger if isinstance(trainer.logger, list) else [trainer.logger]
        plugins = trainer.plugins if isinstance(trainer.plugins, list) else [trainer.plugins]
        given = [logger for logger in loggers if not isinstance(logger, (bool, type(None)))]
        return super().instantiate_trainer(
            logger=[*self._loggers(), *given],
            plugins=[
                AtomicCheckpointIO(self._read),
                *slurm_plugins(),
                *(plugin for plugin in plugins if plugin is not None),
            ],
            **kwargs,
        )

    def after_instantiate_classes(self) -> None:
        """Say how large the model is, before its data are drawn or read.

        Raises:
            CommandError: If the model has nothing to train, or the strategy cannot train it.
        """
        check_weights(self.model)
        if self.verb == "fit":
            check_strategy(self.model, self.trainer)
            for line in describe_size(self.model, self.trainer.strategy.root_device.type):
                say(line)

    def after_fit(self) -> None:
        """Mark the run as finished and say what comes next.

        Raises:
            CommandError: If not one batch was trained on.
        """
        check_trained(self.trainer, self._settings.trainer.max_time)
        timers = [c for c in self.trainer.callbacks if isinstance(c, Timer)]  # type: ignore[attr-defined]
        # A fold has max_time for its budget: it is over when the time is.
        if self.session.fold is None and any((c.time_remaining() or 1) <= 0 for c in timers):
            self.session.stop()
            say(
                f"trainer.max_time ended the training in epoch {self.trainer.current_epoch + 1}. "
                f"{self.session.how_to_go_on()}"
            )
            return
        kept = self.trainer.checkpoint_callback
        self.session.finish(
            epoch=self.trainer.current_epoch,
            step=self.trainer.global_step,
            validation=kept.validation if isinstance(kept, RunCheckpoints) else {},
        )
        self._tell_end()

    @property
    def _settings(self) -> Namespace:
        settings: Namespace = self.config[self.verb]
        return settings

    @property
    def verb(self) -> str:
        """The command: fit, validate, test or predict."""
        return str(self.subcommand)

    def resolve(self) -> dict[str, Any]:
        """Return the config that the command line comes to, as plain values.

        Raises:
            CommandError: If it says where the run lives, or is no longer that of the other folds.
        """
        settings = self._settings
        settings.experiment = settings.experiment or self._experiment_name()
        check_settings(settings)
        config = self._plain_config()
        fold = self.session.fold
        if fold is not None and shared_config_hash(config) != fold.digest:
            raise usage_error(
                f"The config is no longer that of the other folds in {Path(fold.folder).parent}: "
                "a config file was changed meanwhile."
            )
        return config

    def _experiment_name(self) -> str:
        files = config_files(self.arguments)
        return Path(files[0]).stem if files else "unnamed"

    def _plain_config(self) -> dict[str, Any]:
        """Return the resolved config of the command, which was checked, as plain values."""
        text = self._parser(self.verb).dump(self._settings, skip_unset=False, skip_validation=True)
        config: dict[str, Any] = yaml.safe_load(text)
        return config

    def _reconciled(self, checkpoint: Path, config: dict[str, Any]) -> dict[str, Any]:
        """Return the config with what holds of the checkpoint's model; see `reconcile`."""
        self._read[checkpoint] = read_checkpoint(checkpoint)
        saved = self._read[checkpoint].get("config")
        if saved is None:
            say(f"{checkpoint} says nothing of its config, so nothing was compared.")
            return config
        found = reconcile(
            saved,
            self.hide(config),
            by_hand=given_by_hand(self.arguments, "model"),
            training=self.verb == "fit",
        )
        for line in found.said:
            say(line)
        if not found.model:
            return config
        model = {"class_path": config["model"]["class_path"], "init_args": found.model}
        self.config = self.parser.parse_object({self.verb: {"model": model}}, self.config)
        return self._plain_config()

    def _tell_end(self) -> None:
        """Say how good the best checkpoint is, where everything is, and what to type next."""
        run, kept = self.session.run, self.trainer.checkpoint_callback
        if isinstance(kept, RunCheckpoints) and kept.best_score is not None:
            epoch, step = kept.best_epoch, kept.best_step
            place = "" if epoch is None else f" in epoch {epoch + 1}, step {step}"
            say(f"Best: {kept.monitor} {kept.best_score:.4g}{place}")
        if run.last.exists():
            say(f"Everything is in {run.path}")
            if isinstance(kept, RunCheckpoints) and kept.monitor and kept.best_score is None:
                say(
                    f"No checkpoint is the best: the {self.trainer.global_step} steps ended before "
                    "the first validation. Train longer, validate more often "
                    "(--trainer.val_check_interval), or take --ckpt_path last."
                )
        if (run.checkpoints / "best.ckpt").exists() and self.session.fold is None:
            given = without_user(shlex.join(arguments_of_test(self.given)))
            say(f"Test it with: lightning test {given}")
            say(f"Use it with: lightning predict {given} --data.input PICTURE_VIDEO_OR_FOLDER")

    def _fold_report(self, config: dict[str, Any]) -> list[pl.Callback]:
        if self.session.fold is None:
            return []
        validation: dict[str, float] = {}
        if self.verb == "test":
            with contextlib.suppress(OSError, UserError):  # weights that were trained elsewhere
                validation = chosen_validation(self.session.run.path)
        return [FoldReport(self.session.fold.digest, config, validation)]

    def _loggers(self) -> list[Any]:
        settings, run = self._settings, self.session.run
        loggers: list[Any] = [MetricsCSV(run.path)]
        mode = wandb_mode(settings.wandb)
        if mode != "disabled":
            kept = settings.checkpoint
            best = {kept.monitor: kept.mode} if self.verb == "fit" and kept.monitor else {}
            loggers.append(wandb_logger(run.path, mode, self._identity, best))
        return loggers

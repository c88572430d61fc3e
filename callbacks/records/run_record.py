"""What a result can be traced back to: its config, environment and data, in the run folder."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import yaml
from lightning.pytorch.utilities import rank_zero_info

from callbacks.records.source import source_state
from datamodules.store.replacing import replacing, write_json

_PACKAGES = (
    "fer-lightning",
    "torch",
    "lightning",
    "torchmetrics",
    "kornia",
    "numpy",
    "opencv-contrib-python",
    "scikit-learn",
    "optuna",
    "jsonargparse",
    "omegaconf",
    "wandb",
)


class RunRecord(pl.Callback):
    """Writes the config, the environment and the data of a command, and sends the first two on.

    A training writes `config.yaml`, `environment.json` and `data.txt`; what is done later in the
    same folder (`test`, ...) leaves them alone and writes `config.<command>.yaml`, and so on.

    Args:
        config: The resolved config, plain values.
        command: The command line, as given.
        subcommand: `fit`, `validate`, `test` or `predict`.
        hide: Takes out of plain values what is not to be written down.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        command: Sequence[str],
        subcommand: str,
        hide: Callable[[Any], Any] = lambda content: content,
    ) -> None:
        self.config = dict(config)
        self.command = list(command)
        self.subcommand = subcommand
        self.hide = hide

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Write the files, once the data is known."""
        if not trainer.is_global_zero:
            return
        folder = Path(trainer.default_root_dir)
        fitting = self.subcommand == "fit"
        whole = fitting or not (folder / "config.yaml").exists()
        name = "config.yaml" if whole else f"config.{self.subcommand}.yaml"
        with replacing(folder / name) as aside:
            aside.write_text(yaml.safe_dump(self.config, sort_keys=False), "utf-8")
        if description := getattr(trainer.datamodule, "description", ""):  # type: ignore[attr-defined]
            about_data = folder / ("data.txt" if whole else f"data.{self.subcommand}.txt")
            with replacing(about_data) as aside:
                aside.write_text(f"{description}\n", "utf-8")
            rank_zero_info(f"All about the data: {about_data}")
        if whole:
            environment = describe_environment(trainer, self.hide(self.command))
            write_json(folder / "environment.json", environment)
            # The command line stays here: it may name folders, or hold what nobody else should see.
            sent = {key: value for key, value in environment.items() if key != "command"}
            for logger in trainer.loggers:
                logger.log_hyperparams({**self.config, "environment": sent})

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Put the config into the checkpoint, which may be moved away from its run folder."""
        checkpoint["config"] = self.config
        for key in ("hyper_parameters", "datamodule_hyper_parameters"):
            if key in checkpoint:
                checkpoint[key] = self.hide(dict(checkpoint[key]))


def describe_environment(trainer: pl.Trainer, command: Sequence[str]) -> dict[str, Any]:
    """Describe what a run depends on besides its config, naming no machine and no person."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    device = trainer.strategy.root_device
    home = str(Path.home())
    return {
        "command": [argument.replace(home, "~") for argument in command],
        "data": {
            "source": getattr(data, "source", None),
            "manifest_hash": getattr(data, "manifest_hash", None),
        },
        "git": source_state(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "devices": trainer.world_size,
        "threads": torch.get_num_threads(),
        # PyTorch itself says of which build it is; its package does not everywhere.
        "versions": {
            **{name: version(name) for name in _PACKAGES},
            "torch": str(torch.__version__),
        },
    }


def version(name: str) -> str | None:
    """Return the version of an installed package; None where it is not there."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None

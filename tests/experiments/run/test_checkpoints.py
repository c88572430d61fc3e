from __future__ import annotations

import errno
import resource
import shutil
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch

import experiments.run.checkpoints
from callbacks.training.step_seed import StepSeed
from experiments.command.console import quiet
from experiments.command.execute import explain
from experiments.run.checkpoints import AtomicCheckpointIO, RunCheckpoints
from lightning_modules.networks.weights import read_checkpoint
from tests.experiments.tiny import TinyData, TinyGAN


class Keeping(AtomicCheckpointIO):
    """Keeps a copy of every checkpoint ever written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept: list[Path] = []

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        super().save_checkpoint(checkpoint, path)
        copy = self.folder / f"{len(self.kept):02d}-{Path(path).name}"
        shutil.copy(path, copy)
        self.kept.append(copy)


def fit(
    folder: Path,
    plugin: AtomicCheckpointIO,
    start: Path | None = None,
    monitor: str = "val/x",
    **settings: Any,
) -> tuple[TinyGAN, pl.Trainer]:
    with quiet():
        pl.seed_everything(1)
        model, data = TinyGAN(), TinyData()
        model.hparams.pop("optimizer")  # a function; the command line puts its config here
        trainer = pl.Trainer(
            **{"max_epochs": 2, **settings},
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            default_root_dir=folder,
            callbacks=[StepSeed(3), RunCheckpoints(monitor, every_minutes=0)],
            plugins=[plugin],
        )
        trainer.fit(model, data, ckpt_path=start and str(start))
    return model, trainer


def state(model: TinyGAN, trainer: pl.Trainer) -> list[Any]:
    optimizers = [optimizer.state_dict() for optimizer in trainer.optimizers]
    schedulers = [config.scheduler.state_dict() for config in trainer.lr_scheduler_configs]
    return [model.state_dict(), optimizers, schedulers, trainer.global_step]


def flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for key in value for leaf in (key, *flat(value[key]))]
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in flat(item)]
    return [value.tolist() if isinstance(value, torch.Tensor) else value]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"max_steps": 10, "max_epochs": None},
        {"max_steps": 8},
        {"val_check_interval": 0.4},
        {"check_val_every_n_epoch": 2},
    ],
    ids=str,
)
def test_training_resumed_from_any_checkpoint_ends_at_the_same_bits(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    keeping = Keeping(tmp_path)
    expected = state(*fit(tmp_path / "whole", keeping, **settings))
    names = [path.name.split("-")[1] for path in keeping.kept]
    assert names.count("best.ckpt") >= 1
    # 5 batches an epoch; the last one of each is saved at the epoch's end.
    assert names.count("last.ckpt") >= 6
    for start in keeping.kept:
        resumed = state(*fit(tmp_path / "resumed", AtomicCheckpointIO(), start, **settings))
        # The best may be from the very end, after which only its epoch's end is left to do.
        parts = 1 if start.name.endswith("best.ckpt") else None
        assert flat(resumed[:parts]) == flat(expected[:parts]), start.name


def test_no_checkpoint_is_of_the_last_batch_before_the_epochs_end(tmp_path: Path) -> None:
    keeping = Keeping(tmp_path)
    fit(tmp_path, keeping)
    for path in keeping.kept:
        checkpoint = read_checkpoint(path)
        done = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]["ready"]
        ended = checkpoint["lr_schedulers"][0]["last_epoch"] == checkpoint["epoch"] + 1
        assert path.name.endswith("best.ckpt") or (done == 5) == ended


def test_best_is_the_lowest_validation_and_last_the_end(tmp_path: Path) -> None:
    model, trainer = fit(tmp_path, AtomicCheckpointIO(), max_epochs=4, val_check_interval=0.4)
    checkpoints = tmp_path / "checkpoints"
    last = read_checkpoint(checkpoints / "last.ckpt")
    assert all(torch.equal(last["state_dict"][k], v) for k, v in model.state_dict().items())
    best = read_checkpoint(checkpoints / "best.ckpt")["callbacks"]["RunCheckpoints"]["best_score"]
    assert best <= float(trainer.callback_metrics["val/x"])
    assert sorted(path.name for path in checkpoints.iterdir()) == ["best.ckpt", "last.ckpt"]


def test_a_run_that_starts_from_another_ones_checkpoint_has_a_best_of_its_own(
    tmp_path: Path,
) -> None:
    keeping = Keeping(tmp_path)
    fit(tmp_path / "first", keeping)
    for folder, best in (("second", True), ("first", False)):
        (tmp_path / folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        trainer = pl.Trainer(default_root_dir=tmp_path / folder, logger=False, accelerator="cpu")
        callback = RunCheckpoints("val/x")
        callback.setup(trainer, TinyGAN(), "fit")
        callback.load_state_dict({**callback.state_dict(), "best_score": 0.5})
        assert (callback.best_score is None) is best


def test_a_monitor_that_is_not_logged_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"monitor is val/y.*did you mean val/x\?"):
        fit(tmp_path, AtomicCheckpointIO(), monitor="val/y", max_epochs=1)


def test_what_was_read_already_is_given_out_once(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    version = {"pytorch-lightning_version": "2.6"}
    read = {"state_dict": {"w": torch.zeros(2)}, **version}
    plugin = AtomicCheckpointIO({path: read})
    plugin.save_checkpoint({"state_dict": {"w": torch.ones(2)}, **version}, path)
    assert plugin.load_checkpoint(path) is read
    assert plugin.load_checkpoint(path)["state_dict"]["w"].tolist() == [1, 1]


@pytest.mark.parametrize("moment", ["save", "fsync", "replace"])
def test_a_write_that_fails_leaves_the_checkpoint_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    path, plugin = tmp_path / "last.ckpt", AtomicCheckpointIO()
    plugin.save_checkpoint({"state_dict": {"w": torch.zeros(2)}}, path)

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    target = {"save": (torch, "save"), "fsync": (experiments.run.checkpoints.os, "fsync")}
    monkeypatch.setattr(*target.get(moment, (Path, "replace")), full)
    with pytest.raises(OSError, match="No space"):
        plugin.save_checkpoint({"state_dict": {"w": torch.ones(2)}}, path)
    monkeypatch.undo()
    assert read_checkpoint(path)["state_dict"]["w"].tolist() == [0, 0]
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_limit_or_a_full_disk_while_a_checkpoint_is_written_is_an_error_of_the_disk(
    tmp_path: Path,
) -> None:
    """torch itself only says that its archive broke off."""
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"state_dict": {}}, path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            AtomicCheckpointIO().save_checkpoint({"state_dict": torch.ones(10**5)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(path)
    assert "which goes on from the last checkpoint" in str(explain(caught.value))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.ckpt"]

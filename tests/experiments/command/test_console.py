from __future__ import annotations

import sys
from pathlib import Path

import pytest

import experiments.command.console
from experiments.cli import main


def test_lines_where_a_bar_cannot_be_redrawn(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not sys.stdout.isatty()
    # Each look at the clock is ten seconds after the one before.
    clock = iter(range(0, 100_000, 10))
    monkeypatch.setattr(experiments.command.console.time, "monotonic", lambda: float(next(clock)))
    command = ["--config=tiny.yaml", "--trainer.enable_progress_bar=true"]
    main(["fit", *command])
    said = capfd.readouterr().err
    assert "epoch 1/2, batch 2/5" in said
    assert "left of the epoch" in said
    assert "epoch 2/2 in" in said
    assert ", val/x 0." in said
    main(["test", *command, "--ckpt_path=best"])
    assert "test: batch 2/2" in capfd.readouterr().err


def test_lines_of_a_training_that_is_limited_by_steps(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    limits = ["--trainer.max_epochs=-1", "--trainer.max_steps=8"]
    main(["fit", "--config=tiny.yaml", "--trainer.enable_progress_bar=true", *limits])
    said = capfd.readouterr().err
    assert "epoch 1, step 5/8 in" in said

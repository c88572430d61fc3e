from __future__ import annotations

from pathlib import Path

import pytest

import experiments.command.display
from experiments.cli import main

FIT = ("fit", "--config=tiny.yaml", "--trainer.enable_progress_bar=true")


def test_a_training_in_a_pipe(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    main([*FIT])
    said = capfd.readouterr().err.splitlines()
    first, second = (line for line in said if ", epoch " in line)
    assert first.startswith("val/x 0.")
    assert " *, epoch 1/2, train/g " in first  # the first validation is the best so far
    assert second.endswith(", 0 s left")
    (best,) = (line for line in said if line.startswith("Best: val/x 0."))
    assert (" in epoch 2, step 10" in best) == (" *, epoch 2/2" in second)
    (everything,) = (line for line in said if line.startswith("Everything is in runs"))
    assert Path(everything.split()[-1], "checkpoints", "best.ckpt").is_file()
    (test,) = (line.split(": ", 1)[1] for line in said if line.startswith("Test it with: "))
    main(test.split()[1:])
    assert "test: batch 2/2" in capfd.readouterr().err


def test_lines_within_a_long_epoch(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 100_000, 20))  # each look at it is twenty seconds after the one before
    monkeypatch.setattr(experiments.command.display.time, "monotonic", lambda: float(next(clock)))
    main([*FIT])
    said = capfd.readouterr().err
    assert "epoch 1/2: batch 2/5, " in said
    assert " min 20 s left" in said


def test_rows_of_a_training_by_steps_go_on_after_a_resume(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    steps = ["--trainer.max_epochs=-1", "--trainer.check_val_every_n_epoch=null"]
    steps += ["--trainer.val_check_interval=4"]
    main([*FIT, *steps, "--trainer.max_steps=8"])
    assert _places(capfd.readouterr().err) == ["step 4/8", "step 8/8"]
    main([*FIT, *steps, "--trainer.max_steps=12", "--ckpt_path=last"])
    said = capfd.readouterr().err
    assert _places(said) == ["step 12/12"]


def test_a_training_that_ends_before_its_first_validation_says_so(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    steps = ["--trainer.check_val_every_n_epoch=null", "--trainer.val_check_interval=8"]
    main([*FIT, *steps, "--trainer.max_epochs=1"])
    said = capfd.readouterr().err
    assert "steps ended before the first validation. Train longer" in said
    with pytest.raises(SystemExit):
        main(["test", "--config=tiny.yaml", "--ckpt_path=best"])
    assert "has a best.ckpt yet: train one with lightning fit, or give last or" in (
        capfd.readouterr().err
    )


def _places(said: str) -> list[str]:
    rows = [line.split(", ") for line in said.splitlines() if ", lr " in line]
    return [next(part for part in parts if part.startswith("step ")) for parts in rows]

from __future__ import annotations

from pathlib import Path

import pytest

from datamodules.errors import UserError
from experiments.cli import main
from experiments.run.validation import chosen_validation

TINY = """
model: tests.experiments.sweep.tiny_sweep.TinySearched
data: {class_path: tests.experiments.crossval.tiny_folds.TinyFolds, init_args: {folds: 3}}
trainer: {accelerator: cpu, max_epochs: 3, enable_progress_bar: false}
"""


def rows(run: Path) -> list[dict[str, str]]:
    """The rows of validations; rate and time have rows of their own."""
    head, *lines = (run / "metrics.csv").read_text().splitlines()
    found = [dict(zip(head.split(","), line.split(","), strict=True)) for line in lines]
    return [row for row in found if row["val/loss"]]


@pytest.mark.parametrize(("monitor", "epoch"), [("val/falling", 0), ("null", 2)])
def test_it_is_that_of_the_kept_weights_and_no_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, monitor: str, epoch: int
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    text = f"checkpoint: {{monitor: {monitor}, mode: max}}\n"
    (tmp_path / "tiny.yaml").write_text(TINY + text)
    main(["fit", "--config=tiny.yaml"])
    (run,) = (tmp_path / "runs" / "tiny").iterdir()
    chosen = chosen_validation(run)
    assert chosen["val/loss"] == pytest.approx(float(rows(run)[epoch]["val/loss"]))
    assert set(chosen) == {"val/accuracy", "val/loss", "val/falling"}
    # What is tested in this fold is validated in the one before; that is no validation of it.
    weights = run / "checkpoints" / "last.ckpt"
    main(["validate", "--config=tiny.yaml", "--data.fold=2", f"--ckpt_path={weights}"])
    assert float(rows(run)[-1]["val/loss"]) != pytest.approx(chosen["val/loss"])
    assert chosen_validation(run) == chosen


def test_a_run_without_validation_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^No training with a validation has finished in "):
        chosen_validation(tmp_path)

from __future__ import annotations

from pathlib import Path

import pytest

from datamodules.errors import UserError
from experiments.run.validation import chosen_validation

# As `MetricsCSV` writes it: rows of training and validation, a test at the end.
METRICS = """step,train/loss,val/loss,val/accuracy,test/accuracy
4,0.9,,,
4,,0.8,0.50,
8,,0.6,0.25,
12,,0.6,0.75,
16,,nan,1.0,
16,,,,0.99
"""


def run_of(folder: Path, monitor: str, mode: str, metrics: str = METRICS) -> Path:
    (folder / "config.yaml").write_text(f"checkpoint: {{monitor: {monitor}, mode: {mode}}}")
    (folder / "metrics.csv").write_text(metrics)
    return folder


@pytest.mark.parametrize(
    ("monitor", "mode", "accuracy"),
    [
        # The first of equal ones, and never one that is not finite.
        ("val/loss", "min", 0.25),
        ("val/loss", "max", 0.50),
        ("val/accuracy", "max", 1.0),
        # Nothing chose: the last weights are tested.
        ("null", "min", 1.0),
    ],
)
def test_it_is_that_of_the_chosen_epoch(
    tmp_path: Path, monitor: str, mode: str, accuracy: float
) -> None:
    chosen = chosen_validation(run_of(tmp_path, monitor, mode))
    assert chosen["val/accuracy"] == accuracy
    assert all(key.startswith("val/") for key in chosen)


def test_a_run_without_validation_is_named(tmp_path: Path) -> None:
    run = run_of(tmp_path, "val/auc", "max")
    with pytest.raises(UserError, match=r"has no validation with val/auc"):
        chosen_validation(run)
    run = run_of(tmp_path, "null", "min", "step,test/accuracy\n4,0.9\n")
    with pytest.raises(UserError, match=r"has no validation\."):
        chosen_validation(run)

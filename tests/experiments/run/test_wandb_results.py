from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from callbacks.records.predictions import Predictions
from experiments.run.checkpoints import RunCheckpoints
from experiments.run.loggers import wandb_logger
from experiments.run.wandb_results import Artifacts, WandbResults
from experiments.run.wandb_run import WandbIdentity, close_wandb
from tests.experiments.wandb_file import read_offline_runs


@pytest.mark.parametrize(
    ("level", "sent"),
    [
        ("none", []),
        ("predictions", ["predictions-0a1b2c3d"]),
        ("all", ["model-0a1b2c3d", "predictions-0a1b2c3d"]),
    ],
)
def test_how_much_is_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], level: Artifacts, sent: list[str]
) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "best.ckpt").write_bytes(b"0" * 200_000)
    (tmp_path / "predictions.csv").write_text("sample,label\nS1/1,anger\n")
    kept = RunCheckpoints("val/x", "max")
    kept.best_score = 0.75
    logger = wandb_logger(
        tmp_path, "offline", WandbIdentity("0a1b2c3d", "g", "train", "n"), {"val/x": "max"}
    )
    logger.log_metrics({"val/x": 0.5}, 1)
    trainer: Any = SimpleNamespace(
        checkpoint_callback=kept,
        callbacks=[Predictions()],
        loggers=[logger],
        default_root_dir=str(tmp_path),
        is_global_zero=True,
    )
    results = WandbResults(level)
    results.on_fit_end(trainer, cast(Any, None))
    results.on_test_end(trainer, cast(Any, None))
    close_wandb()
    (run,) = read_offline_runs(tmp_path)
    assert run.artifacts == sent
    # The best of before a resume, which this process of W&B never saw.
    assert run.summary["val/x"] == {"max": 0.75}
    said = capsys.readouterr().err
    assert ("best.ckpt as an artifact, 0.2 MB" in said) == (level == "all")

"""The W&B runs of a whole study and of a whole transfer, read back from their files."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from experiments.study.tracking import send_summary
from experiments.transfer.plan import Plan
from experiments.transfer.tracking import send_summary as send_transfer
from tests.experiments.wandb_file import read_offline_runs


def table_of(folder: Path, name: str) -> dict[str, Any]:
    file = next(folder.glob(f"wandb/**/{name}*.table.json"))
    values: dict[str, Any] = json.loads(file.read_text())
    return values


def test_a_study_is_a_run_with_its_table(tmp_path: Path) -> None:
    estimate = {"n": 3, "mean": 0.5, "std": 0.1, "low": 0.3, "high": 0.7}
    row = {
        "row": "PCNN",
        "data": "ckplus",
        "measures": {"accuracy": "accuracy", "F1": "f1_macro"},
        "cells": {"accuracy": estimate, "F1": None},
        "published": {"accuracy": {"value": 85.1, "differences": []}, "F1": None},
    }
    summary = {"study": "mine", "title": "Mine", "columns": ["accuracy", "F1"], "rows": [row]}
    summary |= {"seeds": [0, 1], "fold": None}
    about = SimpleNamespace(description=SimpleNamespace(group="pcnn-5e771295"))
    rows = [SimpleNamespace(name="PCNN", data="ckplus", runs=(about,))]
    for _ in range(2):  # the same command again is the same run
        send_summary(tmp_path, ["--wandb", "offline"], summary, cast(Any, rows))
    send_summary(tmp_path, ["--wandb=disabled"], summary, cast(Any, rows))
    first, run = read_offline_runs(tmp_path)
    assert first.run_id == run.run_id
    assert (run.group, run.job_type) == ("study-mine", "study-summary")
    assert run.summary["study/PCNN/ckplus/accuracy_mean"] == 0.5
    assert run.summary["study/PCNN/ckplus/accuracy_std"] == 0.1
    assert run.config["groups"] == {"PCNN/ckplus": "pcnn-5e771295"}
    written = table_of(tmp_path, "study/rows")
    assert [line[:3] for line in written["data"]] == [
        ["PCNN", "ckplus", "accuracy"],
        ["PCNN", "ckplus", "F1"],
    ]


def test_a_transfer_is_a_run_with_its_cells(tmp_path: Path) -> None:
    cells = [
        {"pretrain": "a", "train": "b", "test": test, "published": None, **values}
        for test, values in (
            ("b", {"accuracy": 0.5, "areas": {"anger": 0.75}, "missing": None}),
            ("c", {"accuracy": None, "areas": {}, "missing": "classes differ"}),
        )
    ]
    config = {"wandb": "offline", "model": {"class_path": "lightning_modules.DCGANSVM"}}
    plan = SimpleNamespace(folder=tmp_path, group="dcgan-transfer-5e771295", sets={"a": 0, "b": 0})
    plan.config, plan.shown = config, {**config, "home": f"{Path.home()}/faces"}
    send_transfer(cast(Plan, plan), {"cells": cells, "seed": 3, "task": "emotions"})
    (run,) = read_offline_runs(tmp_path)
    assert (run.group, run.job_type) == ("dcgan-transfer-5e771295", "transfer-summary")
    assert run.name == "DCGANSVM-transfer-a+b-s3"
    assert run.summary["transfer/n_cells"] == 1
    assert run.summary["transfer/a/b/b/accuracy"] == 0.5
    assert run.summary["transfer/a/b/b/anger"] == 0.75
    assert run.config["home"] == "~/faces"
    assert ["a", "b", "c", "accuracy"] in [
        line[:4] for line in table_of(tmp_path, "transfer/cells")["data"]
    ]

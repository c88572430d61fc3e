"""The W&B run of a whole study, beside those of its folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from experiments.jobs.context import wandb_id
from experiments.run.folder import created
from experiments.run.parent_run import ParentRun, table
from experiments.run.wandb_run import WandbIdentity, WandbMode, wandb_mode
from experiments.study.summary import Row
from experiments.study.table import as_rows


def send_summary(
    folder: Path, fit: Sequence[str], summary: Mapping[str, Any], rows: Sequence[Row]
) -> None:
    """Send the table of a study, as numbers and as a table, where W&B is wanted.

    Args:
        folder: Folder of the study.
        fit: Command line of `fit` that all rows share, which may choose the mode of W&B.
        summary: What `summary_of` returned.
        rows: What it is of.
    """
    mode = wandb_mode(_chosen(fit))
    if mode == "disabled":
        return
    identity = WandbIdentity(
        id=wandb_id(created(folder), "summary"),
        group=f"study-{summary['study']}",
        job="study-summary",
        name=f"study-{summary['study']}-{len(summary['seeds'])}-seeds",
        tags=("study",),
    )
    config = {key: summary[key] for key in ("study", "title", "columns", "seeds", "fold")}
    # By which the runs of a row are found.
    config["groups"] = {
        f"{row.name}/{row.data}": run.description.group for row in rows for run in row.runs
    }
    metrics: dict[str, float] = {"study/n_rows": float(len(rows))}
    for row in summary["rows"]:
        for title, cell in row["cells"].items():
            for part in ("mean", "std"):
                if cell is not None and cell[part] is not None:
                    metrics[f"study/{row['row']}/{row['data']}/{title}_{part}"] = cell[part]
    columns, *lines = as_rows(summary)
    run = ParentRun(folder, mode, identity, config)
    run.finish(metrics, {"study/rows": table(columns, lines)})


def _chosen(fit: Sequence[str]) -> WandbMode | None:
    for place, argument in enumerate(fit):
        name, equals, value = argument.partition("=")
        if name == "--wandb":
            return cast(WandbMode, value if equals else fit[place + 1])
    return None

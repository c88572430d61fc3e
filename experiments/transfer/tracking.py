"""The W&B run of a whole transfer, beside those of its steps."""

from __future__ import annotations

from experiments.jobs.context import wandb_id
from experiments.run.folder import created
from experiments.run.parent_run import ParentRun, table
from experiments.run.wandb_run import WandbIdentity, wandb_mode
from experiments.transfer.plan import Plan
from experiments.transfer.report import Summary, as_rows


def send_summary(plan: Plan, summary: Summary) -> None:
    """Send the cells that have a result, as numbers and as a table, where W&B is wanted."""
    mode = wandb_mode(plan.config["wandb"])
    if mode == "disabled":
        return
    method = plan.config["model"]["class_path"].rsplit(".", 1)[-1]
    identity = WandbIdentity(
        id=wandb_id(created(plan.folder), "summary"),
        group=plan.group,
        job="transfer-summary",
        name=f"{method}-transfer-{'+'.join(plan.sets)}-s{summary['seed']}",
        tags=(method, "transfer"),
    )
    done = [cell for cell in summary["cells"] if cell["missing"] is None]
    metrics = {"transfer/n_cells": float(len(done))}
    for cell in done:
        name = "/".join(cell[part] for part in ("pretrain", "train", "test"))
        values = {"accuracy": cell["accuracy"], **cell["areas"]}
        metrics |= {f"transfer/{name}/{k}": v for k, v in values.items() if v is not None}
    columns, *rows = as_rows(summary)
    run = ParentRun(plan.folder, mode, identity, plan.shown)
    run.finish(metrics, {"transfer/cells": table(columns, rows)})

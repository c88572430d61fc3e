"""What the validation of a run came to in the epoch whose weights are tested."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import yaml

from datamodules.errors import UserError

_PREFIX = "val/"


def chosen_validation(run: Path) -> dict[str, float]:
    """Read the validation of the epoch that `checkpoint.monitor` chose; of the last without one.

    Args:
        run: Folder of a run of `fit`, or of a fold.

    Returns:
        What the validation logged, such as `val/accuracy`, by its name.

    Raises:
        UserError: If there is no such validation.
    """
    config = yaml.safe_load((run / "config.yaml").read_text("utf-8"))["checkpoint"]
    monitor, sign = config["monitor"], -1 if config["mode"] == "min" else 1
    rows = list(_validations(run / "metrics.csv"))
    if monitor is None:
        chosen = rows[-1] if rows else None
    else:
        scored = [row for row in rows if math.isfinite(row.get(monitor, math.nan))]
        # As in `RunCheckpoints`, the first of equal ones.
        chosen = max(scored, key=lambda row: sign * row[monitor], default=None)
    if chosen is None:
        raise UserError(f"{run} has no validation{f' with {monitor}' if monitor else ''}.")
    return chosen


def _validations(metrics: Path) -> Iterator[dict[str, float]]:
    if not metrics.is_file():
        return
    with metrics.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            values = {k: float(v) for k, v in row.items() if k and k.startswith(_PREFIX) and v}
            if values:
                yield values

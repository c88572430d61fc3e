"""Stands for `python -m experiments fit` of a fold of a sweep's trial: it knows its validation.

The accuracy is one minus the distance of the learning rate from 0.5, minus a hundredth a fold. It
fails where there is a file `fails` in the folder of all runs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path[:0] = [
    str(Path(__file__).resolve().parents[1] / "crossval"),
    str(Path(__file__).resolve().parents[3]),
]

from made import split_of  # noqa: E402  # found by the lines above

from experiments.jobs.context import StepContext, die_with_parent  # noqa: E402

FOLDS = 3


def main() -> None:
    verb, given = sys.argv[1], dict(argument[2:].split("=", 1) for argument in sys.argv[2:])
    context = StepContext.current()
    die_with_parent(context.parent)
    folder, fold, lr = Path(context.folder), int(given["data.fold"]), float(given["model.lr"])
    runs = folder.parents[2]
    with (runs / "calls.txt").open("a") as calls:
        calls.write(f"{verb} {folder.parent.name} {fold}\n")
    if (runs / "fails").exists():
        print("lightning: no luck", flush=True)
        sys.exit(1)
    (folder / "split.json").write_text(json.dumps(split_of(fold, FOLDS)))
    (folder / "config.yaml").write_text("data: {init_args: {fold: 0}}")
    (folder / "checkpoints").mkdir(exist_ok=True)
    (folder / "checkpoints" / "best.ckpt").touch()
    accuracy = 1 - abs(lr - 0.5) - 0.01 * fold
    status = {"state": "finished", "validation": {"val/accuracy": accuracy}}
    (folder / "status.json").write_text(json.dumps(status))


main()

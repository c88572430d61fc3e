"""Stands for `python -m experiments fit|test` of a fold: trains in steps that can be resumed.

Beside what every fold is given, `--folds` says how many there are. What else it does is in the file
`behaviour.json` of the cross-validation: for a fold, what happens to it in a step.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[3])]

from made import split_of, write_fold  # noqa: E402  # found by the line above

from experiments.jobs.context import StepContext, die_with_parent  # noqa: E402

STEPS = 4


def replace(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}")
    aside.write_text(text)
    aside.replace(path)


def behave(step: str, fold: str, folder: Path, moment: str) -> None:
    file = folder.parent / "behaviour.json"
    behaviour = json.loads(file.read_text()) if file.exists() else {}
    wanted = behaviour.get(fold, {}).get(f"{step} {moment}")
    if wanted == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif wanted == "pause":
        time.sleep(0.5)
    elif wanted == "wait":
        (folder / "waits").touch()
        time.sleep(60)
    elif wanted:
        print(wanted["says"], flush=True)
        sys.exit(wanted["code"])


def main() -> None:
    step, given = sys.argv[1], dict(argument[2:].split("=", 1) for argument in sys.argv[2:])
    context = StepContext.current()
    die_with_parent(context.parent)
    folder, fold, folds = Path(context.folder), given["data.fold"], int(given["folds"])
    with (folder.parent / "calls.txt").open("a") as calls:
        calls.write(f"{step} {fold} {os.environ.get('CUDA_VISIBLE_DEVICES', '-')}\n")
    behave(step, fold, folder, "begin")
    (folder / "split.json").write_text(json.dumps(split_of(int(fold), folds)))
    last = folder / "checkpoints" / "last.ckpt"
    if step == "fit":
        last.parent.mkdir(exist_ok=True)
        done, weight = json.loads(last.read_text()) if last.exists() else (0, int(fold))
        replace(folder / "status.json", json.dumps({"state": "running"}))
        while done < STEPS:
            done, weight = done + 1, (31 * weight + 7) % 1009
            replace(last, json.dumps([done, weight]))
            behave(step, fold, folder, f"step {done}")
        replace(folder / "status.json", json.dumps({"state": "finished"}))
    else:
        _, weight = json.loads(Path(given["ckpt_path"]).read_text())
        write_fold(folder, int(fold), folds=folds, wrong=weight % 3, loss=weight / 1009)


main()

"""`lightning sync`: send to W&B what runs left on the disk while they were offline."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from datamodules.errors import printable
from datamodules.store.lock import try_lock
from experiments.command.arguments import CommandParser
from experiments.command.errors import CommandError
from experiments.run.folder import WANDB_LOCK

_AT_ONCE = 4
_SETTINGS = {
    # W&B 0.31 itself asks a server that does not answer for days.
    "WANDB__GRAPHQL_RETRY_MAX": "2",
    "WANDB__FILE_STREAM_RETRY_MAX": "5",
    # Reports of its crashes name the machine.
    "WANDB_ERROR_REPORTING": "false",
}
_NO_LOGIN = "No API key configured"


def sync(args: Sequence[str]) -> None:
    """Run `lightning sync`.

    Raises:
        CommandError: If the command line is wrong, or not every run was sent.
    """
    parser = CommandParser(
        "sync",
        description="Send every offline run below some folders to W&B, each once.",
        epilog="The address and the key are those of `wandb login`, or WANDB_BASE_URL and "
        "WANDB_API_KEY.",
    )
    parser.add_argument(
        "folders", nargs="*", type=Path, default=[Path("runs")], help="Default: runs."
    )
    folders: list[Path] = parser.parse_args(list(args)).folders
    if missing := [str(folder) for folder in folders if not folder.is_dir()]:
        raise CommandError(f"There is no folder {missing[0]}: give folders with runs below them.")
    runs = {path: parts for folder in folders for path, parts in unsent(folder).items()}
    running = [path for path in runs if _is_running(path)]
    for path in running:
        print(f"{path}: is still running; send it later", flush=True)
    waiting = [path for path in runs if path not in running]
    if not waiting:
        print(f"There is nothing to send below {', '.join(map(str, folders))}.", flush=True)
        return
    failed = 0
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            for path, why in zip(waiting, pool.map(_send, waiting), strict=True):
                if why is not None and _NO_LOGIN in why:
                    raise CommandError(
                        "W&B knows no key of yours: run wandb login, or set WANDB_API_KEY."
                    )
                failed += why is not None
                print(f"{path}: {'sent' if why is None else f'not sent: {why}'}", flush=True)
        finally:
            pool.shutdown(cancel_futures=True)
    if failed:
        raise CommandError(
            f"{failed} of {len(waiting)} runs were not sent; the same command tries them again."
        )


def unsent(folder: Path) -> dict[Path, list[Path]]:
    """Find the offline runs below a folder that W&B has not marked as sent.

    Returns:
        By run folder the parts that are left, in the order in which they were begun.
    """
    found: dict[Path, list[Path]] = {}
    for file in sorted(folder.rglob("offline-run-*/*.wandb")):
        if not file.with_suffix(".wandb.synced").exists():
            found.setdefault(file.parents[2], []).append(file.parent)
    return found


def _is_running(run: Path) -> bool:
    """Tell whether a process has the W&B run open: W&B would mark as sent what is half written."""
    if not (run / WANDB_LOCK).exists():
        return False
    lock = try_lock(run / WANDB_LOCK)
    if lock is not None:
        lock.release()
    return lock is None


def _send(run: Path) -> str | None:
    """Send the parts of a run; return why that failed, if it did."""
    run = run.resolve()
    parts = unsent(run).get(run, [])
    environment = {
        **_SETTINGS,
        # W&B's log and caches stay where the run is; without the name it sends a path.
        "WANDB_DIR": str(run),
        "WANDB_CACHE_DIR": str(run / "wandb"),
        "WANDB_DATA_DIR": str(run / "wandb"),
        **os.environ,
        "WANDB_PROGRAM": "lightning",
    }
    done = subprocess.run(
        [sys.executable, "-m", "wandb", "sync", *map(str, parts)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return _reason(done.stdout) if run in unsent(run) else None


def _reason(output: str) -> str:
    """Take from what W&B printed the sentence that says why."""
    errors = re.findall(r"^(?:wandb: ERROR|Error:) (.+)$", output, flags=re.MULTILINE)
    said = [line for line in errors if not line.startswith("Find detailed error logs")]
    last = [line for line in output.splitlines() if line.strip()][-1:]
    return printable(" ".join((said or last or ["wandb sync ended"])[:1]).strip())[:300]

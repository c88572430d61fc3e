"""Reads what an offline W&B run wrote: W&B 0.31 has no reader of its own files in Python."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import wandb
from wandb.proto import wandb_internal_pb2

_BLOCK, _HEADER = 32768, 7
_FULL, _LAST = 1, 4


@dataclass
class OfflineRun:
    """What a run's file holds."""

    run_id: str = ""
    group: str = ""
    job_type: str = ""
    name: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    artifacts: list[str] = field(default_factory=list)


def read_offline_runs(folder: Path) -> list[OfflineRun]:
    """Read every offline run below a folder, in the order in which they were begun."""
    wandb.teardown()  # on a busy machine W&B's own process still writes after a run's end
    return [_read(path) for path in sorted(folder.glob("wandb/offline-run-*/*.wandb"))]


def _read(path: Path) -> OfflineRun:
    run = OfflineRun()
    for data in _records(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.HasField("run"):
            run.run_id, run.group = record.run.run_id, record.run.run_group
            run.job_type, run.name = record.run.job_type, record.run.display_name
            run.config.update(_items(record.run.config.update))
        elif record.HasField("config"):
            run.config.update(_items(record.config.update))
        elif record.HasField("history"):
            run.history.append(_items(record.history.item))
        elif record.HasField("summary"):
            run.summary.update(_items(record.summary.update))
        elif record.HasField("artifact"):
            run.artifacts.append(record.artifact.name)
    return run


def _items(items: Any) -> dict[str, Any]:
    return {
        "/".join(item.nested_key) or item.key: json.loads(item.value_json or "null")
        for item in items
    }


def _records(content: bytes) -> list[bytes]:
    """Undo the framing of a LevelDB log, whose first block begins with W&B's own header."""
    records, part, place = [], b"", _HEADER
    while place + _HEADER <= len(content):
        if _BLOCK - place % _BLOCK < _HEADER:  # padding at the end of a block
            place += _BLOCK - place % _BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + _HEADER])
        if kind == 0:
            break
        part += content[place + _HEADER : place + _HEADER + length]
        place += _HEADER + length
        if kind in (_FULL, _LAST):
            records.append(part)
            part = b""
    return records

"""When, on what and with what a benchmark ran."""

from __future__ import annotations

import platform
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from callbacks.records.run_record import version
from datamodules.store.threads import cores


def describe_machine(device: torch.device | None = None) -> dict[str, Any]:
    """Return date, processor, cores, the GPU where one is measured, and versions of packages."""
    packages = ("torch", "lightning", "kornia", "opencv-contrib-python", "numpy")
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text("utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor()
    on_gpu = device is not None and device.type == "cuda"
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "cores": cores(),
        "torch_threads": torch.get_num_threads(),
        "processor": processor,
        "device": torch.cuda.get_device_name(device) if on_gpu else processor,
        "versions": {"python": platform.python_version()}
        | {package: version(package) or "none" for package in packages},
    }

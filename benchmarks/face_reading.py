"""Reading still faces from the cache against decoding their files."""

from __future__ import annotations

import statistics
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2

from benchmarks.report import Clock, Result
from datamodules.sets.ferplus import FERPlusDataModule
from datamodules.synthetic import write_ferplus


def measure(*, quick: bool = False) -> Result:
    """Count images per second of an epoch of batches, and of decoding the same PNG files.

    Both in one thread. The batches are those that training takes, as float32 in [0, 1]; decoding
    stops at bytes.

    Args:
        quick: Whether to take few images and one turn.

    Returns:
        The ratio, the median over turns, and both speeds.
    """
    with TemporaryDirectory() as folder:
        root = Path(folder) / "ferplus"
        write_ferplus(root, train=64 if quick else 2000, val=16, test=16)
        data = FERPlusDataModule(root=str(root), cache_dir=folder, size=48, batch_size=64)
        data.prepare_data()
        data.setup("fit")
        files = [
            path for name in _trained_names(data) for path in root.rglob(f"FER2013Train/{name}*")
        ]
        decoded, read = [], []
        # In turns, so that what else the machine does meets both.
        for _ in range(1 if quick else 5):
            clock = Clock()
            for file in files:
                cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
            decoded.append(len(files) / clock.read().wall)
            clock = Clock()
            count = sum(
                len(data.on_after_batch_transfer(batch, 0)["image"])
                for batch in data.train_dataloader()
            )
            read.append(count / clock.read().wall)
    return {
        "what": "images/s from the cache / images/s by decoding PNGs",
        "ratio": statistics.median(a / b for a, b in zip(read, decoded, strict=True)),
        "bound": "at least 10",
        "details": {
            "cache_images_per_s": round(statistics.median(read)),
            "png_images_per_s": round(statistics.median(decoded)),
            "images": len(files),
        },
    }


def _trained_names(data: FERPlusDataModule) -> list[str]:
    """Name the images of the training part."""
    _, rows = data.faces("train")
    return [data.sample_name(int(row)) for row in rows]

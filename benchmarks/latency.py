"""From two frames of a camera to an expression by SSIM-VAE: milliseconds a sample."""

from __future__ import annotations

import statistics
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.measuring import Clock, Result, Seconds
from datamodules.motion.extraction import Extraction
from datamodules.sets.ckplus_occluded import OccludedCKPlusDataModule
from lightning_modules.ssim_vae import SSIMVAE

_MOST_MS = {"farneback": 45, "dis": 25}


def measure(*, quick: bool = False, model: SSIMVAE | None = None) -> Result:
    """Time the whole path of SSIM-VAE on frames of 640x490, one sample at a time.

    Face crop, optical flow at full resolution, reduction, reconstruction and classification. The
    frames are those of embedded CK+, decoded before. Neither what is hidden nor the weights change
    how long it takes, so nothing is hidden and nothing was trained. PyTorch takes one thread: after
    its networks a second one would spin on the core that OpenCV's next call wants, and the whole
    path would take a fifth longer. By default the autoencoder has half of the width that
    ssim_vae.yaml gives it (11.0 in place of 30.7 MB with Flow-CNN).

    Reference:
        SSIM-VAE, 4.3.3: 95 ms on a Quadro P600.
    """
    model = (model or SSIMVAE()).eval()
    # The baseline takes no part.
    parameters = [*model.vae.parameters(), *model.flow_cnn.parameters()]
    pairs = _frames(1 if quick else 4)
    medians, spent = {}, {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for flow in _MOST_MS:
        times = [_path(pair, flow, model) for pair in pairs * (1 if quick else 4)]
        medians[flow] = 1000 * statistics.median(one.wall for one in times[1:])
        spent[flow] = 1000 * statistics.median(one.processor for one in times[1:])
    torch.set_num_threads(threads)
    return {
        "what": "frames to expression: ms / (45 ms Farneback, 25 ms DIS), the larger",
        "ratio": max(medians[flow] / most for flow, most in _MOST_MS.items()),
        "bound": "at most 1",
        "details": {
            **{f"{flow}_ms": round(value, 2) for flow, value in medians.items()},
            **{f"{flow}_processor_ms": round(value, 2) for flow, value in spent.items()},
            "samples": len(times) - 1,
            "frame": list(pairs[0][0].shape[::-1]),
            "weights_mb": round(sum(p.numel() for p in parameters) * 4e-6, 2),
        },
    }


def _path(pair: tuple[NDArray[np.uint8], NDArray[np.uint8]], flow: str, model: SSIMVAE) -> Seconds:
    """Take two frames the whole way; return how long it took."""
    clock = Clock()
    extraction = Extraction(model.hparams["size"], flow, "loose", colour=False)
    neutral, _ = pair
    box = extraction.box(neutral, "neutral")
    first, second = (extraction.cut(frame, neutral, box, "frame") for frame in pair)
    motion = torch.from_numpy(extraction.estimate(first, second, "apex"))
    with torch.inference_mode():
        _, logits = model(motion.unsqueeze(0))
        logits.argmax().item()
    return clock.read()


def _frames(subjects: int) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Read neutral and apex frame of each sequence of embedded CK+."""
    data = OccludedCKPlusDataModule(synthetic_subjects=subjects)
    index = data.read_index(data.write_embedded(Path(".cache/synthetic")))
    films = [recording.reader(colour=False) for (recording,) in index.recordings or []]
    return [(film(0), film(n - 1)) for film, n in zip(films, index.frame_counts, strict=True)]

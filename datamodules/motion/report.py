"""How long the flow vectors of a data set are, measured once and kept beside its cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.motion import flow, posing
from datamodules.motion.flow import magnitude_statistics
from datamodules.store.cache import Cache
from datamodules.store.fingerprint import code_digest
from datamodules.store.replacing import replacing

Flows = Iterable[NDArray[np.floating[Any]]]

_MOST = 250  # flows: so many give quartiles to a tenth of a pixel and are read in a second


def some_of(rows: NDArray[np.int64], most: int = _MOST) -> NDArray[np.int64]:
    """Choose rows evenly."""
    return rows[np.linspace(0, len(rows), min(len(rows), most), endpoint=False).astype(np.int64)]


def report_magnitudes(
    cache: Cache,
    rows: NDArray[np.int64],
    flows: Mapping[str, Flows],
    clip: float,
    parameters: Mapping[str, Any],
) -> list[str]:
    """Measure flows, or read what was found before.

    What was found is `flow_magnitude_<key>.json` beside the cache, where the key is of all that it
    depends on, so that folds and clips do not write over each other.

    Args:
        cache: Cache of the pairs.
        rows: The pairs measured.
        flows: Their flows [2, H, W] in pixels, by their names; not read where they were measured.
        clip: Magnitude in pixels at which the method cuts.
        parameters: What else the flows depend on, of JSON types.

    Returns:
        A line for each set of flows.

    Reference:
        eMotion-GAN, IV.C: the clip is chosen by the distribution of the magnitudes.
    """
    made_of = [rows.tolist(), list(flows), clip, dict(parameters), code_digest(flow, posing)]
    key = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()
    # Not into the cache: a file that appears there would have its checksums compared again.
    folder = cache.path.with_name(f"{cache.path.name}.report")
    file = folder / f"flow_magnitude_{key[:12]}.json"
    try:
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):  # not there, or damaged
        found = {"unit": "pixels of the grid", "clip": clip}
        found |= {name: asdict(magnitude_statistics(some, clip)) for name, some in flows.items()}
        with replacing(file) as aside:
            aside.write_text(json.dumps(found, indent=1, default=np.ndarray.tolist), "utf-8")
    return [_sentence(name, found[name], clip) for name in flows]


def _sentence(name: str, values: Mapping[str, Any], clip: float) -> str:
    return (
        f"{name} magnitude: Q1 {values['q1']:.2f}, median {values['median']:.2f}, "
        f"Q3 {values['q3']:.2f}, max {values['max']:.1f} px; a clip at {clip:g} px cuts "
        f"{100 * values['share_clipped']:.2f} %"
    )

"""What is said once about a data set: its parts, and how long its flow vectors are."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from lightning.pytorch.utilities import rank_zero_info
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from datamodules.folds import folds_hash, write_protocol
from datamodules.motion.flow import FlowStatistics, magnitude_statistics
from datamodules.motion.parts import Opened

_LISTED = 5  # problems written out in the log; the error that they are by default names all


def report(
    title: str,
    opened: Opened,
    posed_flows: Iterable[NDArray[np.floating[Any]]] | None,
    clip: float,
) -> None:
    """Say what the data are, and write folds and magnitudes into a folder beside the cache.

    Args:
        title: Name of the data set and its source.
        opened: The data set.
        posed_flows: Posed flows [2, H, W] of some training pairs, in pixels; None for data that
            are not posed.
        clip: Magnitude in pixels at which the method cuts.
    """
    catalog, cache, fold_of = opened.catalog, opened.cache, opened.fold_of
    # Not into it: a file that appears there would have its checksums compared again.
    folder = cache.path.with_name(f"{cache.path.name}.report")
    protocol = catalog.protocol(fold_of)
    protocol_file = folder / f"protocol_{folds_hash(protocol)[:12]}.csv"
    write_protocol(protocol_file, protocol)
    flows: dict[str, Iterable[NDArray[np.floating[Any]]]] = {
        "flow": (cache.arrays["flow"][row] for row in some_of(opened.parts.rows["train"]))
    }
    if posed_flows is not None:
        flows["posed_flow"] = posed_flows
    lines = [
        f"{title}: {len(catalog.sequences)} sequences of {len(catalog.subjects)} subjects, "
        f"{len(cache.valid)} pairs of frames; {len(catalog.problems)} problems in files and lists "
        f"and {int((~cache.valid).sum())} unusable pairs skipped; "
        f"{int((fold_of < 0).sum())} sequences outside {catalog.expressions} or the protocol",
        *(f"skipped {path}: {reason}" for path, reason in catalog.problems[:_LISTED]),
        *catalog.notes,
        f"{int(fold_of.max()) + 1} folds, written to {protocol_file}",
        *(
            f"{name}: {len(opened.parts.rows[name])} pairs, {len(part)} sequences of "
            f"{len(opened.parts.subjects[name])} subjects "
            f"({', '.join(opened.parts.subjects[name])}): {catalog.class_counts(part)}"
            for name, part in opened.split._asdict().items()
        ),
        *report_magnitudes(folder, flows, clip),
    ]
    rank_zero_info("\n".join(lines))


def some_of(rows: NDArray[np.int64], most: int = 250) -> NDArray[np.int64]:
    """Choose rows evenly: so many give quartiles to a tenth of a pixel and are read in a second."""
    return rows[np.linspace(0, len(rows), min(len(rows), most), endpoint=False).astype(np.int64)]


def report_magnitudes(
    folder: Path, flows: dict[str, Iterable[NDArray[np.floating[Any]]]], clip: float
) -> list[str]:
    """Measure flows, and write what was found as `flow_magnitude.json` and `.png`.

    Args:
        folder: Where to write; made if missing.
        flows: Flows [2, H, W] in pixels, by their names.
        clip: Magnitude in pixels at which the method cuts.

    Returns:
        A line for each set of flows.

    Reference:
        eMotion-GAN, IV.C: the clip is chosen by the distribution of the magnitudes.
    """
    statistics = {name: magnitude_statistics(those, clip) for name, those in flows.items()}
    text = json.dumps(
        {
            "unit": "pixels of the grid",
            "clip": clip,
            **{name: _plain(asdict(values)) for name, values in statistics.items()},
        },
        indent=1,
    )
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "flow_magnitude.json"
    if not file.exists() or file.read_text() != text:
        file.write_text(text)
        _draw(statistics, clip, folder / "flow_magnitude.png")
    return [
        f"{name} magnitude: Q1 {s.q1:.2f}, median {s.median:.2f}, Q3 {s.q3:.2f}, "
        f"max {s.max:.1f} px; a clip at {clip:g} px cuts {100 * s.share_clipped:.2f} %"
        for name, s in statistics.items()
    ]


def _draw(statistics: dict[str, FlowStatistics], clip: float, path: Path) -> None:
    with mpl.rc_context({"font.size": 9}):
        figure = Figure(figsize=(6, 3.2), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        for name, values in statistics.items():
            share = values.histogram / max(values.histogram.sum(), 1)
            label = f"{name}: Q3 {values.q3:.2f} px, {100 * values.share_clipped:.1f} % cut"
            axes.stairs(share, values.edges, label=label)
        axes.axvline(clip, color="black", linestyle="--", label=f"clip {clip:g} px")
        axes.set(xlabel="flow magnitude (px)", ylabel="share of vectors", yscale="log")
        axes.legend()
        figure.savefig(path, dpi=120)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Turn arrays into lists, for JSON."""
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}

"""What is computed once of recordings: flows and faces of pairs, and how long the flows are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules import faces, images, recordings
from datamodules.errors import OnBadSample
from datamodules.images import any_coloured
from datamodules.index import Index
from datamodules.motion import extraction, flow, pairs, posing, registration
from datamodules.motion.flow import magnitude_statistics
from datamodules.motion.pairs import PairReader
from datamodules.store.cache import Cache, build_cache
from datamodules.store.digests import code_digest, files_digest
from datamodules.store.replacing import read_json, unless_read_only, write_json

Flows = Iterable[NDArray[np.floating[Any]]]

_MEASURED = 250  # flows: so many give quartiles to a tenth of a pixel and are read in a second


@dataclass(frozen=True)
class PairCaches:
    """Opens the caches of a data set of recordings, and builds them where they are missing."""

    index: Index
    root: Path  # below which the files lie
    reader: PairReader
    folder: Path  # where caches live
    label: str  # beginning of their names
    on_bad_sample: OnBadSample

    @cached_property
    def _fingerprint(self) -> dict[str, Any]:
        files = files_digest(self.index.all_files(), self.root)
        return {"files": files, **self.reader.fingerprint()}

    def open_pairs(self) -> Cache:
        """Open the cache with a row for each pair.

        Raises:
            BadSamples: All that is wrong with index and images, where it may not be skipped.
        """
        code = code_digest(extraction, faces, flow, images, pairs, recordings, *self.reader.modules)
        return build_cache(
            self.folder,
            {**self._fingerprint, "code": code, **self.reader.parameters()},
            len(self.reader),
            self.reader.specs(),
            self.reader.row,
            self.on_bad_sample,
            label=self.label,
            problems=self.index.problems,
            group=self.reader.sequence,
        )

    def open_registered(
        self,
        rows: NDArray[np.int64],
        compute: Callable[[int], Mapping[str, NDArray[Any]]],
        parameters: Mapping[str, Any],
    ) -> Cache:
        """Open the cache of what only tests need, see `PairReader.registered_specs`.

        Row i belongs to the pair `rows[i]`.

        Only test pairs are registered, because it takes longer than all the rest. `parameters` are
        what the flows depend on beside the files and the reader.
        """
        used = (extraction, faces, flow, images, pairs, posing, registration, recordings)
        code = code_digest(*used)
        return build_cache(
            self.folder,
            {**self._fingerprint, "code": code, "rows": rows.tolist(), **parameters},
            len(rows),
            self.reader.registered_specs(),
            lambda row: compute(int(rows[row])),
            self.on_bad_sample,
            label=f"{self.label}-registered",
        )


def is_coloured(index: Index) -> bool:
    """Look at one frame of each person: cameras and scans differ between people, not within."""
    _, first = np.unique(index.person_of, return_index=True)
    films = index.recordings or []
    return any_coloured(lambda row: films[row][0].reader(colour=True)(0), np.sort(first).tolist())


def some_of(rows: NDArray[np.int64], most: int = _MEASURED) -> NDArray[np.int64]:
    """Choose some rows, spread evenly."""
    return rows[np.linspace(0, len(rows), min(len(rows), most), endpoint=False).astype(np.int64)]


def report_magnitudes(
    cache: Cache,
    rows: NDArray[np.int64],
    flows: Mapping[str, Flows],
    clip: float,
    parameters: Mapping[str, Any],
) -> list[str]:
    """Measure flows, or read what was found before, and return a line for each set of flows.

    What was found is `flow_magnitude_<key>.json` beside the cache, where the key is of all that it
    depends on, so that folds and clips do not write over each other.

    Args:
        cache: Cache of the pairs.
        rows: The pairs measured.
        flows: Their flows [2, H, W] in pixels, by their names; not read where they were measured.
        clip: Magnitude in pixels at which the method cuts.
        parameters: What else the flows depend on, of JSON types.
    """
    made_of = [rows.tolist(), list(flows), clip, dict(parameters), code_digest(flow, posing)]
    key = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()
    file = cache.beside(f"flow_magnitude_{key[:12]}.json")
    found = read_json(file)
    if found is None:
        found = {"unit": "pixels of the grid", "clip": clip}
        found |= {name: magnitude_statistics(some, clip) for name, some in flows.items()}
        with unless_read_only():
            write_json(file, found)
    return [_sentence(name, found[name], clip) for name in flows]


def _sentence(name: str, values: Mapping[str, Any], clip: float) -> str:
    return (
        f"{name} magnitude: Q1 {values['q1']:.2f}, median {values['median']:.2f}, "
        f"Q3 {values['q3']:.2f}, max {values['max']:.1f} px; a clip at {clip:g} px cuts "
        f"{100 * values['share_clipped']:.2f} %"
    )

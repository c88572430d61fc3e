"""The caches of a catalog: flows and faces of all pairs, and registered flows of the test pairs."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules import faces, images, recordings
from datamodules.errors import OnBadSample
from datamodules.motion import flow, pairs, posing, registration
from datamodules.motion.catalog import Catalog
from datamodules.motion.pairs import Extraction, PairReader
from datamodules.store.cache import Cache, build_cache
from datamodules.store.fingerprint import code_digest, files_digest


class PairCaches:
    """Opens the caches of a catalog, and builds them where they are missing.

    Args:
        catalog: The data set.
        extraction: How a pair becomes arrays.
        folder: Where caches live.
        label: Beginning of their names.
        on_bad_sample: Whether bad samples are an error.
        reader: Computes the rows; None for flows and faces, as `PairReader` does.
    """

    def __init__(
        self,
        catalog: Catalog,
        extraction: Extraction,
        folder: Path,
        label: str,
        on_bad_sample: OnBadSample,
        reader: PairReader | None = None,
    ) -> None:
        self._catalog = catalog
        self._folder = folder
        self._label = label
        self._on_bad_sample = on_bad_sample
        self._fingerprint = {
            "files": files_digest(catalog.files(), catalog.root),
            "pairs": hashlib.sha256(np.stack(catalog.pairs).tobytes()).hexdigest(),
            "extraction": dataclasses.asdict(extraction),
        }
        self.reader = reader or PairReader(catalog.sequences, catalog.pairs, extraction)

    def open_pairs(self) -> Cache:
        """Open the cache with a row for each pair.

        Raises:
            BadSamples: All that is wrong with index and images, where it may not be skipped.
        """
        code = code_digest(faces, flow, images, pairs, recordings, *self.reader.modules)
        return build_cache(
            self._folder,
            {**self._fingerprint, "code": code, **self.reader.parameters()},
            len(self._catalog.pairs.sequence),
            self.reader.specs(),
            self.reader.row,
            self._on_bad_sample,
            label=self._label,
            problems=self._catalog.problems,
        )

    def open_registered(
        self,
        rows: NDArray[np.int64],
        compute: Callable[[int], Mapping[str, NDArray[Any]]],
        parameters: Mapping[str, Any],
    ) -> Cache:
        """Open the cache of flows after registration.

        Only test pairs are registered, because it takes longer than all the rest.

        Args:
            rows: The pairs; row i of the cache belongs to `rows[i]`.
            compute: Computes the arrays of a pair.
            parameters: What else they depend on.
        """
        code = code_digest(faces, flow, images, pairs, posing, recordings, registration)
        return build_cache(
            self._folder,
            {**self._fingerprint, "code": code, "rows": rows.tolist(), **parameters},
            len(rows),
            self.reader.registered_specs(),
            lambda row: compute(int(rows[row])),
            self._on_bad_sample,
            label=f"{self._label}-registered",
        )

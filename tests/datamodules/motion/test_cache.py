from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
from datamodules.motion.catalog import Catalog

from datamodules.errors import BadSamples, OnBadSample
from datamodules.motion.cache import PairCaches
from datamodules.motion.pairs import Extraction
from datamodules.sets.lists.lille import expression_codes
from datamodules.sets.snap2dfe import read_frame_folders
from tests.datamodules.trees import snap_tree

EXTRACTION = Extraction(size=8, flow="farneback", crop="none", colour=False)


def catalog(root: Path, expressions: str = "basic7", steps: tuple[int, ...] = (1,)) -> Catalog:
    if not root.exists():
        snap_tree(root, subjects=3, codes=(1,))
    index = read_frame_folders(root, expression_codes(None))
    return Catalog.make(root, index, expressions, steps)


def caches(
    data: Catalog,
    folder: Path,
    extraction: Extraction = EXTRACTION,
    on_bad_sample: OnBadSample = "raise",
) -> PairCaches:
    return PairCaches(data, extraction, folder, "snap", on_bad_sample)


def test_the_same_data_give_the_same_cache_and_others_another(tmp_path: Path) -> None:
    root = tmp_path / "snap"
    first = caches(catalog(root), tmp_path).open_pairs()
    assert first.arrays["flow"].shape == (3 + 6, 2, 8, 8)
    # Classes do not matter: a cache serves all sets of them.
    assert caches(catalog(root, "basic6"), tmp_path).open_pairs().path == first.path
    seen = {first.path}
    for extraction in (
        dataclasses.replace(EXTRACTION, size=9),
        dataclasses.replace(EXTRACTION, flow="dis"),
        dataclasses.replace(EXTRACTION, colour=True),
    ):
        seen.add(caches(catalog(root), tmp_path, extraction).open_pairs().path)
    seen.add(caches(catalog(root, steps=(2,)), tmp_path).open_pairs().path)
    os.utime(root / "SNAPcam2" / "S003" / "001" / "img_002.png", (0, 0))
    seen.add(caches(catalog(root), tmp_path).open_pairs().path)
    assert len(seen) == 6


def test_registered_flows_of_the_rows_asked_for(tmp_path: Path) -> None:
    opened = caches(catalog(tmp_path / "snap"), tmp_path)
    rows = np.array([2, 0])
    cache = opened.open_registered(rows, opened.reader.registered, {})
    for position, row in enumerate(rows):
        expected = opened.reader.registered(int(row))
        np.testing.assert_array_equal(
            cache.arrays["registered_flow"][position], expected["registered_flow"]
        )
    other = opened.open_registered(rows, opened.reader.registered, {"seed": 1})
    assert other.path != cache.path


def test_problems_of_index_and_images_are_one_error(tmp_path: Path) -> None:
    root = snap_tree(tmp_path / "snap", subjects=3, codes=(1,))
    (root / "SNAPcam2" / "S002" / "001" / "img_003.png").write_text("no image")
    (root / "SNAPcam1" / "S009").mkdir()
    with pytest.raises(BadSamples) as error:
        caches(catalog(root), tmp_path).open_pairs()
    assert [Path(path).name for path, _ in error.value.bad] == ["S009", "img_003.png"]
    skipped = caches(catalog(root), tmp_path, on_bad_sample="skip").open_pairs()
    # Of S002 the pair (1, 2) is left; pairs are 3 from neutral to apex, then 2 a person.
    assert np.flatnonzero(~skipped.valid).tolist() == [1, 6]


def test_a_problem_of_the_index_alone_is_an_error_too(tmp_path: Path) -> None:
    root = snap_tree(tmp_path / "snap", subjects=3, codes=(1,))
    (root / "SNAPcam1" / "S009").mkdir()
    with pytest.raises(BadSamples, match="S009: is empty"):
        caches(catalog(root), tmp_path).open_pairs()

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules import recordings
from datamodules.errors import BadSamples, OnBadSample
from datamodules.images import read_image
from datamodules.motion.cache import PairCaches, report_magnitudes, some_of
from datamodules.motion.extraction import Extraction
from datamodules.motion.pairs import PairReader, make_pairs
from datamodules.sets.lists.lille import expression_codes
from datamodules.sets.snap2dfe import read_frame_folders
from datamodules.store.cache import Cache, build_cache
from datamodules.store.rows import ArraySpec
from tests.datamodules.trees import snap_tree

EXTRACTION = Extraction(size=8, flow="farneback", crop="none", colour=False)


def caches(
    root: Path,
    extraction: Extraction = EXTRACTION,
    on_bad_sample: OnBadSample = "raise",
    steps: tuple[int, ...] = (1,),
) -> PairCaches:
    if not root.exists():
        snap_tree(root, subjects=3, codes=(1,))
    index = read_frame_folders(root, expression_codes(None))
    reader = PairReader(index, make_pairs(index.lengths, steps), extraction)
    return PairCaches(index, root, reader, root.parent, "snap", on_bad_sample)


def test_the_same_data_give_the_same_cache_and_others_another(tmp_path: Path) -> None:
    root = tmp_path / "snap"
    first = caches(root).open_pairs()
    assert first.arrays["flow"].shape == (3 + 6, 2, 8, 8)
    assert caches(root).open_pairs().path == first.path
    seen = {first.path}
    for extraction in (
        dataclasses.replace(EXTRACTION, size=9),
        dataclasses.replace(EXTRACTION, flow="dis"),
        dataclasses.replace(EXTRACTION, colour=True),
    ):
        seen.add(caches(root, extraction).open_pairs().path)
    seen.add(caches(root, steps=(2,)).open_pairs().path)
    os.utime(root / "SNAPcam2" / "S003" / "001" / "img_002.png", (0, 0))
    seen.add(caches(root).open_pairs().path)
    assert len(seen) == 6


def test_a_build_reads_each_frame_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = snap_tree(tmp_path / "snap", subjects=4, codes=(1,), frames=5)
    read: list[Path] = []

    def read_and_note(path: Path, *, colour: bool) -> NDArray[np.uint8]:
        read.append(path)
        return read_image(path, colour=colour)

    monkeypatch.setattr(recordings, "read_image", read_and_note)
    caches(root).open_pairs()
    assert len(read) == len(set(read)) == 2 * 4 * 5


def test_registered_flows_of_the_rows_asked_for(tmp_path: Path) -> None:
    opened = caches(tmp_path / "snap")
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
        caches(root).open_pairs()
    assert [Path(path).name for path, _ in error.value.bad] == ["S009", "img_003.png"]
    skipped = caches(root, on_bad_sample="skip").open_pairs()
    # Of S002 the pair (1, 2) is left; pairs are 3 from neutral to apex, then 2 a person.
    assert np.flatnonzero(~skipped.valid).tolist() == [1, 6]


def test_a_problem_of_the_index_alone_is_an_error_too(tmp_path: Path) -> None:
    root = snap_tree(tmp_path / "snap", subjects=3, codes=(1,))
    (root / "SNAPcam1" / "S009").mkdir()
    with pytest.raises(BadSamples, match="S009: is empty"):
        caches(root).open_pairs()


def stored(folder: Path) -> Cache:
    specs = {"x": ArraySpec((), "int64")}
    return build_cache(folder, {}, 6, specs, lambda row: {"x": np.array(row)}, workers=1)


def test_magnitudes_are_those_of_numpy(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    flows = rng.normal(0, 3, (6, 2, 32, 32)).astype(np.float16)
    both = {"flow": flows, "posed_flow": 2 * flows}
    lines = report_magnitudes(stored(tmp_path), np.arange(6), both, 5.0, {})
    length = np.linalg.norm(flows.astype(np.float64), axis=1)
    (file,) = tmp_path.glob("*.report/flow_magnitude_*.json")
    found = json.loads(file.read_text())
    assert found["clip"] == 5.0
    quartiles = np.quantile(length, [0.25, 0.5, 0.75])
    values = found["flow"]
    assert [values["q1"], values["median"], values["q3"]] == pytest.approx(quartiles, abs=0.02)
    assert values["share_clipped"] == pytest.approx((length > 5).mean())
    assert found["posed_flow"]["q3"] == pytest.approx(2 * quartiles[2], abs=0.03)
    counts, _ = np.histogram(length, values["edges"])
    np.testing.assert_array_equal(values["histogram"], counts)
    assert f"Q3 {values['q3']:.2f}" in lines[0]
    assert f"cuts {100 * (length > 5).mean():.2f} %" in lines[0]


def test_magnitudes_are_measured_once_for_each_fold_and_clip(tmp_path: Path) -> None:
    cache, measured = stored(tmp_path), []

    def flows(rows: np.ndarray) -> Iterator[np.ndarray]:
        for row in rows:
            measured.append(int(row))
            yield np.full((2, 4, 4), row, np.float16)

    def report(*rows: int, clip: float = 5.0, **parameters: int) -> list[str]:
        chosen = np.array(rows)
        return report_magnitudes(cache, chosen, {"flow": flows(chosen)}, clip, parameters)

    first = report(0, 1)
    other = report(2, 3)
    assert first != other
    # Another fold, clip or posing writes over nothing.
    report(0, 1, clip=2.0)
    report(0, 1, seed=1)
    assert len(measured) == 8
    assert report(0, 1) == first
    assert report(2, 3) == other
    assert len(measured) == 8
    files = sorted(tmp_path.glob("*.report/*"))
    assert len(files) == 4
    for file in files:
        file.write_text("damaged")
    assert report(0, 1) == first


def test_some_rows_are_spread_evenly() -> None:
    rows = np.arange(100, 200)
    assert some_of(rows, most=4).tolist() == [100, 125, 150, 175]
    np.testing.assert_array_equal(some_of(rows[:3], most=4), rows[:3])

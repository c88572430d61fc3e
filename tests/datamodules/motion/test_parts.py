from __future__ import annotations

from pathlib import Path

import pytest
from datamodules.motion.catalog import Catalog
from datamodules.motion.parts import Parts

from datamodules.errors import DatasetError
from datamodules.motion.cache import PairCaches
from datamodules.motion.pairs import Extraction
from datamodules.sets.lists.lille import expression_codes
from datamodules.sets.snap2dfe import read_frame_folders
from tests.datamodules.trees import snap_tree


def test_parts_take_usable_pairs_only(tmp_path: Path) -> None:
    root = snap_tree(tmp_path / "snap", subjects=4, codes=(1, 2))
    (root / "SNAPcam2" / "S004" / "001" / "img_003.png").write_text("no image")
    index = read_frame_folders(root, expression_codes(None))
    data = Catalog.make(root, index, "basic7", [1])
    extraction = Extraction(size=8, flow="farneback", crop="none", colour=False)
    cache = PairCaches(data, extraction, tmp_path, "snap", "skip").open_pairs()
    split = data.split(data.fold_of(None, "stride", 0), 0)
    parts = Parts(data, cache, split, neutral_apex=True, steps=(1,))
    assert parts.subjects == {"train": ["S003", "S004"], "val": ["S002"], "test": ["S001"]}
    assert parts.rows["test"].tolist() == [0, 1]
    assert parts.rows["val"].tolist() == [2, 3]
    # Sequences 4 to 7 train; 6 lost its apex, and with it one of its two steps.
    assert parts.rows["train"].tolist() == [4, 5, 7, 16, 17, 18, 19, 20, 22, 23]
    only_apex = Parts(data, cache, split, neutral_apex=True, steps=())
    assert only_apex.rows["train"].tolist() == [4, 5, 7]


def test_a_part_without_usable_pairs_is_an_error(tmp_path: Path) -> None:
    root = snap_tree(tmp_path / "snap", subjects=3, codes=(1,))
    (root / "SNAPcam2" / "S001" / "001" / "img_003.png").write_text("no image")
    index = read_frame_folders(root, expression_codes(None))
    data = Catalog.make(root, index, "basic7", [])
    extraction = Extraction(size=8, flow="farneback", crop="none", colour=False)
    cache = PairCaches(data, extraction, tmp_path, "snap", "skip").open_pairs()
    split = data.split(data.fold_of(None, "stride", 0), 0)
    with pytest.raises(DatasetError, match="leaves no usable pair to test"):
        Parts(data, cache, split, neutral_apex=True, steps=())

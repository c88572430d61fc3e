from __future__ import annotations

from pathlib import Path

import pytest

from tests.datamodules.trees import snap_tree


@pytest.fixture(scope="module")
def snap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return snap_tree(tmp_path_factory.mktemp("data") / "snap", subjects=4, codes=(0, 1, 2))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")

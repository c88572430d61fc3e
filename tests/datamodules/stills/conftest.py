from __future__ import annotations

from pathlib import Path

import pytest

from tests.datamodules.fake_faces import write_faces


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    classes = ("neutral", "happiness", "anger")
    parts = {"train": 8, "val": 4, "test": 4}
    return write_faces(tmp_path_factory.mktemp("data") / "faces", parts, classes=classes)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")

"""What all tests share: fixed seeds, and no file outside pytest's temporary folders."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import datamodules  # noqa: F401  # before OpenCV, whose bounds it sets


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where there is no GPU, skip the tests that need one."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder that holds the packages."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True, scope="session")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One empty home for the whole session, so that libraries fill their caches there once."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("HOME", str(home))
        patch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
        patch.setenv("WANDB_MODE", "offline")
        yield


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative paths, like `runs` and `.cache`, lead into the test's own folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _seed() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  # libraries draw from it
    torch.manual_seed(0)

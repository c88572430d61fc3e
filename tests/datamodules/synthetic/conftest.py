from pathlib import Path

import pytest

from datamodules.synthetic import FaceModel, Frame, Identity, write_snap2dfe


@pytest.fixture(scope="session")
def model() -> FaceModel:
    return FaceModel(Identity.sample(3), Frame.square(160), background=1)


@pytest.fixture(scope="session")
def snap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people in the layout of SNaP-2DFe, drawn by two threads."""
    root = tmp_path_factory.mktemp("snap") / "faces"
    write_snap2dfe(root, subjects=2, frames=2, size=120, seed=7, workers=2)
    return root

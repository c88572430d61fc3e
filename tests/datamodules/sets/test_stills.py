"""The data modules of data sets that are not drawn here, on small pictures in their layouts."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from datamodules.errors import DatasetError
from datamodules.sets.celeba import CelebADataModule
from datamodules.sets.face_folder import FaceFolderDataModule
from datamodules.sets.kdef import KDEFDataModule
from datamodules.sets.rafd import RaFDDataModule
from datamodules.sets.sfew import SFEWDataModule
from tests.datamodules.still_trees import celeba_tree, kdef_tree, rafd_tree, sfew_tree

pytestmark = pytest.mark.filterwarnings("ignore:.* at ")
SMALL = {"cache_dir": "cache", "size": 8, "batch_size": 4}


def paint(root: Path, shape: tuple[int, int] = (12, 10)) -> Path:
    """Make every empty picture a small one."""
    draw = np.random.default_rng(0)
    for path in sorted(p for p in root.rglob("*") if p.suffix.lower() in (".jpg", ".png")):
        cv2.imwrite(str(path), draw.integers(0, 256, (*shape, 3), np.uint8))
    return root


def test_a_person_of_kdef_is_on_one_side_with_both_sessions(tmp_path: Path) -> None:
    people = [f"{sex}{number:02d}" for sex in "FM" for number in range(1, 4)]
    kdef_tree(tmp_path, people)
    for path in tmp_path.rglob("*.JPG"):
        if not path.stem.endswith("S") or path.parent.name == "AKDEF":
            path.unlink()
    data = KDEFDataModule(root=str(paint(tmp_path)), folds=3, **SMALL)
    data.setup()
    assert data.split_sizes == {"train": 28, "val": 28, "test": 28}
    assert len(data.train_subjects) == len(data.test_subjects) == 2
    assert not set(data.train_subjects) & set(data.test_subjects)
    tested = {data.sample_name(int(row))[1:4] for row in data.faces("test")[1]}
    assert tested == set(data.test_subjects)
    rows = data.faces("test")[1].tolist()
    sexes = ["female" if data.sample_name(row)[1] == "F" else "male" for row in rows]
    assert data.groups(rows) == {"sex": sexes}


def test_models_of_rafd_are_apart(tmp_path: Path) -> None:
    rafd_tree(tmp_path, angles=(90,), gazes=("left", "frontal"))
    data = RaFDDataModule(
        root=str(paint(tmp_path)), expressions="all8", gazes=["left"], folds=4, **SMALL
    )
    data.setup()
    assert data.split_sizes == {"train": 16, "val": 8, "test": 8}
    assert data.class_counts == (2,) * 8
    assert data.groups([0, 1]) == {"sex": ["female"] * 2, "group": ["caucasian"] * 2}
    assert not set(data.train_subjects) & set(data.test_subjects)


def test_sfew_is_tested_on_its_validation_part(tmp_path: Path) -> None:
    data = SFEWDataModule(root=str(paint(sfew_tree(tmp_path))), val_share=0.5, **SMALL)
    data.setup()
    assert data.split_sizes == {"train": 7, "val": 7, "test": 7}
    assert data.test_subjects == ["hangover"]
    assert all(data.sample_name(int(row)).startswith("val/") for row in data.faces("test")[1])


def test_celeba_trains_without_labels(tmp_path: Path) -> None:
    root = paint(celeba_tree(tmp_path, 10), (218, 178))
    data = CelebADataModule(root=str(root), **SMALL)
    data.setup("fit")
    labels = [label for batch in data.train_dataloader() for label in batch["label"].tolist()]
    assert labels == [-1] * 6
    # The square in the middle, and not the whole picture.
    picture = cv2.imread(str(root / "img_align_celeba" / "000001.jpg"), cv2.IMREAD_COLOR_RGB)
    images, rows = data.faces("train")
    expected = cv2.resize(picture[20:198], (8, 8), interpolation=cv2.INTER_AREA)
    assert np.abs(images[rows[0]].astype(int) - expected.astype(int)).max() <= 2


def test_a_folder_of_faces_trains_without_labels(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("a/1.png", "b.jpg"):
        (tmp_path / name).touch()
    data = FaceFolderDataModule(root=str(paint(tmp_path)), **SMALL)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert batch["label"].tolist() == [-1, -1]
    assert {data.sample_name(int(row)) for row in batch["sample_id"]} == {"a/1.png", "b.jpg"}


@pytest.mark.parametrize("crop", ["detect", "none"])
def test_pictures_without_a_face_are_named_or_counted(tmp_path: Path, crop: str) -> None:
    (tmp_path / "noise.png").touch()
    paint(tmp_path, (48, 48))
    data = FaceFolderDataModule(root=str(tmp_path), crop=crop, **SMALL)
    if crop == "none":
        data.setup("fit")
        return
    with pytest.raises(DatasetError, match=r"noise\.png: .*face"):
        data.setup("fit")


@pytest.mark.parametrize(
    ("module", "origin"), [(KDEFDataModule, r"kdef\.se"), (CelebADataModule, "mmlab")]
)
def test_without_a_root_the_tree_and_the_origin_are_shown(module: type, origin: str) -> None:
    with pytest.raises(DatasetError, match=rf"(?s)no embedded faces: .*--data\.root.*{origin}"):
        module().setup("fit")

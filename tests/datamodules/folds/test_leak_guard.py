"""Whom a checkpoint was trained on, recognised by the content of files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from callbacks.training.leak_check import LeakCheck
from datamodules.base import FERDataModule
from datamodules.errors import DatasetError
from datamodules.sets.ckplus import CKPlusDataModule
from datamodules.sets.ckplus_faces import CKPlusFacesDataModule
from tests.datamodules.fake_faces import FakeFaces, write_faces
from tests.datamodules.runs import Recorder, make, trainer
from tests.datamodules.trees import ckplus_tree, snap_tree

CACHE = Path("cache")


@pytest.fixture(scope="module")
def snap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return snap_tree(tmp_path_factory.mktemp("data") / "snap", subjects=4, codes=(0, 1, 2))


def fitted(data: FERDataModule, kind: str = "posed_flow", **kwargs: Any) -> Path:
    """Train, and return the checkpoint."""
    fit = trainer(Path(), **kwargs)
    fit.fit(Recorder(kind), datamodule=data)
    path = Path(f"{len(list(Path().glob('*.ckpt')))}.ckpt").resolve()
    fit.save_checkpoint(path)
    return path


def evaluated(data: FERDataModule, checkpoint: Path) -> Recorder:
    """Test as every command does."""
    recorder = Recorder()
    run = trainer(Path(), callbacks=[LeakCheck()])
    run.test(recorder, datamodule=data, ckpt_path=checkpoint, verbose=False)
    return recorder


def ckplus(root: Path, cls: type[FERDataModule] = CKPlusDataModule, **kwargs: Any) -> FERDataModule:
    given = {"size": 16, "crop": "none", "batch_size": 8, "fold_mode": "stride"}
    return cls(root=str(root), cache_dir=str(CACHE), **{**given, **kwargs})  # type: ignore[call-arg]


def own_faces(root: Path, seed: int) -> Path:
    """Give a tree pictures of its own, under the same names."""
    draw = np.random.default_rng(seed)
    for file in sorted(root.rglob("*.png")):
        cv2.imwrite(str(file), draw.integers(0, 256, (32, 32), np.uint8))
    return root


def test_a_checkpoint_does_not_test_people_it_was_trained_on(snap: Path) -> None:
    path = fitted(make(snap, CACHE))
    same = evaluated(make(snap, CACHE), path)
    assert sorted(i for seen in same.seen for i in seen) == [0, 1, 2]

    other = make(snap, CACHE, fold=2)
    message = r"was trained on S003 of snap, who are in the test part .* Set data\.fold"
    with pytest.raises(DatasetError, match=message):
        evaluated(other, path)
    with pytest.raises(DatasetError, match=r"in the (val|test) part"):
        trainer(Path()).fit(Recorder(), datamodule=other, ckpt_path=path)


def test_the_same_people_in_a_folder_of_another_name_are_refused(snap: Path) -> None:
    path = fitted(make(snap, CACHE))
    shutil.copytree(snap, "renamed")
    evaluated(make(Path("renamed"), CACHE), path)
    with pytest.raises(DatasetError, match="trained on S003 of snap, who are in the test part"):
        evaluated(make(Path("renamed"), CACHE, fold=2), path)


def test_other_people_of_the_same_names_pass(snap: Path) -> None:
    path = fitted(make(snap, CACHE))
    # The very name of the folder, and of the people, but other faces.
    shutil.copytree(snap, "else/snap")
    elsewhere = own_faces(Path("else/snap"), seed=1)
    assert len(evaluated(make(elsewhere, CACHE, fold=2), path).seen) == 1


@pytest.mark.parametrize("trains_on_stills", [False, True])
def test_the_same_people_under_another_data_module_are_refused(
    tmp_path: Path, trains_on_stills: bool
) -> None:
    root = own_faces(ckplus_tree(tmp_path / "ckplus", subjects=4, codes=(1, 3, 5)), seed=2)
    modules = (CKPlusDataModule, CKPlusFacesDataModule)
    before, after = reversed(modules) if trains_on_stills else modules
    path = fitted(ckplus(root, before), "image" if trains_on_stills else "posed_flow")
    evaluated(ckplus(root, after), path)
    with pytest.raises(DatasetError, match="trained on S003 of ckplus, who are in the test part"):
        evaluated(ckplus(root, after, fold=2), path)


def test_people_are_known_by_name_where_the_data_share_files(tmp_path: Path) -> None:
    """Two selections of one data set may have no picture of a person in common."""
    root = own_faces(ckplus_tree(tmp_path / "ckplus", subjects=4, codes=(1, 3, 5)), seed=2)
    csv = tmp_path / "labels.csv"
    csv.write_text("S001;001;1\nS002;001;1\nS003;003;1\nS004;001;1\n")
    path = fitted(ckplus(root, labels_csv=str(csv)))
    csv.write_text("S001;001;1\nS002;001;1\nS003;001;1\nS004;001;1\n")
    with pytest.raises(DatasetError, match="trained on S003"):
        evaluated(ckplus(root, labels_csv=str(csv), fold=2), path)


def test_where_nobody_knows_the_people_images_are_compared(tmp_path: Path) -> None:
    root = write_faces(tmp_path / "faces", {"train": 8, "val": 4, "test": 4})

    def faces(folder: Path, **kwargs: Any) -> FakeFaces:
        given = {"official": False, "known": False, "folds": 4}
        return FakeFaces(root=str(folder), cache_dir=str(CACHE), **{**given, **kwargs})

    path = fitted(faces(root), "image")
    shutil.copytree(root, "renamed")
    evaluated(faces(Path("renamed")), path)
    with pytest.raises(DatasetError, match="was trained on 8 of the 8 samples of the test part"):
        evaluated(faces(Path("renamed"), fold=2), path)


def test_copies_in_the_training_part_of_the_same_split_are_no_leak(tmp_path: Path) -> None:
    """The published parts of some data sets share images; the report counts them."""
    root = write_faces(tmp_path / "faces", {"train": 4, "val": 2, "test": 2})
    trained, held_out = (sorted((root / part).iterdir()) for part in ("train", "test"))
    shutil.copy(trained[0], held_out[0])

    def faces() -> FakeFaces:
        return FakeFaces(root=str(root), cache_dir=str(CACHE), known=False)

    assert len(evaluated(faces(), fitted(faces(), "image")).seen) == 1


def test_what_pretraining_saw_is_never_tested(snap: Path, tmp_path: Path) -> None:
    """A checkpoint remembers what the features that it started from were trained on."""
    first = torch.load(fitted(make(snap, CACHE)), weights_only=True)
    shutil.copytree(snap, "other")
    other = own_faces(Path("other"), seed=1)

    held_out = make(snap, CACHE, fold=2)
    held_out.setup("fit")
    what = "--model.pretrained first.ckpt"
    with pytest.raises(
        DatasetError, match=rf"^{what} was trained on S004 of snap, who are in the val"
    ):
        held_out.refuse_leak(first, what)

    second = make(other, CACHE)
    second.setup("fit")
    second.refuse_leak(first, what)
    path = fitted(second)
    evaluated(make(other, CACHE), path)
    evaluated(make(snap, CACHE), path)
    with pytest.raises(DatasetError, match="trained on S003 of snap"):
        evaluated(make(snap, CACHE, fold=2), path)
    # A resumed run still remembers it, and writes it down once.
    resumed = trainer(Path(), max_epochs=2)
    resumed.fit(Recorder(), datamodule=make(other, CACHE), ckpt_path=path)
    resumed.save_checkpoint(tmp_path / "resumed.ckpt")
    state = torch.load(tmp_path / "resumed.ckpt", weights_only=True)["SNaP2DFeDataModule"]
    assert [record["source"] for record in state["trained_on"]] == ["other", "snap"]


def test_a_checkpoint_of_another_project_passes(snap: Path) -> None:
    data = make(snap, CACHE)
    data.setup("test")
    data.refuse_leak({"state_dict": {}, "epoch": 3, "callbacks": {"x": {"trained_on": ()}}})


def test_selections_of_one_data_set_have_some_files_in_common(snap: Path) -> None:
    shutil.copytree(snap, "renamed")
    shutil.copytree(snap, "else/snap")
    roots = (snap, Path("renamed"), own_faces(Path("else/snap"), seed=1))
    sketches = []
    for root in roots:
        data = make(root, CACHE, expressions="basic6")
        data.setup("fit")
        sketches.append(set(data.content_sketch))
    assert sketches[0] == sketches[1]
    assert not sketches[0] & sketches[2]


def test_files_are_read_once(snap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(snap, CACHE).setup("fit")
    monkeypatch.setattr(
        "datamodules.folds.leak_guard._content", lambda *_: pytest.fail("read again")
    )
    make(snap, CACHE, fold=1).setup("fit")

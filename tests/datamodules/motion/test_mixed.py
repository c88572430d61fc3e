from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from lightning.pytorch import Trainer

from datamodules import MixedFlowDataModule
from datamodules.errors import DatasetError, UserError
from tests.datamodules.trees import ckplus_tree, picture, snap_tree

SMALL: dict[str, Any] = {
    "size": 16,
    "crop": "none",
    "batch_size": 4,
    "strategies": ("neutral_apex",),
}


def make(folder: Path, **kwargs: Any) -> MixedFlowDataModule:
    """Three people of SNaP-2DFe with two sequences each, and four of CK+."""
    if not (folder / "snap").exists():
        snap_tree(folder / "snap", subjects=3)
        ckplus_tree(folder / "ck", subjects=4)
        for frame in (folder / "ck").rglob("*.png"):  # other faces than those of the first tree
            person, moment = int(frame.name[1:4]), int(frame.stem[-1])
            assert cv2.imwrite(str(frame), picture(person + 10, moment / 3))
    sets = {
        "SNaP2DFeDataModule": {"root": str(folder / "snap")},
        "CKPlusDataModule": {"root": str(folder / "ck")},
    }
    arguments = {"sets": sets, "cache_dir": str(folder / "cache"), "folds": 3, **SMALL}
    return MixedFlowDataModule(**{**arguments, **kwargs})


def batches(data: MixedFlowDataModule, loader: Any) -> list[dict[str, Any]]:
    device = torch.device("cpu")
    return [
        data.on_after_batch_transfer(data.transfer_batch_to_device(batch, device, 0), 0)
        for batch in loader
    ]


def test_parts_are_those_of_all_and_each_sample_comes_once(tmp_path: Path) -> None:
    data = make(tmp_path)
    data.setup()
    assert sum(data.split_sizes.values()) == 3 * 2 + 4 * 2
    assert not set(data.train_subjects) & set(data.test_subjects)
    assert {name.split("/")[0] for name in data.test_subjects} == {"SNaP2DFe", "CKPlus"}
    names = []
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        for batch in batches(data, loader):
            assert batch["flow"].shape == batch["posed_flow"].shape
            assert batch["neutral"].shape[1:] == (3, 16, 16)
            names += [data.sample_name(number) for number in batch["sample_id"].tolist()]
            people = [data.sample_name(n).split("/")[:2] for n in batch["sample_id"].tolist()]
            numbers = dict(zip(map(tuple, people), batch["subject"].tolist(), strict=True))
            assert len(set(numbers.values())) == len(numbers)
    assert len(names) == len(set(names)) == 14
    assert {"SNaP2DFe/S001/001", "CKPlus/S004/002"} <= set(names)


def test_two_processes_share_a_part_and_a_resumed_one_goes_on(tmp_path: Path) -> None:
    data = make(tmp_path, batch_size=2)
    data.setup("fit")
    whole = [b["sample_id"].tolist() for b in batches(data, data.train_dataloader())]
    assert len(whole) == 2
    state = {**data.state_dict(), "epoch": 0, "batch": 1}
    resumed = make(tmp_path, batch_size=2)
    resumed.setup("fit")
    resumed._position = (state["epoch"], state["batch"])
    rest = [b["sample_id"].tolist() for b in batches(resumed, resumed.train_dataloader())]
    assert rest == whole[1:]
    data._rank = lambda: (0, 2)  # type: ignore[method-assign]
    first = [i for b in batches(data, data.val_dataloader()) for i in b["sample_id"].tolist()]
    data._rank = lambda: (1, 2)  # type: ignore[method-assign]
    second = [i for b in batches(data, data.val_dataloader()) for i in b["sample_id"].tolist()]
    assert len(first + second) == len({*first, *second}) == data.split_sizes["val"]


def test_each_data_set_has_a_list_of_its_own_in_test(tmp_path: Path) -> None:
    data = make(tmp_path)
    data.trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    data.trainer.testing = True
    data.setup("test")
    assert data.subset_names == ("snap2dfe", "ckplus")
    for batch in batches(data, data.test_dataloader()):
        assert "registered_flow" in batch
        for number, mine in zip(batch["sample_id"].tolist(), batch["subsets"], strict=True):
            name = data.sample_name(number).split("/")[0].lower()
            assert mine.tolist() == [name == "snap2dfe", name == "ckplus"]


def test_frames_that_a_method_frontalised_of_one_data_set_alone(tmp_path: Path) -> None:
    make(tmp_path)
    snap, camera = str(tmp_path / "snap"), str(tmp_path / "snap" / "SNAPcam1")
    sets = {
        "SNaP2DFeDataModule": {"root": snap, "frontalized": {"mine": camera}},
        "CKPlusDataModule": {"root": str(tmp_path / "ck")},
    }
    data = make(tmp_path, sets=sets)
    assert data.rivals == ("mine",)
    data.trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    data.trainer.testing = True
    data.setup("test")
    seen = 0
    for batch in batches(data, data.test_dataloader()):
        ours = batch["subsets"][:, 0]
        assert torch.equal(batch["rival_flow_mine"][ours], batch["flow"][ours])
        assert torch.equal(batch["rival_apex_mine"][ours], batch["apex"][ours])
        assert batch["rival_flow_mine"][~ours].isnan().all()
        assert batch["rival_apex_mine"][~ours].isnan().all()
        seen += int(ours.sum())
    assert 0 < seen < data.split_sizes["test"]


def test_what_networks_are_fitted_on_comes_of_all(tmp_path: Path) -> None:
    data = make(tmp_path)
    data.setup("fit")
    training = data.split_sizes["train"]
    assert sum(len(label) for _, label in data.frontal_flows()) == training
    assert sum(len(label) for _, label in data.frontal_faces()) >= training
    flow, posed, people = data.flow_pairs()
    assert flow.shape == posed.shape == (training, 2, 16, 16)
    assert len(people.unique()) == len(data.train_subjects)
    alone = [member.average_face() for member in data.members.values()]
    counts = [len(member.train_subjects) for member in data.members.values()]
    expected = sum(c * a for c, a in zip(counts, alone, strict=True)) / sum(counts)
    assert torch.allclose(data.average_face(), expected, atol=1e-6)


def test_a_checkpoint_of_one_data_set_is_held_to_its_people(tmp_path: Path) -> None:
    data = make(tmp_path)
    data.setup("fit")
    state = data.state_dict()
    assert len(state["trained_on"]) == 2
    data.refuse_leak({"": state})
    other = make(tmp_path, fold=1)
    other.setup("fit")
    with pytest.raises(DatasetError, match=r"was trained on S\d+.* of "):
        other.refuse_leak({"": state})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"root": "x"}, r"data\.root names one folder"),
        ({"sets": {"CKPlusDataModule": {}}}, "two data sets at least"),
        ({"sets": {"CKPlusDataModule": {}, "JAFFEDataModule": {}}}, "names 'JAFFEDataModule'"),
        ({"sets": {"CKPlusDataModule": {}, "os": {}}}, "names 'os'; expected data modules"),
        (
            {"sets": {"CKPlusDataModule": {}, "MMIDataModule": {"size": 3}}},
            r"MMIDataModule its own size, .* give data\.size instead",
        ),
        (
            {"sets": {"CKPlusDataModule": {}, "MMIDataModule": {"mirror": 0.5}}},
            r"cannot make MMIDataModule with \['mirror'\]",
        ),
    ],
)
def test_what_cannot_be_mixed_is_a_sentence(
    tmp_path: Path, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        make(tmp_path, **given)


def test_unequal_folds_and_one_data_set_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"SNaP2DFe 3, CKPlus 4\): set data\.folds"):
        make(tmp_path, folds=None).setup("fit")
    ckplus_tree(tmp_path / "again", subjects=3)  # the faces of the first tree
    sets = {
        "SNaP2DFeDataModule": {"root": str(tmp_path / "snap")},
        "CKPlusDataModule": {"root": str(tmp_path / "again")},
    }
    with pytest.raises(DatasetError, match=r"SNaP2DFe and CKPlus of data\.sets share files"):
        make(tmp_path, sets=sets).setup("fit")

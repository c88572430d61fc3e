"""The state of a run: where it stopped, what it saw."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from datamodules.errors import UserError
from datamodules.sets.ckplus import CKPlusDataModule
from datamodules.sets.snap2dfe import SNaP2DFeDataModule
from tests.datamodules.runs import Recorder, Saver, make, trainer
from tests.datamodules.trees import ckplus_tree, snap_tree


@pytest.fixture(scope="module")
def snap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return snap_tree(tmp_path_factory.mktemp("data") / "snap", subjects=4, codes=(0, 1, 2))


@pytest.mark.parametrize("strategy", ["snap", "ckplus"])
def test_a_resumed_run_sees_what_the_uninterrupted_one_would(tmp_path: Path, strategy: str) -> None:
    """From the checkpoint after each batch, at the ends of epochs too, the rest is the same."""

    def data() -> SNaP2DFeDataModule | CKPlusDataModule:
        if strategy == "snap":
            return make(tmp_path / "snap", tmp_path / "cache", batch_size=8)
        return CKPlusDataModule(
            root=str(tmp_path / "ckplus"),
            cache_dir=str(tmp_path / "cache"),
            size=16,
            crop="none",
            batch_size=8,
        )

    if strategy == "snap":
        snap_tree(tmp_path / "snap", subjects=4, codes=(0, 1, 2))
    else:
        ckplus_tree(tmp_path / "ckplus", subjects=4, codes=(1, 3, 5))
    whole = Recorder()
    fit = trainer(tmp_path, max_epochs=2, callbacks=[Saver(tmp_path)])
    fit.fit(whole, datamodule=data())
    assert [len(seen) - 1 for seen in whole.seen] == [8, 8, 2] * 2
    assert sorted(i for seen in whole.seen[:3] for i in seen[1:]) == sorted(
        i for seen in whole.seen[3:] for i in seen[1:]
    )
    for step in range(1, 6):
        rest = Recorder()
        checkpoint = tmp_path / f"step={step}.ckpt"
        trainer(tmp_path, max_epochs=2).fit(rest, datamodule=data(), ckpt_path=checkpoint)
        assert rest.seen == whole.seen[step:]
        assert rest.sums == whole.sums[step:]
        assert rest.weight.item() == whole.weight.item()


def test_workers_that_fetch_ahead_resume_alike(tmp_path: Path, snap: Path) -> None:
    whole = Recorder()
    fit = trainer(tmp_path, max_epochs=2, callbacks=[Saver(tmp_path)])
    fit.fit(whole, datamodule=make(snap, tmp_path / "cache", batch_size=8))
    for checkpoint, step in (("step=2.ckpt", 2), ("step=3.ckpt", 3), ("epoch=0.ckpt", 3)):
        rest = Recorder()
        data = make(snap, tmp_path / "cache", batch_size=8, num_workers=1)
        resumed = trainer(tmp_path, max_epochs=2)
        resumed.fit(rest, datamodule=data, ckpt_path=tmp_path / checkpoint)
        assert rest.seen == whole.seen[step:]


def test_batches_from_the_device_are_those_of_the_ordinary_loader(
    tmp_path: Path, snap: Path
) -> None:
    """In training, in the middle of a resumed epoch, and in tests, with all that they compare."""

    def data(on_device: bool) -> SNaP2DFeDataModule:
        return make(snap, tmp_path / "cache", batch_size=8, mirror=0.5, on_device=on_device)

    ordinary, gathered, rest = Recorder(), Recorder(), Recorder()
    trainer(tmp_path, max_epochs=2).fit(ordinary, datamodule=data(False))
    placing = trainer(tmp_path, max_epochs=2, callbacks=[Saver(tmp_path)])
    placing.fit(gathered, datamodule=data(True))
    assert (gathered.seen, gathered.sums) == (ordinary.seen, ordinary.sums)
    assert len(gathered.seen) == 6
    resumed = trainer(tmp_path, max_epochs=2)
    resumed.fit(rest, datamodule=data(True), ckpt_path=tmp_path / "step=2.ckpt")
    assert (rest.seen, rest.sums) == (ordinary.seen[2:], ordinary.sums[2:])

    loaders = []
    for on_device in (False, True):
        tested = data(on_device)
        tested.prepare_data()
        tested.setup()
        loaders.append([*tested.train_dataloader(), *tested.test_dataloader()])
    for one, other in zip(*loaders, strict=True):
        assert one.keys() == other.keys()
        torch.testing.assert_close(other, one, rtol=0, atol=0)


def test_processes_share_what_lies_on_their_devices(tmp_path: Path, snap: Path) -> None:
    def seen(rank: int, on_device: bool) -> list[list[int]]:
        data = make(snap, tmp_path / "cache", on_device=on_device)
        data._rank = lambda: (rank, 2)  # type: ignore[method-assign]
        data.prepare_data()
        data.setup("fit")
        return [batch["sample_id"].tolist() for batch in data.train_dataloader()]

    assert seen(0, True) == seen(0, False)
    assert seen(1, True) == seen(1, False)
    first, second = ({i for batch in seen(rank, True) for i in batch} for rank in (0, 1))
    assert len(first) == len(second) == 9
    assert not first & second


@pytest.mark.parametrize(("device", "pinned"), [("cuda", True), ("cpu", False)])
def test_batches_for_a_gpu_are_pinned(
    tmp_path: Path, snap: Path, device: str, pinned: bool
) -> None:
    data = make(snap, tmp_path / "cache", num_workers=1)
    data.prepare_data()
    data.setup("fit")
    strategy = SimpleNamespace(root_device=torch.device(device))
    data.trainer = SimpleNamespace(strategy=strategy, global_rank=0, world_size=1)  # type: ignore[assignment]
    loader = data.train_dataloader()
    assert (loader.pin_memory, loader.persistent_workers) == (pinned, True)


def test_what_lies_on_the_device_needs_no_process_to_read_it() -> None:
    with pytest.raises(UserError, match=r"data\.num_workers must be 0, but is 2"):
        CKPlusDataModule(on_device=True, num_workers=2)


def test_checkpoint_at_the_end_of_an_epoch_resumes_in_the_next(tmp_path: Path, snap: Path) -> None:
    def data() -> SNaP2DFeDataModule:
        return make(snap, tmp_path / "cache", batch_size=8)

    whole = Recorder()
    fit = trainer(tmp_path, max_epochs=3, callbacks=[Saver(tmp_path)])
    fit.fit(whole, datamodule=data())
    state = torch.load(tmp_path / "epoch=1.ckpt", weights_only=True)["SNaP2DFeDataModule"]
    assert (state["epoch"], state["batch"]) == (2, 0)
    rest = Recorder()
    resumed = trainer(tmp_path, max_epochs=3)
    resumed.fit(rest, datamodule=data(), ckpt_path=tmp_path / "epoch=1.ckpt")
    assert rest.seen == whole.seen[6:]


def test_checkpoint_of_an_epoch_that_steps_ended_resumes_in_the_next(
    tmp_path: Path, snap: Path
) -> None:
    fit = trainer(tmp_path, max_epochs=-1, max_steps=4, callbacks=[Saver(tmp_path)])
    fit.fit(Recorder(), datamodule=make(snap, tmp_path / "cache", batch_size=8))
    state = torch.load(tmp_path / "epoch=1.ckpt", weights_only=True)["SNaP2DFeDataModule"]
    assert (state["epoch"], state["batch"]) == (2, 0)


def test_changed_data_are_said_when_a_run_is_resumed(tmp_path: Path) -> None:
    root = snap_tree(tmp_path / "snap", subjects=3)
    fit = trainer(tmp_path, max_epochs=1)
    fit.fit(Recorder(), datamodule=make(root, tmp_path / "cache"))
    fit.save_checkpoint(tmp_path / "last.ckpt")
    csv = root / "emotions" / "SNAP_emotions.csv"
    csv.write_text(csv.read_text().replace("S001;001;1", "S001;001;3"))
    with pytest.warns(UserWarning, match="The data have changed since the checkpoint"):
        trainer(tmp_path, max_epochs=2).fit(
            Recorder(), datamodule=make(root, tmp_path / "cache"), ckpt_path=tmp_path / "last.ckpt"
        )


def test_a_checkpoint_holds_the_names_of_the_classes(tmp_path: Path, snap: Path) -> None:
    fit = trainer(tmp_path)
    data = make(snap, tmp_path / "cache", expressions="ck7")
    fit.fit(Recorder(), datamodule=data)
    fit.save_checkpoint(tmp_path / "last.ckpt")
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)["SNaP2DFeDataModule"]
    assert state["class_names"] == list(data.class_names)
    assert state["class_names"][0] == "happiness"

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import BatchSampler, SequentialSampler

from datamodules.errors import BadSample, UserError
from datamodules.loaders import CacheDataset, batch_loader, next_batch, to_float
from datamodules.store.cache import Cache, build_cache
from datamodules.store.rows import ArraySpec


def stored(folder: Path, *names: str, bad: int = -1, rows: int = 8) -> Cache:
    names = names or ("flow",)

    def compute(row: int) -> dict[str, np.ndarray]:
        if row == bad:
            raise BadSample(f"row {row}", "is bad")
        return {name: np.full((2, 3, 3), row, np.float16) for name in names}

    specs = {name: ArraySpec((2, 3, 3), "float16") for name in names}
    return build_cache(folder, {}, rows, specs, compute, "skip", workers=1, label=names[0])


def test_batches_are_one_read_of_memory_maps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = stored(tmp_path)
    assert isinstance(cache.arrays["flow"], np.memmap)
    rows = np.array([6, 2, 4])
    data = CacheDataset(cache, rows, {"label": np.arange(8) * 10})
    batch = data.__getitems__([2, 0])
    assert batch["sample_id"].tolist() == [4, 6]
    assert batch["label"].tolist() == [40, 60]
    assert batch["flow"].dtype == torch.float16
    assert batch["flow"][:, 0, 0, 0].tolist() == [4, 6]
    batch["flow"].zero_()  # a copy: the map is read-only, and stays
    assert data.__getitems__([0])["flow"].unique().tolist() == [6]
    assert isinstance(cache.arrays["flow"], np.memmap)


def test_a_data_set_pickles_as_a_path(tmp_path: Path) -> None:
    rows = np.arange(200)
    data = CacheDataset(stored(tmp_path, rows=200), rows, {"label": np.arange(200)})
    copied = pickle.dumps(data)
    assert len(copied) < 200 * 2 * 9 * 2 + 4000  # rows and columns, not the 7200 bytes of flows
    again = pickle.loads(copied)
    assert again.__getitems__([5])["flow"].unique().tolist() == [5]


def test_registered_flows_follow_their_pairs_and_bad_ones_leave(tmp_path: Path) -> None:
    names = ("registered_flow", "feature_registered_flow", "posed_apex")
    registered = stored(tmp_path, *names, "converged", bad=1, rows=3)
    data = CacheDataset(stored(tmp_path), np.array([7, 3, 5]), {}, registered)
    assert data.rows.tolist() == [7, 5]
    batch = data.__getitems__([1, 0])
    assert batch["flow"][:, 0, 0, 0].tolist() == [5, 7]
    for name in names:
        assert batch[name][:, 0, 0, 0].tolist() == [2, 0]
    assert "converged" not in batch


def test_a_placed_part_is_read_from_its_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("registered_flow", "feature_registered_flow", "posed_apex")
    registered = stored(tmp_path, *names, bad=1, rows=3)
    columns = {"label": np.arange(8) * 10}
    data = CacheDataset(stored(tmp_path), np.array([7, 3, 5]), columns, registered)
    before = data.__getitems__([1, 0, 1])
    monkeypatch.setattr("datamodules.loaders._CHUNK", 1)  # row by row
    data.place(torch.device("cpu"))
    monkeypatch.setattr("datamodules.loaders._read", None)  # nothing is read any more
    after = data.__getitems__([1, 0, 1])
    assert after.keys() == before.keys()
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    after["flow"].zero_()  # a copy: what lies there stays
    assert data.__getitems__([1])["flow"].unique().tolist() == [5]


def test_the_device_holds_arrays_and_the_host_what_decisions_are_made_of(tmp_path: Path) -> None:
    data = CacheDataset(stored(tmp_path), np.arange(8), {"label": np.arange(8)})
    data.place(torch.device("meta"))
    devices = {name: value.device.type for name, value in data.__getitems__([4, 2]).items()}
    assert devices == {"flow": "meta", "label": "cpu", "sample_id": "cpu"}


def test_a_part_that_does_not_fit_its_device_is_one_sentence(tmp_path: Path) -> None:
    data = CacheDataset(stored(tmp_path), np.arange(8), {})
    data.rows = np.broadcast_to(0, 2**55)
    with pytest.raises(UserError, match=r"needs 1297036692.7 GB for .* data.on_device to false"):
        data.place(torch.device("cpu"))


@pytest.mark.parametrize("workers", [0, 1])
def test_loader_hands_batches_on(tmp_path: Path, workers: int) -> None:
    data = CacheDataset(stored(tmp_path), np.arange(8), {})
    sampler = BatchSampler(SequentialSampler(data), 3, drop_last=False)
    loader = batch_loader(data, workers=workers, pin_memory=False, batch_sampler=sampler)
    assert [batch["sample_id"].tolist() for batch in loader] == [[0, 1, 2], [3, 4, 5], [6, 7]]


def test_faces_become_rgb_in_unit_range_without_a_copy() -> None:
    grey = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 1, 1, 3)
    batch = to_float({"face": grey, "flow": torch.ones(1, 2, 1, 1, dtype=torch.float16)})
    face = batch["face"]
    torch.testing.assert_close(face[0, :, 0], torch.tensor([[0.0, 0.2, 1.0]]).expand(3, -1))
    assert face.stride(1) == 0
    assert batch["flow"].dtype == torch.float32
    rgb = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    torch.testing.assert_close(to_float({"face": rgb})["face"] * 255, rgb.float())


def test_still_images_become_rgb_with_channels_first() -> None:
    rgb = torch.randint(0, 256, (2, 5, 4, 3), dtype=torch.uint8)
    image = to_float({"image": rgb})["image"]
    torch.testing.assert_close(image * 255, rgb.permute(0, 3, 1, 2).float())
    assert image.is_contiguous()
    grey = rgb[..., 0]
    batch = to_float({"image": grey, "source": ["a", "b"]})
    assert batch["source"] == ["a", "b"]
    torch.testing.assert_close(batch["image"][:, 2] * 255, grey.float())
    assert batch["image"].shape == (2, 3, 5, 4)
    assert batch["image"].stride(1) == 0
    # Grey is changed as one channel: a third of the work.
    shapes = []
    changed = to_float({"image": grey}, lambda x: shapes.append(x.shape) or 1 - x)["image"]
    assert shapes == [(2, 1, 5, 4)]
    torch.testing.assert_close(changed[:, 1], 1 - grey / 255)


def test_without_a_trainer_training_has_not_begun() -> None:
    assert next_batch(None) == (0, 0)


def test_other_values_are_left_alone() -> None:
    batch = {"label": torch.tensor([3]), "sequence": ["a"], "flag": torch.tensor([True])}
    assert to_float(dict(batch)) == batch  # the very same objects

"""Batches read straight from the memory maps of a cache."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.batch import send
from datamodules.errors import UserError
from datamodules.store.cache import Cache

Batch = dict[str, Any]

_CHUNK = 2**26  # bytes of a memory map that are copied to a device at a time


class CacheDataset(Dataset[Batch]):
    """Samples as a cache holds them.

    A batch is one indexed read of each array: no loop over samples, nothing decoded, and no more
    memory than the batch, however large the data set. Of a part that lies on a device, see `place`,
    it is one indexed read there.

    Args:
        cache: Cache with a row for each sample.
        rows: int64 [N], the rows of this part; a row's number is its `sample_id`.
        columns: Further values of each row of the cache, by the name that they have in a batch.
        registered: Cache of the flows after registration and of the posed faces, with a row for
            each of `rows`; those without such a flow are left out.
        rivals: Caches of the frames that other methods frontalised, by their names, with the same
            row for a sample as `cache`; those without such a flow are left out.
    """

    def __init__(
        self,
        cache: Cache,
        rows: NDArray[np.int64],
        columns: Mapping[str, NDArray[Any]],
        registered: Cache | None = None,
        rivals: Mapping[str, Cache] | None = None,
    ) -> None:
        self._cache = cache
        self._registered = registered
        self._rivals = dict(rivals or {})
        valid = np.ones(len(rows), np.bool_) if registered is None else registered.valid
        for rival in self._rivals.values():
            valid = valid & rival.valid[rows]
        self._registered_rows = np.flatnonzero(valid)
        self.rows = rows[valid]
        self._columns = {name: values[self.rows] for name, values in columns.items()}
        self._placed: dict[str, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, indices: list[int]) -> Batch:
        """Read a batch of positions in this part: arrays of the caches, columns and `sample_id`."""
        batch = {name: torch.from_numpy(v[indices]) for name, v in self._columns.items()}
        batch["sample_id"] = torch.from_numpy(self.rows[indices])
        if self._placed is None:
            return {name: _read(array, rows[indices]) for name, array, rows in self._maps()} | batch
        device = next(iter(self._placed.values())).device
        wanted = send(torch.tensor(indices), device)
        if device.type == "cuda":
            batch = {name: value.pin_memory() for name, value in batch.items()}
        gathered = {name: whole.index_select(0, wanted) for name, whole in self._placed.items()}
        return gathered | batch

    def place(self, device: torch.device) -> None:
        """Copy the arrays of this part to a device, where batches are gathered from then on.

        Columns and `sample_id` stay on the host, where they can be read without waiting for the
        device.

        Args:
            device: Device of the trainer.

        Raises:
            UserError: If the arrays do not fit.
        """
        placed = {}
        size = sum(array[:1].nbytes * len(rows) for _, array, rows in self._maps())
        try:
            for name, array, rows in self._maps():
                shape = (len(rows), *array.shape[1:])
                placed[name] = _read(array, rows[:0]).new_empty(shape, device=device)
        except RuntimeError:
            raise UserError(
                f"data.on_device needs {size / 1e9:.1f} GB for {len(self)} samples, which the "
                f"device {device} does not have free: set data.on_device to false."
            ) from None
        for name, array, rows in self._maps():
            step = max(1, _CHUNK // array[:1].nbytes)
            for start in range(0, len(rows), step):
                chunk = slice(start, start + step)
                placed[name][chunk] = _read(array, rows[chunk]).to(device)
        self._placed = placed

    def _maps(self) -> Iterator[tuple[str, NDArray[Any], NDArray[np.int64]]]:
        """Yield the arrays of a batch by name, each with its rows at the positions of this part."""
        for name, array in self._cache.arrays.items():
            yield name, array, self.rows
        if self._registered is not None:
            for name in ("registered_flow", "feature_registered_flow", "posed_apex"):
                yield name, self._registered.arrays[name], self._registered_rows
        for rival, cache in self._rivals.items():
            for name in ("flow", "apex"):
                yield f"rival_{name}_{rival}", cache.arrays[name], self.rows


class BatchLoader(DataLoader[Batch]):
    """A loader whose order can be picked up in the middle of an epoch.

    The position is in the state of the DataModule, which names it to the sampler before workers
    fetch ahead. These methods only tell Lightning so, which would otherwise warn that a resumed
    run may see samples twice.
    """

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: see the class."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take nothing: see the class."""


def batch_loader(
    samples: CacheDataset, *, workers: int, pin_memory: bool, **sampling: Any
) -> BatchLoader:
    """Make a loader of the batches that a data set returns.

    Args:
        samples: The data set.
        workers: Processes that read; they live as long as the loader.
        pin_memory: Whether batches go to a GPU.
        **sampling: `batch_sampler`, or `sampler` and `batch_size`.
    """
    # Lightning advises more workers wherever there are fewer than two; these only copy from
    # memory maps, for which a second process is no help.
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    return BatchLoader(
        samples,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=pin_memory,
        collate_fn=_as_is,
        **sampling,
    )


def _as_is(batch: Any) -> Any:
    """Collate nothing: the data set returns whole batches."""
    return batch


def next_batch(trainer: Trainer | None) -> tuple[int, int]:
    """Tell the epoch and the number of the batch that comes next, both from 0.

    Lightning's loaders do not know: they are asked for batches ahead of time. The loops do; of
    their counters, `ready` rises as an epoch starts and `processed` once a batch was trained on or
    an epoch is over, before any callback writes a checkpoint.
    """
    if trainer is None:
        return 0, 0
    # Lightning declares a base class that lacks a counter.
    epoch: Any = trainer.fit_loop.epoch_progress.current
    batch: Any = trainer.fit_loop.epoch_loop.batch_progress.current
    # Steps may end an epoch before its last batch.
    if batch.processed >= trainer.num_training_batches or epoch.processed == epoch.ready:
        return epoch.ready, 0
    return max(epoch.ready - 1, 0), batch.processed


def to_float(batch: Batch, augment: Callable[[Tensor], Tensor] | None = None) -> Batch:
    """Turn stored types into those that methods take, on the device where the batch is.

    Args:
        batch: Still images as `image`, uint8 [B, H, W] grey or [B, H, W, 3] RGB; other faces
            uint8 [B, C, H, W] of 1 or 3 channels; float16 flows. It is changed.
        augment: Changes faces float32 [B, C, H, W] in [0, 1], where they are to be changed; it
            sees a grey face as one channel.

    Returns:
        The batch with faces float32 [B, 3, H, W] in [0, 1] (grey is one channel seen three times,
        not copied) and float32 flows.
    """
    for name, value in batch.items():
        if not isinstance(value, Tensor):
            continue
        if value.dtype == torch.uint8:
            channels = _channels_first(value) if name == "image" else value
            # The copy is needed for the type anyway; it puts channels first on the way.
            face = channels.to(torch.float32, memory_format=torch.contiguous_format).div_(255.0)
            batch[name] = (face if augment is None else augment(face)).expand(-1, 3, -1, -1)
        elif value.dtype == torch.float16:
            batch[name] = value.float()
    return batch


def _channels_first(images: Tensor) -> Tensor:
    return images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)


def _read(array: NDArray[Any], rows: NDArray[np.int64]) -> Tensor:
    # Indexing a memory map gives a memory map type over a copy; torch wants the plain array.
    return torch.from_numpy(np.asarray(array)[rows])

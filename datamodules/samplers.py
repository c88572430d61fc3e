"""Which samples a process sees, and in which order.

The trainer's `use_distributed_sampler` stays off: Lightning's own sampler would repeat samples
to fill the last batch, and its order could not be picked up in the middle of an epoch.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler


def _check(length: int, world: int) -> None:
    if length < world:
        raise ValueError(
            f"Each process needs a sample, but got {length} samples for {world} processes; "
            "use fewer devices or more data."
        )


class TrainSampler(Sampler[list[int]]):
    """Batches of shuffled indices, for `DataLoader(batch_sampler=...)`.

    The order is a pure function of seed and epoch, so a resumed run sees the batches that an
    uninterrupted one would have seen. All processes draw the same permutation and take every
    `world`-th entry of it; the fewer than `world` entries left over wait for another epoch, since
    processes with unequal numbers of batches would wait for each other for ever. The last batch
    is kept though it may be smaller, even of one sample: a batch norm over vectors cannot train
    on that, one over maps can.

    Args:
        length: Number of samples in the training split.
        batch_size: Samples a batch and process.
        seed: Seed of the shuffling.
        rank: Number of this process.
        world: Number of processes.
        epoch: Epoch that comes first. A resumed run must name it here, because workers fetch
            ahead before Lightning calls `set_epoch`.
        start: Batches of that first epoch to leave out, because they were trained on already.

    Raises:
        ValueError: If there are fewer samples than processes.
    """

    def __init__(
        self,
        length: int,
        batch_size: int,
        *,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        epoch: int = 0,
        start: int = 0,
    ) -> None:
        _check(length, world)
        self._length = length
        self._batch_size = batch_size
        self._seed = seed
        self._rank = rank
        self._world = world
        self._epoch = epoch
        self._start = start

    @property
    def sampler(self) -> TrainSampler:
        """Itself: Lightning calls `set_epoch` on a batch sampler's `sampler` only."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Go to an epoch; any but the first one starts at its first batch."""
        if epoch != self._epoch:
            self._epoch, self._start = epoch, 0

    def __len__(self) -> int:
        # The whole epoch: Lightning adds the batches done before a resume on its own.
        return -(-(self._length // self._world) // self._batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        order = np.random.default_rng([self._seed, self._epoch]).permutation(self._length)
        mine = order[: self._length // self._world * self._world][self._rank :: self._world]
        for batch in range(self._start, len(self)):
            yield mine[batch * self._batch_size : (batch + 1) * self._batch_size].tolist()


class ShardSampler(Sampler[int]):
    """Every `world`-th index from `rank` on: over all processes each sample comes exactly once.

    Nothing is repeated to make the shares equal, so that no sample counts twice in a metric.

    Args:
        length: Number of samples in the split.
        rank: Number of this process.
        world: Number of processes.

    Raises:
        ValueError: If there are fewer samples than processes.
    """

    def __init__(self, length: int, *, rank: int = 0, world: int = 1) -> None:
        _check(length, world)
        self._indices = range(rank, length, world)

    def __len__(self) -> int:
        return len(self._indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self._indices)

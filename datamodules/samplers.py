"""Which samples a process sees, and in which order.

The trainer's `use_distributed_sampler` stays off: Lightning's own sampler would repeat samples
to fill the last batch, and its order could not be picked up in the middle of an epoch.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from datamodules.errors import UserError


def _check(length: int, world: int) -> None:
    if length < world:
        raise UserError(
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
        UserError: If there are fewer samples than processes.
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
        order = self._order(np.random.default_rng([self._seed, self._epoch]))
        mine = order[: self._length // self._world * self._world][self._rank :: self._world]
        for batch in range(self._start, len(self)):
            yield mine[batch * self._batch_size : (batch + 1) * self._batch_size].tolist()

    def _order(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw the indices of an epoch, the same in all processes."""
        return rng.permutation(self._length)


class WeightedTrainSampler(TrainSampler):
    """Batches in which samples come as often as their weights say.

    An epoch is as long as without weights. Draws are systematic, not independent: a sample whose
    share of the weights is worth 2.3 places in an epoch comes 2 or 3 times, never 0 or 7 times.
    All processes draw the same epoch and share it out as `TrainSampler` does.

    Args:
        weights: float [N], not negative; only their proportions matter.
        batch_size: Samples a batch and process.
        **placed: `seed`, `rank`, `world`, `epoch` and `start`, see `TrainSampler`.

    Raises:
        UserError: If a weight is negative or not finite, or all are 0.
    """

    def __init__(self, weights: NDArray[np.float64], batch_size: int, **placed: int) -> None:
        super().__init__(len(weights), batch_size, **placed)
        if not np.isfinite(weights).all() or weights.min() < 0 or weights.sum() == 0:
            raise UserError("The weights of samples must be finite, not negative and not all 0.")
        self._weights = weights / weights.sum()

    def _order(self, rng: np.random.Generator) -> NDArray[np.int64]:
        shuffled = rng.permutation(self._length)
        ends = np.cumsum(self._weights[shuffled])
        places = (np.arange(self._length) + rng.random()) / self._length
        # The last end is 1 but for rounding.
        drawn = np.searchsorted(ends[:-1], places, side="right")
        return rng.permutation(shuffled[drawn])


class ShardSampler(Sampler[int]):
    """Every `world`-th index from `rank` on: over all processes each sample comes exactly once.

    Nothing is repeated to make the shares equal, so that no sample counts twice in a metric.

    Args:
        length: Number of samples in the split.
        rank: Number of this process.
        world: Number of processes.

    Raises:
        UserError: If there are fewer samples than processes.
    """

    def __init__(self, length: int, *, rank: int = 0, world: int = 1) -> None:
        _check(length, world)
        self._indices = range(rank, length, world)

    def __len__(self) -> int:
        return len(self._indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self._indices)

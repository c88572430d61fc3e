import lightning
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from datamodules.samplers import ShardSampler, TrainSampler, WeightedTrainSampler


def test_an_epoch_has_every_sample_once_in_an_order_of_its_own() -> None:
    sampler = TrainSampler(10, 4, seed=3)
    epochs = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert [len(batch) for batch in batches] == [4, 4, 2]
        assert len(sampler) == 3
        epochs.append([index for batch in batches for index in batch])
        assert sorted(epochs[-1]) == list(range(10))
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    walked = TrainSampler(50, 4, seed=3)
    for epoch in range(3):
        walked.set_epoch(epoch)
        list(walked)
    torch.manual_seed(99)
    assert list(TrainSampler(50, 4, seed=3, epoch=2)) == list(walked)
    assert list(TrainSampler(50, 4, seed=4, epoch=2)) != list(walked)


@pytest.mark.parametrize(("length", "world"), [(23, 2), (24, 3), (25, 3), (2, 2)])
def test_processes_share_without_overlap_and_equally(length: int, world: int) -> None:
    ranks = [list(TrainSampler(length, 4, rank=rank, world=world)) for rank in range(world)]
    sizes = [[len(batch) for batch in batches] for batches in ranks]
    assert all(size == sizes[0] for size in sizes)
    seen = [index for batches in ranks for batch in batches for index in batch]
    assert len(set(seen)) == len(seen) == length // world * world


def test_a_resumed_epoch_goes_on_and_the_next_starts_afresh() -> None:
    whole = TrainSampler(20, 4, seed=1, epoch=5)
    resumed = TrainSampler(20, 4, seed=1, epoch=5, start=3)
    assert len(resumed) == len(whole) == 5
    resumed.set_epoch(5)
    assert list(resumed) == list(whole)[3:]
    for sampler in (whole, resumed):
        sampler.set_epoch(6)
    assert list(resumed) == list(whole)


def test_evaluation_sees_each_sample_once_over_all_processes() -> None:
    shards = [list(ShardSampler(11, rank=rank, world=3)) for rank in range(3)]
    assert shards == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8]]
    assert [len(ShardSampler(11, rank=rank, world=3)) for rank in range(3)] == [4, 4, 3]


@pytest.mark.parametrize(
    "sampler", [lambda: TrainSampler(2, 4, world=3), lambda: ShardSampler(2, world=3)]
)
def test_fewer_samples_than_processes_are_said_plainly(sampler) -> None:
    with pytest.raises(ValueError, match="got 2 samples for 3 processes"):
        sampler()


WEIGHTS = np.array([4.0, 1.0, 1.0, 0.0, 2.0] * 8)


def drawn(**placed: int) -> list[int]:
    return [index for batch in WeightedTrainSampler(WEIGHTS, 4, **placed) for index in batch]


def test_samples_come_as_often_as_their_weights_say_in_every_epoch() -> None:
    expected = WEIGHTS / WEIGHTS.sum() * len(WEIGHTS)
    total = np.zeros(len(WEIGHTS))
    for epoch in range(200):
        indices = drawn(seed=2, epoch=epoch)
        assert len(indices) == len(WEIGHTS)
        counts = np.bincount(indices, minlength=len(WEIGHTS))
        assert (np.abs(counts - expected) < 1).all()
        total += counts
    np.testing.assert_allclose(total / 200, expected, atol=0.15)
    assert drawn(seed=2) == drawn(seed=2)
    assert drawn(seed=2) != drawn(seed=3)
    assert drawn(seed=2, start=3) == drawn(seed=2)[12:]


def test_processes_share_one_weighted_epoch() -> None:
    whole = [index for batch in WeightedTrainSampler(WEIGHTS, 1, seed=4) for index in batch]
    shares = [drawn(seed=4, rank=rank, world=3) for rank in range(3)]
    assert [len(share) for share in shares] == [13, 13, 13]
    assert [i for turn in zip(*shares, strict=True) for i in turn] == whole[:39]


@pytest.mark.parametrize("weights", [[0.0, 0.0], [1.0, -1.0], [1.0, np.nan]])
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="must be finite, not negative and not all 0"):
        WeightedTrainSampler(np.array(weights), 1)


class Recorder(lightning.LightningModule):
    """Writes down which samples it was trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.seen: list[list[int]] = []

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        self.seen.append(batch[0].flatten().int().tolist())
        return self.layer(batch[0]).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


# Lightning advises more workers, and uses what PyTorch deprecates.
@pytest.mark.filterwarnings("ignore")
def test_lightning_moves_the_sampler_from_epoch_to_epoch() -> None:
    data = TensorDataset(torch.arange(10.0)[:, None])
    recorder = Recorder()
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.fit(recorder, DataLoader(data, batch_sampler=TrainSampler(10, 4, seed=3)))
    expected = [*TrainSampler(10, 4, seed=3, epoch=0), *TrainSampler(10, 4, seed=3, epoch=1)]
    assert recorder.seen == expected

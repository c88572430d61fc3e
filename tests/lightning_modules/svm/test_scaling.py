from __future__ import annotations

import pytest
import torch
from sklearn.preprocessing import StandardScaler, normalize

from lightning_modules.svm import scaling
from lightning_modules.svm.scaling import FeatureScaling


@pytest.mark.parametrize("chunk", [4, 100])
def test_it_standardises_by_the_training_part_and_gives_each_block_unit_length(monkeypatch, chunk):
    monkeypatch.setattr(scaling, "_CHUNK", chunk)
    train, test = 3 * torch.randn(20, 7) + 5, torch.randn(9, 7)
    own = FeatureScaling([3, 4])
    arrays = own.fit(train)
    assert set(arrays) == {"mean", "deviation"}
    standard = StandardScaler().fit(train.double()).transform(test.double())
    expected = torch.cat(
        [torch.from_numpy(normalize(block)) for block in (standard[:, :3], standard[:, 3:])], dim=1
    )
    torch.testing.assert_close(own(test), expected.float())


def test_without_blocks_all_features_are_one():
    train = torch.randn(20, 7)
    own = FeatureScaling()
    own.fit(train)
    torch.testing.assert_close(own(train).norm(dim=1), torch.ones(20))


def test_a_feature_that_never_changes_says_nothing():
    train = torch.cat((torch.randn(20, 3), torch.full((20, 1), 0.1)), dim=1)
    own = FeatureScaling()
    own.fit(train)
    assert own(train)[:, 3].abs().max() < 0.1


def test_the_statistics_live_in_a_state_dict():
    train, own, other = torch.randn(20, 7), FeatureScaling([3, 4]), FeatureScaling([3, 4])
    own.fit(train)
    other.load_state_dict(own.state_dict())
    assert torch.equal(own(train), other(train))

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from callbacks import outputs
from callbacks.outputs import Samples, TestSamples, read
from tests.callbacks.fakes import FaceData, FaceModule, FakeData, FakeModule, faces_of, trainer


class Kept(TestSamples):
    keys = ("label",)

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Samples] = []

    def on_test_samples(self, trainer: Any, pl_module: Any, samples: Samples) -> None:
        self.found.append(samples)


def test_all_samples_come_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "_PARTS", 3)
    callback = Kept()
    for _ in range(2):  # a second test begins anew
        trainer(tmp_path, callback).test(FaceModule(), datamodule=FaceData(), verbose=False)
    for samples in callback.found:
        np.testing.assert_array_equal(samples["sample_id"], np.arange(30))
        np.testing.assert_array_equal(samples["label"], np.arange(30) % 3)


def test_processes_put_their_samples_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranks = [Kept(), Kept()]
    # As a distributed sampler deals them out, the last one repeated to fill up; one is idle.
    for callback, numbers in zip(ranks, ([4, 0, 2], [1, 3, 0]), strict=True):
        callback.on_test_start(None, None)  # type: ignore[arg-type]
        callback.on_test_batch_end(None, FaceModule(), faces_of(numbers), None, 0)  # type: ignore[arg-type]
    everyone = [*(rank._joined() for rank in ranks), {}]
    monkeypatch.setattr(outputs, "gather", lambda value: everyone)
    runner: Any = trainer(tmp_path)
    ranks[0].on_test_epoch_end(runner, FaceModule())
    np.testing.assert_array_equal(ranks[0].found[0]["sample_id"], np.arange(5))
    np.testing.assert_array_equal(ranks[0].found[0]["label"], np.arange(5) % 3)


def test_what_a_method_does_not_return_is_said(tmp_path: Path) -> None:
    callback = Kept()
    callback.keys = ("features",)
    with pytest.raises(ValueError, match="Kept needs features of a step, which FakeModule"):
        trainer(tmp_path, callback).test(FakeModule(), datamodule=FakeData(), verbose=False)


def test_logits_are_scores_with_probabilities_and_scores_alone_are_not() -> None:
    logits = torch.tensor([[0.0, 2.0]], dtype=torch.bfloat16)
    assert read({"logits": logits}, "scores") is logits
    probabilities = read({"logits": logits}, "probabilities")
    torch.testing.assert_close(probabilities, logits.double().softmax(dim=1))
    assert read({"scores": logits}, "probabilities") is None
    given = {"scores": logits, "probabilities": probabilities}
    assert read(given, "scores") is logits
    assert read(given, "probabilities") is probabilities

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    recall_score,
    roc_auc_score,
)

from lightning_modules.metrics.classification import (
    ExpressionScores,
    UnitScores,
    area_under_roc,
    classification_metrics,
)


@pytest.mark.parametrize("present", [[0, 1, 2, 3], [0, 2]])
def test_classification_metrics_agree_with_scikit_learn(present):
    generator = torch.Generator().manual_seed(3)
    labels = torch.tensor(present)[torch.randint(len(present), (40,), generator=generator)]
    logits = torch.randn(40, 4, generator=generator)
    logits[range(40), labels] += 1
    metrics = classification_metrics(4)
    for half in (slice(0, 25), slice(25, 40)):
        metrics.update(logits[half], labels[half])
    got = metrics.compute()
    truth, guess = labels.numpy(), logits.argmax(dim=1).numpy()
    with np.errstate(all="ignore"):
        expected = {
            "accuracy": accuracy_score(truth, guess),
            "f1_macro": f1_score(truth, guess, average="macro", zero_division=0),
            "balanced_accuracy": recall_score(truth, guess, labels=present, average="macro"),
        }
    for name, value in expected.items():
        assert got[name].item() == pytest.approx(value, abs=1e-6)
    recall = recall_score(truth, guess, labels=range(4), average=None, zero_division=0)
    np.testing.assert_allclose(got["recall"], recall, atol=1e-6)


def test_balanced_accuracy_is_that_of_scikit_learn_and_not_the_accuracy():
    labels = torch.tensor([0, 0, 0, 0, 1])
    guesses = torch.tensor([0, 0, 0, 0, 0])
    metrics = classification_metrics(2)
    metrics.update(torch.nn.functional.one_hot(guesses, 2).float(), labels)
    expected = balanced_accuracy_score(labels.numpy(), guesses.numpy())
    assert metrics.compute()["balanced_accuracy"].item() == pytest.approx(expected)
    assert metrics.compute()["accuracy"].item() == pytest.approx(0.8)


def test_scores_of_units():
    random = np.random.default_rng(1)
    shown = (random.random((40, 3)) < 0.3).astype(np.int64)
    shown[:, 1] = 0
    margins = random.normal(size=(40, 3))
    margins[:, 2] = np.nan
    scores = UnitScores((4, 12, 25))
    for part in (slice(0, 15), slice(15, 40)):
        scores.update(torch.from_numpy(margins[part]).float(), torch.from_numpy(shown[part]))
    found = {name: float(value) for name, value in scores.summarize().items()}
    area = roc_auc_score(shown[:, 0], margins[:, 0])
    assert found["auc_au4"] == found["auc"] == pytest.approx(area)
    assert found["f1_au4"] == pytest.approx(f1_score(shown[:, 0], margins[:, 0] > 0))
    assert found["support_au25"] == shown[:, 2].sum()
    assert found["base_rate_au12"] == 0
    assert found["units"] == 1
    assert not {"auc_au12", "f1_au12", "auc_au25"} & set(found)


def test_scores_of_expressions_leave_out_what_is_not_defined():
    label = torch.tensor([0, 0, 1, 1, 1, 0])
    answers = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    subsets = torch.tensor([[True, False]] * 2 + [[False, False]] * 4)
    scores = ExpressionScores(3, ("turned", "hidden"))
    scores.update(answers, label, subsets)
    found = scores.summarize(("a", "b", "c"))
    right = (answers.argmax(dim=1) == label).float()
    assert found["turned_accuracy"] == right[:2].mean()
    assert "hidden_accuracy" not in found
    assert "auc_c" not in found
    assert found["auc_b"].item() == pytest.approx(roc_auc_score(label == 1, answers[:, 1]))
    assert found["auc"].item() == pytest.approx((found["auc_a"] + found["auc_b"]).item() / 2)
    assert found["accuracy"] == right.mean()
    scores.update(answers, torch.zeros(6, dtype=torch.int64))
    assert torch.isnan(scores.summarize()["auc"])


def test_no_area_where_a_score_is_not_a_number():
    assert area_under_roc(torch.tensor([0.0, torch.nan]), torch.tensor([True, False])) is None

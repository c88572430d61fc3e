from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.model_selection import cross_val_predict
from sklearn.svm import SVC
from torch.nn import functional

from lightning_modules.svm import gram
from lightning_modules.svm.classification import KernelSearch, fit_temperature
from lightning_modules.svm.gram import mean_variance, rbf_kernel_, squared_distances
from lightning_modules.svm.modules import SupportVectorClassifier, TemperatureScaling, arrays_of
from lightning_modules.svm.search import Trial, best, grouped_folds


def clouds(classes: int, count: int = 60, width: int = 12) -> tuple[torch.Tensor, np.ndarray]:
    """Overlapping clouds of points, so that there are errors and support vectors."""
    generator = np.random.default_rng(classes)
    labels = np.arange(count) % classes
    centres = generator.normal(size=(classes, width))
    points = centres[labels] + 1.2 * generator.normal(size=(count, width)) + 5
    return torch.from_numpy(points).float(), labels


@pytest.mark.parametrize("block", [7, 64])
def test_distances_are_those_of_scikit_learn(monkeypatch, block):
    monkeypatch.setattr(gram, "_BLOCK", block)
    points, _ = clouds(3, 30)
    expected = euclidean_distances(points.double(), squared=True)
    own = squared_distances(points)
    np.testing.assert_allclose(own, expected, atol=1e-10)
    np.testing.assert_allclose(own, own.T, rtol=1e-12)
    assert not own.diagonal().any()
    np.testing.assert_allclose(
        squared_distances(points[:11], points[11:]), expected[:11, 11:], atol=1e-10
    )
    assert mean_variance(own) == pytest.approx(points.double().var(0, correction=0).sum().item())


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("precomputed", [True, False])
def test_decisions_are_those_of_scikit_learn(classes, precomputed):
    points, labels = clouds(classes, 90)
    train, test = points[:60], points[60:]
    gamma = 0.05
    kernel = rbf_kernel_(squared_distances(train), gamma).numpy()
    options = {"C": 3.0, "break_ties": True}
    machine = (
        SVC(kernel="precomputed", **options).fit(kernel, labels[:60])
        if precomputed
        else SVC(gamma=gamma, **options).fit(train.double().numpy(), labels[:60])
    )
    given = rbf_kernel_(squared_distances(test, train), gamma) if precomputed else test.double()
    expected = machine.decision_function(given.numpy())
    own = SupportVectorClassifier(classes)
    own.fill(arrays_of(machine, train, gamma))
    scores = own(test)
    if classes == 2:
        expected = np.stack((-expected, expected), axis=1)
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    np.testing.assert_array_equal(scores.argmax(dim=1), machine.predict(given.numpy()))
    # LIBSVM's own rule, wherever the duels leave no tie.
    duels = own.margins(test).numpy()
    plain = SVC(gamma=gamma, C=3.0, decision_function_shape="ovo").fit(
        train.double().numpy(), labels[:60]
    )
    votes = plain.predict(test.double().numpy())
    won = np.sort(np.floor(scores.numpy() + 0.5), axis=1)
    clear = won[:, -1] > won[:, -2] if classes > 2 else np.full(30, True)
    np.testing.assert_array_equal(scores.argmax(dim=1)[clear], votes[clear])
    if classes > 2:
        np.testing.assert_allclose(duels, plain.decision_function(test.double().numpy()), atol=1e-2)


def test_the_search_is_that_of_scikit_learn_on_raw_features():
    points, labels = clouds(4, 80)
    people = np.arange(80) // 8
    task = KernelSearch(points, labels, people, folds=3, seed=5)
    folds = grouped_folds(labels, people, 3, 5)
    trials = task.search(4)
    assert trials[0].parameters == {"cost": 1.0, "gamma_factor": 1.0}
    variance = points.double().var(0, correction=0).sum().item()
    for trial in trials:
        machine = SVC(
            C=trial.parameters["cost"],
            gamma=trial.parameters["gamma_factor"] / variance,
            break_ties=True,
        )
        predicted = cross_val_predict(machine, points.double().numpy(), labels, cv=folds)
        assert trial.score == pytest.approx((predicted == labels).mean())
    chosen = best(trials).parameters
    raw = SVC(C=chosen["cost"], gamma=chosen["gamma_factor"] / variance, break_ties=True)
    raw.fit(points.double().numpy(), labels)
    own = SupportVectorClassifier(4)
    own.fill(task.fit(trials))
    fresh = clouds(4, 120)[0]
    np.testing.assert_allclose(own(fresh), raw.decision_function(fresh.double()), atol=1e-5)


def test_a_search_goes_on_as_if_it_had_never_stopped():
    points, labels = clouds(3, 45)
    whole = KernelSearch(points, labels, None, folds=3, seed=1).search(7)
    seen: list[list[Trial]] = []
    KernelSearch(points, labels, None, folds=3, seed=1).search(
        3, after_each=lambda trials: seen.append(list(trials))
    )
    assert [len(trials) for trials in seen] == [1, 2, 3]
    again = KernelSearch(points, labels, None, folds=3, seed=1).search(7, done=seen[-1])
    assert again == whole
    assert len({trial.parameters["cost"] for trial in whole}) == 7
    assert KernelSearch(points, labels, None, folds=3, seed=2).search(3)[1:] != whole[1:3]


def test_nobody_is_on_two_sides_of_a_fold():
    labels = np.arange(60) % 3
    people = np.arange(60) // 5
    folds = grouped_folds(labels, people, 3, 0)
    assert sorted(np.concatenate([scored for _, scored in folds])) == list(range(60))
    for fitted, scored in folds:
        assert not set(people[fitted]) & set(people[scored])
        assert set(labels[fitted]) == {0, 1, 2}


def test_a_class_missing_from_a_fold_or_from_training_is_never_chosen_there():
    points, labels = clouds(3, 40)
    labels = np.where(labels == 2, 0, labels)
    labels[:1] = 2  # one sample, of one person: missing wherever that person is held out
    task = KernelSearch(points, labels, np.arange(40) // 4, folds=4, seed=0)
    own = SupportVectorClassifier(5)
    own.fill(task.fit(task.search(2)))
    scores = own(points)
    assert own.classes.tolist() == [0, 1, 2]
    assert (scores[:, 3:] < scores[:, :3].amin(dim=1, keepdim=True)).all()


def test_a_class_may_weigh_more_than_it_has_samples():
    points, labels = clouds(2, 60, width=2)
    labels = (np.arange(60) % 10 == 0).astype(np.int64)
    shares = []
    for weight in (None, "balanced"):
        task = KernelSearch(points, labels, None, folds=3, seed=0, class_weight=weight)
        own = SupportVectorClassifier(2)
        own.fill(task.fit([Trial({"cost": 1.0, "gamma_factor": 1.0}, 0.0)]))
        shares.append(own(points).argmax(dim=1).float().mean())
    assert shares[0] < shares[1]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda points: points[3].fill_(torch.nan), "1 of 12 feature vectors hold values that are"),
        (lambda points: points.fill_(2.0), "All 12 feature vectors are equal"),
    ],
)
def test_features_that_say_nothing_are_refused(spoil, said):
    points, labels = clouds(3, 12)
    spoil(points)
    with pytest.raises(ValueError, match=said):
        KernelSearch(points, labels, None, folds=3, seed=0)


def test_what_cannot_be_searched_is_said():
    points, labels = clouds(3, 12)
    with pytest.raises(ValueError, match="All 12 training samples are of one class"):
        KernelSearch(points, np.zeros(12, np.int64), None, folds=3, seed=0)
    with pytest.raises(ValueError, match="the training part has 2 people"):
        KernelSearch(points, labels, np.arange(12) % 2, folds=3, seed=0)
    with pytest.raises(ValueError, match="There is no labelled sample"):
        KernelSearch(points[:0], labels[:0], None, folds=3, seed=0)


def test_a_fitted_machine_lives_in_a_state_dict(tmp_path):
    points, labels = clouds(3, 30)
    task = KernelSearch(points, labels, None, folds=3, seed=0)
    own = SupportVectorClassifier(3)
    with pytest.raises(ValueError, match="never fitted"):
        own(points)
    own.fill(task.fit(task.search(1)))
    torch.save(own.state_dict(), tmp_path / "machine.pt")
    other = SupportVectorClassifier(3)
    other.load_state_dict(torch.load(tmp_path / "machine.pt", weights_only=True))
    assert torch.equal(other(points), own(points))
    with pytest.raises(ValueError, match="fitted on 12 features, but is given 5"):
        own(points[:, :5])
    other.clear()
    assert not other.fitted
    other.load_state_dict(SupportVectorClassifier(3).state_dict())


# ---- calibration


def test_the_temperature_is_that_of_the_lowest_cross_entropy():
    generator = torch.Generator().manual_seed(0)
    sharp = 3 * torch.randn(4000, 4, generator=generator)
    labels = torch.multinomial((sharp / 2.5).softmax(dim=1), 1, generator=generator).flatten()
    found = fit_temperature(sharp, labels).item()
    assert found == pytest.approx(2.5, rel=0.05)
    tried = np.linspace(1, 5, 401)
    losses = [functional.cross_entropy(sharp / float(value), labels).item() for value in tried]
    assert found == pytest.approx(tried[int(np.argmin(losses))], abs=0.02)


def test_scores_without_an_error_make_certain_of_nothing():
    scores, scaling = 3 * torch.eye(3).repeat(10, 1), TemperatureScaling()
    scaling.fill({"temperature": fit_temperature(scores, torch.arange(3).repeat(10))})
    probabilities = scaling(scores)
    assert torch.equal(probabilities.argmax(dim=1), scores.argmax(dim=1))
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(30))
    assert 0.9 < probabilities.max() < 0.99


def test_probabilities_are_calibrated_on_people_that_the_machine_has_not_seen():
    points, labels = clouds(3, 90)
    people = np.arange(90) // 9
    task = KernelSearch(points, labels, people, folds=3, seed=2)
    trials = task.search(2)
    temperature = task.calibrate(trials).item()
    cost, gamma = task.cost_and_gamma(best(trials).parameters)
    answers = cross_val_predict(
        SVC(C=cost, gamma=gamma, break_ties=True),
        points.double().numpy(),
        labels,
        cv=task.folds,
        method="decision_function",
    )
    expected = fit_temperature(torch.from_numpy(answers), torch.from_numpy(labels)).item()
    assert temperature == pytest.approx(expected, rel=1e-3)
    # On the samples it was fitted on it would be surer than it may be.
    own = SupportVectorClassifier(3)
    own.fill(task.fit(trials))
    assert fit_temperature(own(points), torch.from_numpy(labels)).item() < temperature


def test_a_fold_of_one_class_says_nothing_of_the_others():
    points, labels = clouds(2, 20)
    people = np.where(labels == 0, 0, 1)  # whoever is held out takes a class along
    task = KernelSearch(points, labels, people, folds=2, seed=0)
    scaling = TemperatureScaling()
    scaling.fill({"temperature": task.calibrate(task.search(1))})
    probabilities = scaling(torch.tensor([[0.0, -1.0]]))
    torch.testing.assert_close(probabilities, torch.full((1, 2), 0.5), atol=0.01, rtol=0)

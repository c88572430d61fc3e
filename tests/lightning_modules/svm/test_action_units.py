from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC

from datamodules.labels import ACTION_UNITS
from lightning_modules.svm.action_units import LinearSearch
from lightning_modules.svm.data import unit_table
from lightning_modules.svm.modules import LinearMachines


def samples(width: int, count: int = 60) -> tuple[torch.Tensor, np.ndarray]:
    random = np.random.default_rng(0)
    units = (random.random((count, 4)) < 0.4).astype(np.int64)
    points = random.normal(size=(count, width)) + 3
    points[:, :2] += 2.0 * units[:, :2]
    units[:, 3] = 1
    return torch.from_numpy(points).float(), units


def fitted(points: torch.Tensor, units: np.ndarray, **options) -> tuple[LinearMachines, list]:
    task = LinearSearch(points, units, None, folds=3, seed=0, **options)
    trials = [[] if unit in task.skipped() else task.search(unit, 3) for unit in range(4)]
    machines = LinearMachines(4)
    machines.fill(task.fit(trials))
    return machines, trials


@pytest.mark.parametrize("width", [6, 200])
def test_margins_are_those_of_scikit_learn(width):
    points, units = samples(width)
    machines, _ = fitted(points, units)
    wide = points.double().numpy()
    centred = wide - wide.mean(axis=0)
    scaled = centred / np.sqrt((centred**2).sum(axis=1).mean())
    for unit in range(3):
        machine = LinearSVC(C=float(machines.costs[unit]), dual=False, tol=1e-9)
        machine.fit(scaled, units[:, unit])
        expected = machine.decision_function(scaled)
        np.testing.assert_allclose(machines(points)[:, unit], expected, atol=1e-4)


def test_a_unit_that_all_or_none_show_has_no_machine():
    points, units = samples(6)
    machines, trials = fitted(points, units)
    assert trials[3] == []
    assert torch.isnan(machines(points)[:, 3]).all()
    assert torch.isfinite(machines(points)[:, :3]).all()
    assert all(torch.isfinite(buffer).all() for buffer in machines.buffers())


def test_a_unit_without_a_fold_to_judge_by_takes_the_default():
    points, units = samples(6)
    units[:, 0] = 0
    units[:2, 0] = 1  # of one person
    task = LinearSearch(points, units, np.arange(60) // 4, folds=3, seed=0)
    (trial,) = task.search(0, 5)
    assert trial.parameters == {"cost": 1.0}


def test_machines_live_in_a_state_dict(tmp_path):
    points, units = samples(6)
    machines, _ = fitted(points, units)
    torch.save(machines.state_dict(), tmp_path / "machines.pt")
    again = LinearMachines(4)
    with pytest.raises(ValueError, match="never fitted"):
        again(points)
    again.load_state_dict(torch.load(tmp_path / "machines.pt", weights_only=True))
    torch.testing.assert_close(again(points), machines(points), equal_nan=True)
    with pytest.raises(ValueError, match="fitted on 6 features, but are given 5"):
        again(points[:, :5])


def test_the_table_of_the_paper():
    table = unit_table(("neutral", "happiness", "contempt"))
    shown = [{ACTION_UNITS[i] for i in np.flatnonzero(row)} for row in table]
    assert shown == [set(), {6, 12, 25}, {12}]

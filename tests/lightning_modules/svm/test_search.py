from __future__ import annotations

import pytest
import torch

from lightning_modules.svm.search import StepResults, fingerprint


def test_results_are_taken_under_their_key_alone(tmp_path):
    results = StepResults(tmp_path / "results", "one")
    assert results.load("features") is None
    results.save("features", {"rows": torch.ones(3)})
    results.save("trials", [[{"cost": 1.0}, 0.5]])
    assert StepResults(tmp_path / "results", "one").load("features")["rows"].tolist() == [1, 1, 1]
    assert results.load("trials") == [[{"cost": 1.0}, 0.5]]
    assert StepResults(tmp_path / "results", "other").load("features") is None


def test_what_a_kill_or_a_bad_disk_left_is_not_taken(tmp_path, monkeypatch):
    results = StepResults(tmp_path, "one")
    results.save("features", 1)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            results.save("features", 2)
    assert results.load("features") == 1
    (tmp_path / "features.pt").write_bytes((tmp_path / "features.pt").read_bytes()[:50])
    assert results.load("features") is None


def test_a_fingerprint_sees_every_bit():
    one = torch.zeros(3)
    assert fingerprint([one], "a") == fingerprint([one.clone()], "a")
    others = [
        fingerprint([one], "b"),
        fingerprint([torch.tensor([0.0, 0.0, 1e-45])], "a"),
        fingerprint([one.view(1, 3)], "a"),
        fingerprint([one.double()], "a"),
        fingerprint([], "a"),
    ]
    assert len({fingerprint([one], "a"), *others}) == 6

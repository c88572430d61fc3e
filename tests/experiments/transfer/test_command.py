"""`lightning transfer` as a person calls it; the steps are real processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from experiments.cli import main


def test_features_classifier_and_test_end_to_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    command = ["transfer", "--config=tiny.yaml", "--data_configs", "faces.yaml", "other.yaml"]
    command += ["--pretrain", "faces"]
    main(command)
    (made,) = (folder / "runs" / "tiny").glob("transfer-*")
    (cell,) = json.loads((made / "transfer.json").read_text())["cells"]
    assert (cell["pretrain"], cell["train"], cell["test"]) == ("faces", "other", "other")
    assert cell["missing"] is None
    assert cell["areas"]["happiness"] == 0.75
    assert cell["n_test"] == 6
    features, classifier = (
        torch.load(next(made.glob(f"{kind}/*/checkpoints/last.ckpt")), weights_only=True)
        for kind in ("pretrain", "train")
    )
    for name in ("layer.weight", "layer.bias"):
        assert torch.equal(features["state_dict"][name], classifier["state_dict"][name])
    # The weights of a step serve several tests, each with a folder of its own.
    assert not list(made.glob("train/*/fold.json"))
    said = capsys.readouterr().out
    assert "3 steps to do, 0 done before" in said
    assert "| 1   | faces" in said
    main(command)
    assert "0 steps to do, 3 done before" in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
def test_data_without_labels_alone_are_refused(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["transfer", "--config=tiny.yaml", "--data_configs", "faces.yaml"])
    assert exit_.value.code == 2
    assert "no data set has labels" in capfd.readouterr().err

"""DCGAN + SVM as a person runs it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from datamodules.synthetic.rafdb import write_rafdb
from experiments.cli import main
from experiments.command.usage import PACKAGE
from experiments.run.folder import RunFolder, runs
from lightning_modules.svm.classification import KernelSearch
from tests.datamodules.sets.test_ckplus_faces import coded_tree

SMALL = [
    f"--config={PACKAGE / 'dcgan_svm.yaml'}",
    *("--data.root=tree", "--data.batch_size=16", "--model.size=16", "--model.width=4"),
    *("--model.search_folds=2", "--model.search_trials=3", "--model.quality_samples=8"),
    *("--trainer.max_epochs=1", "--trainer.accelerator=cpu", "--wandb=disabled"),
    *("--trainer.enable_progress_bar=false", "--trainer.log_every_n_steps=1"),
]


@pytest.fixture
def faces(folder: Path) -> Path:
    write_rafdb(folder / "tree", train=42, test=14)
    return folder


def only_run(runs_dir: Path) -> RunFolder:
    (run,) = runs(runs_dir / "dcgan_svm")
    return run


def state(runs_dir: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(only_run(runs_dir).last, weights_only=True)
    return loaded


def test_the_papers_setting(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", f"--config={PACKAGE / 'dcgan_svm.yaml'}", "--print_config"])
    config = yaml.safe_load(capfd.readouterr().out)
    model, data = config["model"]["init_args"], config["data"]["init_args"]
    assert (model["size"], model["width"], model["latent"]) == (64, 64, 100)
    assert (data["size"], data["batch_size"], config["trainer"]["max_epochs"]) == (64, 128, 300)
    assert model["search_folds"] == 10
    assert (model["blocks"], model["standardised"], model["mirrored"]) == ("last", False, False)
    for player in ("d_optimizer", "g_optimizer"):
        assert model[player]["class_path"] == "torch.optim.Adam"
        assert model[player]["init_args"]["lr"] == 2e-4
        assert model[player]["init_args"]["betas"][0] == 0.9


def test_from_training_to_test_and_to_another_run(faces: Path) -> None:
    main(["fit", *SMALL])
    run = only_run(faces / "runs")
    best = torch.load(run.checkpoints / "best.ckpt", weights_only=True)
    assert best["state_dict"]["recogniser.machine.fitted"]
    assert best["state_dict"]["recogniser.machine.support_vectors"].shape[1] == 8 * 16
    assert state(faces / "runs")["state_dict"]["recogniser.machine.fitted"]
    figures = {path.name for path in (run.path / "figures").iterdir()}
    assert figures == {"samples_epoch_002.png", "loss_curves.png", "progress.png"}
    assert not (run.path / ".svm_fit").exists()

    main(["test", *SMALL, "--ckpt_path=best"])
    tested = list(csv.DictReader((run.path / "predictions.csv").read_text().splitlines()))
    assert len(tested) == 14
    scores = json.loads((run.path / "summary.json").read_text())["scores"]
    for baseline in ("hog", "pixels"):
        right = [row[f"predicted_{baseline}"] == row["label"] for row in tested]
        assert scores[f"{baseline}_accuracy"] == pytest.approx(np.mean(right), abs=1e-5)
    with np.load(run.path / "features.npz") as exported:
        assert exported["test_features"].shape == (14, 128)
        assert exported["train_features"].shape[1] == 128

    pretrained = f"--model.pretrained={run.checkpoints / 'best.ckpt'}"
    main(["fit", *SMALL, pretrained, "--runs_dir=other"])
    other = state(faces / "other")
    assert other["global_step"] == 0
    for name, value in best["state_dict"].items():
        if name.startswith(("generator.", "discriminator.")):
            assert torch.equal(other["state_dict"][name], value), name


def test_stopped_in_the_search_it_ends_at_the_same_bits(
    faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score, calls = KernelSearch._score, []

    def stopped_once(self: KernelSearch, parameters: dict[str, float]) -> float:
        calls.append(parameters)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return score(self, parameters)

    monkeypatch.setattr(KernelSearch, "_score", stopped_once)
    # In the middle of the first epoch, as of dcgan_laptop.yaml on other data.
    command = ["fit", *SMALL, "--trainer.max_epochs=-1", "--trainer.max_steps=2"]
    command.append("--trainer.check_val_every_n_epoch=null")
    with pytest.raises(SystemExit) as exit_:
        main(command)
    assert exit_.value.code == 130
    main(command)
    # Three trials of each of three machines, and the one that was stopped; the first not again.
    assert len(calls) == 10
    main([*command, "--runs_dir=whole"])
    resumed, whole = state(faces / "runs"), state(faces / "whole")
    assert whole["global_step"] == resumed["global_step"] == 2
    for name, value in whole["state_dict"].items():
        assert torch.equal(resumed["state_dict"][name], value), name


def test_action_units_are_one_option_away(faces: Path) -> None:
    command = [*SMALL, "--model.task=action_units", "--model.features=pixels"]
    main(["fit", *command])
    main(["test", *command, "--ckpt_path=best"])
    run = only_run(faces / "runs")
    tested = list(csv.DictReader((run.path / "predictions.csv").read_text().splitlines()))
    assert len(tested) == 14
    happy = next(row for row in tested if row["label"] == "happiness")
    assert happy["shown"] == "6+12+25"
    above = {name[2:] for name, value in happy.items() if name[:2] == "au" and float(value) > 0}
    assert above == set(happy["predicted"].split("+")) - {""}
    logged = (run.path / "metrics.csv").read_text()
    for quantity in ("auc_au12", "f1_au12", "base_rate_au12", "support_au12"):
        assert f"test/{quantity}" in logged


def test_action_units_of_faces_without_an_expression(folder: Path) -> None:
    coded_tree(folder / "tree", subjects=6)
    command = [
        *(SMALL[0], f"--config={PACKAGE / 'data' / 'ckplus_faces.yaml'}", *SMALL[1:]),
        *("--model.task=action_units", "--model.features=pixels", "--data.crop=none"),
        *("--model.search_trials=1", "--data.folds=3"),
    ]
    main(["fit", *command, "--data.annotated=action_units"])
    main(["test", *command, "--data.annotated=action_units", "--ckpt_path=best"])
    run = only_run(folder / "runs")
    tested = list(csv.DictReader((run.path / "predictions.csv").read_text().splitlines()))
    assert len(tested) == 22
    assert [row["shown"] for row in tested if not row["label"]] == ["9"] * 6

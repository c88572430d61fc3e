"""PCNN and ResNet-18 as a person runs them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from datamodules.synthetic.ferplus import write_ferplus
from datamodules.synthetic.rafdb import write_rafdb
from experiments.cli import main
from experiments.command.usage import PACKAGE
from experiments.run.folder import RunFolder, runs

SMALL = [
    "--data.root=tree",
    "--data.batch_size=8",
    "--model.width=2",
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
    "--wandb=disabled",
]


def experiment(name: str, *overlays: str) -> list[str]:
    files = (f"{name}.yaml", *overlays)
    return [*(f"--config={PACKAGE / file}" for file in files), *SMALL]


def only_run(runs_dir: Path, name: str) -> RunFolder:
    (run,) = runs(runs_dir / name)
    return run


def resolved(capfd: pytest.CaptureFixture[str], *args: str) -> dict[str, Any]:
    with pytest.raises(SystemExit) as exit_:
        main(["fit", *args, "--print_config"])
    assert exit_.value.code == 0
    return yaml.safe_load(capfd.readouterr().out)


def test_the_papers_setting(capfd: pytest.CaptureFixture[str]) -> None:
    config = resolved(capfd, f"--config={PACKAGE / 'pcnn.yaml'}")
    model, data = config["model"]["init_args"], config["data"]["init_args"]
    assert (model["alpha"], model["beta"], model["regions"]) == (12, 8, "five")
    assert (model["size"], data["size"], model["width"], model["stem"]) == (
        224,
        224,
        64,
        "imagenet",
    )
    sgd = model["optimizer"]
    assert sgd["class_path"] == "torch.optim.SGD"
    rates = {"lr": 0.01, "momentum": 0.9, "weight_decay": 1e-4}
    assert {key: sgd["init_args"][key] for key in rates} == rates
    halving = model["lr_scheduler"]["init_args"]
    assert (halving["step_size"], halving["gamma"]) == (15, 0.5)
    assert (data["batch_size"], config["trainer"]["max_epochs"]) == (128, 100)
    augmentation = data["augmentation"]["init_args"]
    assert (augmentation["rotation"], augmentation["rotation_p"]) == (20, 0.2)
    assert (augmentation["crop_padding"], augmentation["crop_p"]) == (32, 0.2)
    assert list(augmentation["erasing"]) == [0.02, 0.25]


def test_the_rival_is_trained_alike(capfd: pytest.CaptureFixture[str]) -> None:
    one, other = (
        resolved(capfd, f"--config={PACKAGE / f'{name}.yaml'}") for name in ("pcnn", "resnet18")
    )
    for key in ("optimizer", "lr_scheduler", "size"):
        assert one["model"]["init_args"][key] == other["model"]["init_args"][key]
    assert one["data"] == other["data"]
    assert one["trainer"]["max_epochs"] == other["trainer"]["max_epochs"]


@pytest.mark.parametrize(
    "ablation",
    [
        "--model.regions=none",
        "--model.regions=two_random",
        "--model.regions=three",
        "--model.regions=four",
        "--model.transformer=false",
        "--model.alpha=10 --model.beta=10",
        "--model.beta=0",
        "--model.share_layer4=false",
    ],
)
def test_ablations_are_overrides(capfd: pytest.CaptureFixture[str], ablation: str) -> None:
    config = resolved(capfd, f"--config={PACKAGE / 'pcnn.yaml'}", *ablation.split())
    for argument in ablation.split():
        key, value = argument.removeprefix("--model.").split("=")
        assert config["model"]["init_args"][key] == yaml.safe_load(value)


@pytest.mark.parametrize("name", ["pcnn", "resnet18"])
def test_rafdb_from_training_to_test(folder: Path, name: str) -> None:
    write_rafdb(folder / "tree", train=42, test=14)
    command = [*experiment(name), "--model.size=48"]
    main(["fit", *command, "--trainer.max_epochs=1"])
    run = only_run(folder / "runs", name)
    # Its monitor was logged, else there were no best.
    assert (run.checkpoints / "best.ckpt").exists()
    main(["test", *command, "--ckpt_path=best"])
    tested = list(csv.DictReader((run.path / "predictions.csv").read_text().splitlines()))
    assert len(tested) == 14


def test_votes_and_averaged_weights_resumed_end_at_the_same_bits(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ferplus(folder / "tree", train=48, val=16, test=16)
    monkeypatch.setenv("SIGNALLED", str(folder / "signalled"))
    command = [
        *("fit", *experiment("pcnn_ferplus"), "--trainer.max_epochs=2"),
        *("--model.lr_scheduler.warmup=1", "--trainer.limit_train_batches=3"),
        *("--checkpoint.every_minutes=0",),
        "--trainer.callbacks+=tests.experiments.tiny.InterruptOnce",
    ]
    with pytest.raises(SystemExit) as exit_:
        main(command)
    assert exit_.value.code == 130
    main(command)
    main([*command, "--runs_dir=whole"])
    resumed, whole = (
        torch.load(only_run(folder / name, "pcnn_ferplus").last, weights_only=True)
        for name in ("runs", "whole")
    )
    assert whole["global_step"] == resumed["global_step"] == 6
    for part in ("state_dict", "current_model_state"):
        for key, value in whole[part].items():
            assert torch.equal(resumed[part][key], value), (part, key)

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml

from callbacks.training.step_seed import StepSeed
from experiments.cli import main
from experiments.command.checkpoint_config import _set_hyperparameters as set_hyperparameters
from experiments.command.usage import PACKAGE
from experiments.run.folder import RunFolder, runs

Refused = Callable[..., tuple[int, str]]


def newest(folder: Path, experiment: str = "tiny") -> RunFolder:
    return next(runs(folder / "runs" / experiment))


def config(run: RunFolder, name: str = "config.yaml") -> dict[str, Any]:
    return yaml.safe_load((run.path / name).read_text())


def rows(run: RunFolder) -> list[dict[str, str]]:
    return list(csv.DictReader((run.path / "metrics.csv").read_text().splitlines()))


def fit(*args: str) -> None:
    main(["fit", "--config", "tiny.yaml", *args])


def test_a_run_from_training_to_prediction_lives_in_one_folder(folder: Path) -> None:
    assert main(["fit", "--config", "tiny.yaml"]) is None  # a console script exits with it
    run = newest(folder)
    assert run.status["state"] == "finished"
    environment = json.loads((run.path / "environment.json").read_text())
    assert environment["data"] == {"source": "tiny", "manifest_hash": "0123"}
    assert environment["versions"]["torch"] == torch.__version__
    assert config(run)["experiment"] == "tiny"
    trained = (run.path / "config.yaml").read_bytes()

    for verb, name in (("test", "best"), ("validate", "last"), ("predict", "best")):
        main([verb, "--config", "tiny.yaml", "--ckpt_path", name])
        assert config(run, f"config.{verb}.yaml")["ckpt_path"].endswith(f"{name}.ckpt")
    assert (run.path / "config.yaml").read_bytes() == trained
    assert {row["test/x"] != "" for row in rows(run)} == {True, False}
    assert rows(run)[0]["val/x"] != ""
    # Nothing anywhere else: no config.yaml, no lightning_logs, no wandb in the working directory.
    assert sorted(path.name for path in folder.iterdir()) == ["runs", "tiny.yaml"]
    assert len(list(runs(folder / "runs" / "tiny"))) == 1


def test_every_command_asks_the_data_whom_a_checkpoint_was_trained_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever class of data module wrote it: Lightning asks its own class only."""
    fit("--trainer.max_epochs", "1")
    asked: list[dict[str, Any]] = []
    refuse = "tests.experiments.tiny.TinyData.refuse_leak"
    monkeypatch.setattr(refuse, lambda _, checkpoint: asked.append(checkpoint), raising=False)
    main(["test", "--config", "tiny.yaml", "--ckpt_path", "best"])
    main(["validate", "--config", "tiny.yaml", "--ckpt_path", "best"])
    path = newest(folder).checkpoints / "last.ckpt"
    fit("--ckpt_path", str(path), "--fresh", "--trainer.max_epochs", "2")
    assert len(asked) == 3
    assert all("state_dict" in checkpoint for checkpoint in asked)


def test_its_config_repeats_a_run(folder: Path) -> None:
    fit("--model.width", "4")
    first = newest(folder)
    main(["fit", "--config", str(first.path / "config.yaml"), "--fresh"])
    second = newest(folder)
    assert second.path != first.path
    assert second.status["config_hash"] == first.status["config_hash"]
    assert config(second) == config(first)


def test_a_wandb_run_of_its_own_for_each_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_MODE")
    before = {name for name in os.environ if name.startswith("WANDB")}
    fit("--trainer.max_epochs", "1")
    fit("--trainer.max_epochs", "1", "--model.width", "4")
    # The address of W&B's own process stays as long as this one.
    after = {name for name in os.environ if name.startswith("WANDB")}
    assert after - {"WANDB_SERVICE"} == before - {"WANDB_SERVICE"}
    ids = []
    for run in runs(folder / "runs" / "tiny"):
        (offline,) = (run.path / "wandb").glob("offline-run-*")
        ids.append(offline.name.rsplit("-", 1)[1])
    assert len(set(ids)) == 2
    assert not any((folder / name).exists() for name in ("wandb", "config.yaml"))


def test_flags_by_hand_win_over_a_checkpoint_and_differences_are_said(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fit("--trainer.max_epochs", "1", "--model.width", "4", "--model.name", "first")
    first = str(newest(folder).last)
    capfd.readouterr()

    # A test takes what the weights need from the checkpoint, not from the files.
    main(["test", "--config", "tiny.yaml", "--ckpt_path", first, "--model.name=second"])
    said = capfd.readouterr().err
    assert "model.width: 4 in the checkpoint, 8 in this command; the checkpoint's is used" in said
    assert "model.name: first in the checkpoint, second in this command; the command's" in said
    assert config(newest(folder), "config.test.yaml")["model"]["init_args"]["width"] == 4

    # A training goes by its command, down to the learning rate within the optimizer's state.
    fit("--ckpt_path", first, "--model.width=4", "--model.optimizer.lr=0.5", "--data.fold=1")
    said = capfd.readouterr().err
    assert "model.optimizer.lr: 0.01 in the checkpoint, 0.5 in this command; the command's" in said
    assert "data.fold: 0 in the checkpoint, 1 in this command; the command's is used" in said
    after = torch.load(newest(folder).last, weights_only=True)
    # StepLR halves it at the end of each of two epochs.
    assert after["optimizer_states"][0]["param_groups"][0]["lr"] == pytest.approx(0.125)
    assert after["optimizer_states"][1]["param_groups"][0]["lr"] == pytest.approx(0.0025)
    assert after["lr_schedulers"][0]["base_lrs"] == [0.5]
    assert after["epoch"] == 1


def test_a_list_of_callbacks_takes_none_away(folder: Path) -> None:
    summary = {"class_path": "lightning.pytorch.callbacks.ModelSummary"}
    rates = {"class_path": "lightning.pytorch.callbacks.LearningRateMonitor"}
    slow = {**rates, "init_args": {"logging_interval": "epoch"}}
    for name, callbacks in (("a", [rates, summary]), ("b", [slow]), ("c", None)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"trainer": {"callbacks": callbacks}}))
    overlays = [f"--config={name}.yaml" for name in "abc"]
    fit("--trainer.max_epochs", "1", *overlays, "--trainer.callbacks+=LambdaCallback")
    kept = config(newest(folder))["trainer"]["callbacks"]
    assert [callback["class_path"].rsplit(".")[-1] for callback in kept] == [
        "ModelSummary",
        "LearningRateMonitor",
        "LambdaCallback",
    ]
    assert kept[1]["init_args"]["logging_interval"] == "epoch"
    # Nor those that belong to every run.
    assert newest(folder).last.exists()
    assert newest(folder).status["state"] == "finished"


def test_values_as_people_and_sweeps_write_them(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "shared.yaml").write_text("data: {init_args: {seed: '${seed_everything}'}}\n")
    command = ["--config=tiny.yaml", "--config=shared.yaml", "--model.name=x"]
    flags = ["--model.name=None", "--model.optimizer.lr=1e-05", "--seed_everything=7"]
    with pytest.raises(SystemExit):
        main(["fit", *command, *flags, "--print_config"])
    printed = yaml.safe_load(capfd.readouterr().out)
    assert printed["model"]["init_args"]["name"] is None
    assert printed["model"]["init_args"]["optimizer"]["init_args"]["lr"] == 1e-5
    assert printed["data"]["init_args"]["seed"] == 7
    # A shared value is no link: by hand it can still be another one.
    with pytest.raises(SystemExit):
        main(["fit", *command, *flags, "--data.seed=3", "--print_config"])
    assert yaml.safe_load(capfd.readouterr().out)["data"]["init_args"]["seed"] == 3


def test_defaults(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--config", "tiny.yaml", "--print_config"])
    printed = yaml.safe_load(capfd.readouterr().out)
    assert printed["seed_everything"] == 0
    assert printed["trainer"]["use_distributed_sampler"] is False


@pytest.mark.parametrize(
    ("args", "code", "sentence"),
    [
        (["fit", "--config", "tiny.yaml", "--model.widht", "4"], 2, "did you mean width?"),
        (["fit", "--config", "tiny.yaml", "--trainer.max_epoch", "4"], 2, "trainer.max_epochs?"),
        (["fit", "--config", "tiny.yaml", "--trainer.max_epochs", "two"], 2, "whole number"),
        (["fit", "--config", "tiny.yaml", "--model.width", "two"], 2, "model.width must be a"),
        (["fit", "--config", str(PACKAGE / "dcgan_svm.yaml"), "--model.size=50"], 1, "is 50."),
        (
            ["fit", "--config", str(PACKAGE / "dcgan_svm.yaml"), "--model.task=units"],
            2,
            "model.task must be emotions or action_units, but units was given",
        ),
        (["fit", "--config", "tony.yaml"], 2, "tony.yaml does not exist; did you mean"),
        (["fit", "--config", "wrong.yaml"], 2, "trainer.max_epohs; did you mean"),
        (["fit", "--config", "broken.yaml"], 2, "broken.yaml, line 2 is not valid YAML"),
        (["fit", "--config", "tiny.yaml", "--config", "unset.yaml"], 2, "'...nothing' not found"),
        (["fit", "--config", "tiny.yaml", "--model", "tests.experiments.tiny.TinyGAM"], 2, "GAN?"),
        (["fit", "--config", "tiny.yaml", "--trainer.callbacks+=LearningRateMoniter"], 2, "tor?"),
        (["fit"], 2, "--config experiments/emotion_gan.yaml"),
        (["fitt", "--config", "tiny.yaml"], 2, "There is no command 'fitt'"),
        (["test", "--config", "tiny.yaml"], 2, "test needs trained weights: add --ckpt_path best"),
        (["predict", "--config", "tiny.yaml", "--ckpt_path=best"], 1, "No run in runs/tiny has a"),
        (["test", "--config", "tiny.yaml", "--ckpt_path", "no.ckpt"], 1, "no.ckpt does not exist"),
        (["test", "--config", "tiny.yaml", "--ckpt_path", "tiny.yaml"], 1, "damaged, or no file"),
        (["fit", "--config", "tiny.yaml", "--data.root", "nowhere"], 1, "nowhere does not exist"),
        (["fit", "--config", "tiny.yaml", "--checkpoint.every_minutes=-1"], 1, "0 or more"),
        (["fit", "--config", "tiny.yaml", "--trainer.accelerator", "gpu"], 1, "gpu"),
        (["fit", "--config", "tiny.yaml", "--trainer.default_root_dir=x"], 2, "below --runs_dir"),
    ],
)
def test_a_mistake_is_one_sentence(
    folder: Path, refused: Refused, args: list[str], code: int, sentence: str
) -> None:
    (folder / "wrong.yaml").write_text("trainer:\n  max_epohs: 3\n")
    (folder / "broken.yaml").write_text("trainer: {max_epochs: [3\n")
    (folder / "unset.yaml").write_text("data: {init_args: {seed: '${nothing}'}}\n")
    given, said = refused(*args)
    assert given == code
    assert said.startswith("lightning: ")
    assert sentence in said
    # Nor does a mistake leave anything that looks like a run.
    assert not list(runs(folder / "runs" / "tiny"))


def test_a_checkpoint_of_another_shape_or_method(folder: Path, refused: Refused) -> None:
    fit("--trainer.max_epochs", "1")
    checkpoint = ("--ckpt_path", "best")
    code, said = refused("test", "--config=tiny.yaml", *checkpoint, "--model.width=3")
    assert code == 1
    assert "does not fit this TinyGAN: size mismatch for generator.0.weight" in said
    other = "--model=tests.experiments.tiny.OtherGAN"
    code, said = refused("test", "--config=tiny.yaml", *checkpoint, other)
    assert code == 1
    assert "holds a tests.experiments.tiny.TinyGAN, but this command has a" in said


def test_a_mistake_of_the_project_shows_its_trace_and_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = "--model=tests.experiments.tiny.BrokenGAN"
    with pytest.raises(SystemExit) as exit_:
        fit("--data.batch_size=4", broken)
    assert exit_.value.code == 1
    *trace, line = capfd.readouterr().err.strip().splitlines()
    assert trace[-1] == "RuntimeError: shape '[3]' is invalid for input of size 2"
    assert any("in training_step" in text for text in trace)
    assert line.startswith("lightning: That is a bug of this project and not your mistake: please")
    assert f"(lightning fit --config tiny.yaml --data.batch_size=4 {broken})" in line
    assert "config.yaml and environment.json" in line
    assert not list(runs(folder / "runs" / "tiny"))
    monkeypatch.setenv("FER_LIGHTNING_TRACEBACK", "1")
    with pytest.raises(FileNotFoundError):
        fit("--data.root=nowhere")


def test_a_value_error_of_the_project_is_no_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def set_up(*_: Any) -> None:
        one, two = (SimpleNamespace(param_groups=[{"lr": 0.1}] * count) for count in (1, 2))
        set_hyperparameters(one, two, keep_share=False)  # type: ignore[arg-type]  # a `zip(strict=True)` of both

    monkeypatch.setattr(StepSeed, "on_train_start", set_up)
    with pytest.raises(SystemExit) as exit_:
        fit()
    assert exit_.value.code == 1
    *trace, line = capfd.readouterr().err.strip().splitlines()
    assert trace[-1] == "ValueError: zip() argument 2 is longer than argument 1"
    assert "please report it" in line


def test_a_diverging_training_stops_with_its_step_and_keeps_its_checkpoint(
    folder: Path, refused: Refused
) -> None:
    command = ("fit", "--config=tiny.yaml", "--model.nan_at=7", "--checkpoint.every_minutes=0")
    code, said = refused(*command, "--trainer.log_every_n_steps=1")
    assert code == 1
    assert "train/g is nan in epoch 1, batch 2" in said
    last = newest(folder).last
    assert str(last.relative_to(folder)) in said
    weights = torch.load(last, weights_only=True)["state_dict"]
    assert all(torch.isfinite(value).all() for value in weights.values())


def test_an_unfinished_run_goes_on_and_a_finished_one_does_not(
    folder: Path, refused: Refused, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ("fit", "--config=tiny.yaml", "--model.nan_at=7", "--checkpoint.every_minutes=0")
    refused(*command)
    first = newest(folder)
    assert first.status["state"] == "stopped"
    _, said = refused(*command)
    assert "Training diverged" in said
    assert [run.path for run in runs(folder / "runs" / "tiny")] == [first.path]
    # Another config, or --fresh, is another run.
    refused(*command, "--fresh")
    assert len(list(runs(folder / "runs" / "tiny"))) == 2
    fit()
    assert len(list(runs(folder / "runs" / "tiny"))) == 3
    fit()
    assert len(list(runs(folder / "runs" / "tiny"))) == 4

"""The files that a person runs are the files that are tested."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from experiments.cli import main
from experiments.command.usage import PACKAGE
from experiments.run.folder import RunFolder, runs
from tests.datamodules.trees import ckplus_tree, snap_tree, write_frames
from tests.experiments.files import EXPERIMENTS, OVERLAYS, belongs, content

READINGS = [
    pytest.param(experiment, overlay, id=f"{experiment.stem}-{overlay.stem if overlay else None}")
    for experiment in EXPERIMENTS
    for overlay in (None, *OVERLAYS)
    if overlay is None or belongs(overlay, experiment)
]
# Seven expressions of three people, on a grid of 32 pixels.
SMALL = [
    "--data.root=tree",
    "--data.crop=none",
    "--data.fold_mode=loso",
    "--model.size=32",
    "--model.width=4",
    "--model.e_fer_epochs=1",
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
]


@pytest.mark.parametrize(("experiment", "overlay"), READINGS)
def test_every_experiment_reads_with_every_overlay_of_its_own(
    experiment: Path, overlay: Path | None, capfd: pytest.CaptureFixture[str]
) -> None:
    files = [experiment] if overlay is None else [experiment, overlay]
    with pytest.raises(SystemExit) as exit_:
        main(
            [
                "fit",
                *(f"--config={path}" for path in files),
                "--seed_everything=3",
                "--print_config",
            ]
        )
    assert exit_.value.code == 0
    resolved = yaml.safe_load(capfd.readouterr().out)
    assert resolved["checkpoint"]["monitor"].startswith("val/")
    # What the experiment ties together stays so where an overlay brings other data.
    data, model = resolved["data"]["init_args"], resolved["model"]["init_args"]
    assert (data["seed"], data["size"]) == (3, model["size"])
    given = (
        content(experiment) if overlay is None else merged(content(experiment), content(overlay))
    )
    assert contains(resolved, given)


def test_every_overlay_is_read() -> None:
    assert {reading.values[1] for reading in READINGS} == {None, *OVERLAYS}


def merged(first: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """What two files come to: the later one wins, and another class takes no values over."""
    result = dict(first)
    for key, value in later.items():
        before = first.get(key)
        same = isinstance(before, dict) and isinstance(value, dict)
        if same and value.get("class_path", before.get("class_path")) == before.get("class_path"):
            result[key] = merged(before, value)
        elif key == "callbacks":  # one of the same class is replaced, others stay
            classes = {callback["class_path"] for callback in value}
            kept = [c for c in before or [] if c["class_path"] not in classes]
            result[key] = [*kept, *value]
        else:
            result[key] = value
    return result


def contains(resolved: Any, given: Any) -> bool:
    """Whether what files give is in what they come to, which has defaults besides."""
    if isinstance(given, dict):
        kept = isinstance(resolved, dict) and given.keys() <= resolved.keys()
        return kept and all(contains(resolved[key], given[key]) for key in given)
    if isinstance(given, list):
        whole = isinstance(resolved, list) and len(given) == len(resolved)
        return whole and all(map(contains, resolved, given))
    # What interpolations come to, is asserted where they are tested.
    return "${" in str(given) or bool(resolved == given)


def test_contains_compares_lists() -> None:
    resolved = {"a": [1, {"b": 2, "default": 3}]}
    assert contains(resolved, {"a": [1, {"b": 2}]})
    for other in ([1], [{"b": 2}, 1], [1, {"b": 3}], [1, {"b": 2}, 4]):
        assert not contains(resolved, {"a": other})


def test_the_papers_setting(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--config", str(PACKAGE / "emotion_gan.yaml"), "--print_config"])
    config = yaml.safe_load(capfd.readouterr().out)
    model, data = config["model"]["init_args"], config["data"]["init_args"]
    assert (model["width"], model["size"], data["size"]) == (64, 128, 128)
    assert (data["batch_size"], config["trainer"]["max_epochs"]) == (4, 15)
    weights = [model[f"lambda_{term}"] for term in ("gan", "epe", "charbonnier", "image")]
    assert weights == [1, 7, 3, 1]
    assert [model[f"alpha_{term}"] for term in ("l1", "perceptual", "expression")] == [2, 7, 1]
    assert model["connection_epoch"] == 5
    rates = {
        player: (
            model[f"{player}_optimizer"]["class_path"].rsplit(".")[-1],
            model[f"{player}_optimizer"]["init_args"]["lr"],
        )
        for player in ("g_f", "g_w", "d_p", "d_e")
    }
    assert rates == {
        "g_f": ("Adam", 1e-5),
        "g_w": ("Adam", 1e-5),
        "d_p": ("Adam", 1e-4),
        "d_e": ("SGD", 1e-4),
    }
    assert model["clip"] == data["clip"] == 10


@pytest.fixture
def emotion_gan(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """eMotion-GAN on three people, with little to do."""
    snap_tree(folder / "tree", subjects=3, codes=range(7))
    monkeypatch.setenv("SIGNALLED", str(folder / "signalled"))
    return [f"--config={PACKAGE / 'emotion_gan.yaml'}", *SMALL]


def only_run(folder: Path) -> RunFolder:
    (run,) = runs(folder / "emotion_gan")
    return run


def test_emotion_gan_from_training_to_prediction(
    folder: Path, emotion_gan: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    main(["fit", *emotion_gan, "--trainer.max_epochs=1", "--trainer.limit_train_batches=2"])
    run = only_run(folder / "runs")
    # Its monitor was logged, else there were no best.
    assert (run.checkpoints / "best.ckpt").exists()
    checkpoint = torch.load(run.last, weights_only=True)
    assert len(checkpoint["optimizer_states"]) == len(checkpoint["lr_schedulers"]) == 4
    assert checkpoint["global_step"] == 2

    main(["test", *emotion_gan, "--ckpt_path=best"])
    summary = json.loads((run.path / "summary.json").read_text())
    assert summary["data"] == "tree"
    assert list(summary["rows"]) == [
        *("posed", "zero", "fit", "registration", "features"),
        *("subspaces", "emotion_gan", "frontal"),
    ]
    printed = capfd.readouterr().out
    assert "eMotion-GAN against the best flow that costs no training is" in printed
    assert "Frontalization, data: tree" in printed
    assert printed.strip().splitlines()[-1].startswith("run folder: ")
    assert (run.path / "figures" / "test.png").exists()

    # Of another fold: they were trained on.
    with pytest.raises(SystemExit):
        main(["test", *emotion_gan, "--ckpt_path=best", "--data.fold=2"])
    assert "was trained on" in capfd.readouterr().err

    write_frames(folder / "clip", person=9, frames=4)
    main(["predict", *emotion_gan, "--ckpt_path=best", "--data.input=clip"])
    (path,) = (run.path / "predict").rglob("predictions.csv")
    predictions = list(csv.DictReader(path.read_text().splitlines()))
    assert {row["sequence"] for row in predictions} == {"clip"}


def test_emotion_gan_resumed_in_an_epoch_ends_at_the_same_bits(
    folder: Path, emotion_gan: list[str]
) -> None:
    command = [
        *("fit", *emotion_gan, "--trainer.max_epochs=2", "--trainer.limit_train_batches=3"),
        *("--model.connection_epoch=1", "--checkpoint.every_minutes=0"),
        "--trainer.callbacks+=tests.experiments.tiny.InterruptOnce",
    ]
    with pytest.raises(SystemExit) as exit_:
        main(command)
    assert exit_.value.code == 130
    main(command)
    main([*command, "--runs_dir=whole"])
    resumed, whole = (
        torch.load(only_run(folder / name).last, weights_only=True) for name in ("runs", "whole")
    )
    assert whole["global_step"] == 6
    for part in ("optimizer_states", "lr_schedulers", "global_step"):
        assert str(resumed[part]) == str(whole[part])
    for name, value in whole["state_dict"].items():
        assert torch.equal(resumed["state_dict"][name], value), name


@pytest.mark.parametrize(
    ("experiment", "small", "answers"),
    [
        ("flow_cnn", [], []),
        (
            "ssim_vae",
            ["--model.width=4", "--model.latent=8"],
            [
                *("eyes", "mouth"),
                *("clean_reconstructed", "eyes_reconstructed", "mouth_reconstructed"),
                *("clean_baseline", "eyes_baseline", "mouth_baseline"),
            ],
        ),
    ],
)
def test_recognition_of_whole_and_occluded_faces_from_training_to_prediction(
    folder: Path, experiment: str, small: list[str], answers: list[str]
) -> None:
    ckplus_tree(folder / "tree", subjects=3, codes=(5, 7))
    command = [
        f"--config={PACKAGE / f'{experiment}.yaml'}",
        *("--data.root=tree", "--data.crop=none", "--data.fold_mode=loso"),
        *("--data.batch_size=2", "--model.size=32", "--trainer.accelerator=cpu"),
        *("--trainer.enable_progress_bar=false", *small),
    ]
    main(["fit", *command, "--trainer.max_epochs=1"])
    (run,) = runs(folder / "runs" / experiment)
    # Its monitor was logged, else there were no best.
    assert (run.checkpoints / "best.ckpt").exists()
    assert torch.load(run.last, weights_only=True)["global_step"] == 1

    main(["test", *command, "--ckpt_path=best"])
    tested = list(csv.DictReader((run.path / "predictions.csv").read_text().splitlines()))
    assert len(tested) == 2
    assert [name for name in tested[0] if name.startswith("predicted_")] == [
        f"predicted_{answer}" for answer in answers
    ]

    write_frames(folder / "clip", person=9, frames=3)
    main(["predict", *command, "--ckpt_path=best", "--data.input=clip"])
    (path,) = (run.path / "predict").rglob("predictions.csv")
    predictions = list(csv.DictReader(path.read_text().splitlines()))
    assert {row["sequence"] for row in predictions} == {"clip"}

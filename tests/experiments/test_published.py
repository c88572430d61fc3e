from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import experiments
from datamodules.labels import class_names
from experiments.published import figure_of_cell, papers_dataset, published_figure

PAPER = {
    "data": "OccludedCKPlusDataModule",
    "source": "mine",
    "n_test": 374,
    "n_subjects": 99,
    "class_names": list(class_names("basic6")),
    # The paper's batch, not the default.
    "data_arguments": {"flow": "farneback", "batch_size": 16, "regions": ["eyes", "mouth"]},
    "trainer_arguments": {
        "max_epochs": 100,
        "max_steps": -1,
        "limit_train_batches": None,
        "overfit_batches": 0.0,
        "accumulate_grad_batches": 1,
        "gradient_clip_val": None,
        "callbacks": ["Predictions"],
    },
}


def setting(config: str, **changes: Any) -> dict[str, Any]:
    path = Path(experiments.__file__).parent / config
    return {**yaml.safe_load(path.read_text("utf-8"))["model"]["init_args"], **changes}


SSIM = setting("ssim_vae.yaml", num_classes=6, variational=True, dropout=0.5)
RAFDB = {
    **PAPER,
    "data": "RAFDBDataModule",
    "n_test": 3068,
    "n_subjects": 0,
    "class_names": list(class_names("basic7")),
    "data_arguments": {"batch_size": 128},
}
PCNN = setting("pcnn.yaml", weights="/mine/resnet18_msceleb.pth", warp_limit=None, mirror=False)


def differences(summary: dict[str, Any], model: str, arguments: Any, measure: str) -> list[str]:
    figure = published_figure(summary, model, arguments, measure)
    assert figure is not None
    return list(figure.differences)


@pytest.mark.parametrize(
    ("values", "dataset"),
    [
        ({}, "CK+"),
        ({"data": "SNaP2DFeDataModule"}, "SNaP-2DFe"),
        ({"source": "synthetic"}, None),
        ({"data": "RAFDBDataModule"}, "RAF-DB"),
        ({"data": "CelebADataModule"}, None),
    ],
)
def test_data_are_named_as_in_the_papers(values: dict[str, Any], dataset: str | None) -> None:
    assert papers_dataset({**PAPER, **values}) == dataset


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"n_test": 327, "n_subjects": 118}, ["374 samples there, 327 here"]),
        ({"class_names": ["a", "b"]}, ["classes basic6 there, a b here"]),
        # The same classes in another order are others.
        ({"class_names": PAPER["class_names"][::-1]}, ["classes basic6 there, fear"]),
        ({}, []),
    ],
)
def test_a_figure_is_of_its_data_alone(values: dict[str, Any], said: list[str]) -> None:
    found = differences({**PAPER, **values}, "SSIMVAE", SSIM, "accuracy_mouth_reconstructed")
    assert len(found) == (2 if "n_test" in values else len(said))
    assert [phrase[: len(start)] for phrase, start in zip(found, said, strict=False)] == said


@pytest.mark.parametrize(
    ("model", "changes", "said"),
    [
        # What was once printed beside the paper's figures: priors, a small size, another cost.
        ("SSIMVAE", {"prior": "residual", "size": 24}, {"prior none", "size 64"}),
        ("SSIMVAE", {"variational": False}, {"variational True"}),
        ("PCNN", {"weights": None}, {"weights *msceleb* there, None here"}),
        ("PCNN", {"weights": "imagenet.pth"}, {"weights *msceleb* there, imagenet.pth here"}),
        # Defaults, which no YAML of the paper names.
        ("PCNN", {"warp_limit": 0.3, "mirror": True}, {"warp_limit None", "mirror False"}),
        (
            "PCNN",
            {"optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}}},
            {"optimizer.init_args.lr 0.01 there, 0.1", "optimizer.init_args.m", "optimizer.init_"},
        ),
    ],
)
def test_a_figure_is_of_its_setting_alone(
    model: str, changes: dict[str, Any], said: set[str]
) -> None:
    summary, arguments, measure = {
        "SSIMVAE": (PAPER, SSIM, "accuracy_mouth_reconstructed"),
        "PCNN": (RAFDB, PCNN, "accuracy"),
    }[model]
    assert differences(summary, model, arguments, measure) == []
    found = differences(summary, model, {**arguments, **changes}, measure)
    assert len(found) == len(said)
    assert all(any(phrase.startswith(start) for phrase in found) for start in said)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_epochs": 12}, ["trainer.max_epochs 100 there, 12 here"]),
        ({"limit_train_batches": 0.5}, ["trainer.limit_train_batches None there, 0.5 here"]),
        ({"callbacks": ["WeightAverage"]}, ["no WeightAverage there"]),
        ({"callbacks": ["ScoreTable"]}, []),
    ],
)
def test_a_figure_is_of_its_training_alone(changes: dict[str, Any], said: list[str]) -> None:
    summary = {**PAPER, "trainer_arguments": {**PAPER["trainer_arguments"], **changes}}
    assert differences(summary, "SSIMVAE", SSIM, "accuracy_mouth_reconstructed") == said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mirror": 0.5}, ["data.mirror 0.0 there, 0.5 here"]),  # a default, which no YAML names
        ({"batch_size": 8}, ["data.batch_size 16 there, 8 here"]),
        ({"regions": ["mouth"]}, ["data.regions ['eyes', 'mouth'] there, ['mouth'] here"]),
        ({"num_workers": 4, "seed": 3, "fold": 2, "size": 64}, []),
    ],
)
def test_a_figure_is_of_the_papers_data_arguments_alone(
    given: dict[str, Any], said: list[str]
) -> None:
    summary = {**PAPER, "data_arguments": {**PAPER["data_arguments"], **given}}
    assert differences(summary, "SSIMVAE", SSIM, "accuracy_mouth_reconstructed") == said


def test_of_several_figures_the_nearest_is_taken() -> None:
    def find(measure: str, **changes: Any) -> str:
        figure = published_figure(PAPER, "SSIMVAE", {**SSIM, **changes}, measure)
        assert figure is not None
        assert not figure.differences
        return figure.row["value"]

    assert find("accuracy_mouth_reconstructed", cost="mse") == "83.8"
    assert find("accuracy_mouth_reconstructed") == "89.7"
    # Without reconstruction the autoencoder does not matter.
    assert find("accuracy_mouth", cost="bce", width=16) == "71.1"
    assert published_figure(PAPER, "SSIMVAE", SSIM, "accuracy_nose") is None
    assert published_figure(PAPER, "PCNN", {}, "accuracy") is None
    # Features of another data set are known to a study alone, not by the path of a checkpoint.
    pretrained = setting("dcgan_svm.yaml", pretrained="runs/celeba/last.ckpt", num_classes=8)
    rafd = {**PAPER, "data": "RaFDDataModule", "data_arguments": {"angles": [90]}}
    figure = published_figure(rafd, "DCGANSVM", pretrained, "auc")
    assert figure is not None
    assert any(phrase.startswith("pretrained") for phrase in figure.differences)


def test_a_figure_says_where_it_is_from() -> None:
    figure = published_figure(RAFDB, "PCNN", PCNN, "accuracy")
    assert figure is not None
    assert str(figure) == "89.31 % (pcnn, Table I, PCNN)"
    assert figure.plain() == {
        "paper": "pcnn",
        "table": "Table I",
        "method": "PCNN",
        "dataset": "RAF-DB",
        "condition": "",
        "metric": "accuracy",
        "value": 89.31,
        "std": None,
        "unit": "%",
        "differences": [],
    }


def test_a_cell_has_the_figure_that_is_bound_to_it() -> None:
    cell = ("vae_ssim_table2", "VAE-SSIM", "ckplus", "eyes")
    figure = figure_of_cell(cell, PAPER, SSIM)
    assert figure is not None
    assert (figure.row["value"], figure.differences) == ("91.2", ())
    figure = figure_of_cell(cell, {**PAPER, "source": "synthetic"}, SSIM)
    assert figure is not None
    assert figure.differences == ("data of another source here: synthetic",)
    assert figure_of_cell(("mine", *cell[1:]), PAPER, SSIM) is None


def test_ck_plus_is_never_the_enhanced_ck() -> None:
    for row, column in (("Exp 1", "anger"), ("Exp 3", "average")):
        data = "rafd" if row == "Exp 1" else "rafd_multiview"
        figure = figure_of_cell(("dcgan_svm_table2", row, data, column), RAFDB, {})
        assert figure is not None
        assert any("enhanced CK" in phrase for phrase in figure.differences)

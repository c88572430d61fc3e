from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

import experiments
import lightning_modules
from datamodules.labels import class_names
from experiments import published
from experiments.published import papers_dataset, published_figure

PAPER = {
    "data": "OccludedCKPlusDataModule",
    "source": "mine",
    "n_test": 374,
    "n_subjects": 99,
    "class_names": list(class_names("basic6")),
    # The paper's batch, not the default.
    "data_arguments": {"flow": "farneback", "batch_size": 16, "regions": ["eyes", "mouth"]},
}


def setting(config: str, **changes: Any) -> dict[str, Any]:
    path = Path(experiments.__file__).parent / config
    return {**yaml.safe_load(path.read_text("utf-8"))["model"]["init_args"], **changes}


SSIM = setting("ssim_vae.yaml", num_classes=6, variational=True, dropout=0.5)
GAN = setting(
    "emotion_gan.yaml",
    flow_prior="none",
    image_prior="none",
    conditional_discriminator=False,
    expression_feedback=True,
)


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
        ({"data": "RAFDBDataModule"}, None),
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
        ("EMotionGAN", {"lambda_epe": 0.0, "lambda_charbonnier": 0.0}, {"lambda_epe", "lambda_ch"}),
        ("EMotionGAN", {"lambda_gan": 0.0}, {"lambda_gan 1.0 there, 0.0 here"}),
        ("EMotionGAN", {"flow_prior": "filter", "image_prior": "warp"}, {"flow_prior", "image_"}),
        (
            "EMotionGAN",
            {"g_f_optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 2.0e-3}}},
            {"g_f_optimizer.init_args.lr 1e-05 there, 0.002 here"},
        ),
    ],
)
def test_a_figure_is_of_its_setting_alone(
    model: str, changes: dict[str, Any], said: set[str]
) -> None:
    paper, measure = (SSIM, "accuracy_mouth_reconstructed"), "emotion_gan_accuracy"
    arguments, measure = paper if model == "SSIMVAE" else (GAN, measure)
    counts = {"data": "SNaP2DFeDataModule", "n_test": 630, "n_subjects": 15, "data_arguments": {}}
    classes = {"class_names": list(class_names("basic7"))}
    summary = PAPER if model == "SSIMVAE" else {**PAPER, **counts, **classes}
    assert differences(summary, model, arguments, measure) == []
    found = differences(summary, model, {**arguments, **changes}, measure)
    assert len(found) == len(said)
    assert all(any(phrase.startswith(start) for phrase in found) for start in said)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mirror": 0.5}, ["data.mirror 0.0 there, 0.5 here"]),  # a default, which no YAML names
        ({"batch_size": 8}, ["data.batch_size 16 there, 8 here"]),
        ({"regions": ["mouth"]}, ["data.regions ['eyes', 'mouth'] there, ['mouth'] here"]),
        ({"num_workers": 4, "seed": 3, "fold": 2, "size": 64}, []),
        (None, ["arguments of the data that were not recorded"]),
    ],
)
def test_a_figure_is_of_the_papers_data_arguments_alone(
    given: dict[str, Any] | None, said: list[str]
) -> None:
    data = None if given is None else {**PAPER["data_arguments"], **given}
    summary = {**PAPER, "data_arguments": data}
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


def test_a_figure_says_where_it_is_from() -> None:
    summary = {**PAPER, "data": "SNaP2DFeDataModule", "data_arguments": {}}
    figure = published_figure(summary, "EMotionGAN", GAN, "emotion_gan_accuracy")
    assert str(figure) == "64.10 ± 5.74 % (emotion_gan, Table II, eMotion-GAN)"


def test_every_row_is_of_a_method_and_a_data_set_of_ours() -> None:
    rows = published._read("published")
    assert len(rows) > 10
    files = Path(lightning_modules.__file__).parent.glob("*.py")
    nodes = [node for file in files for node in ast.parse(file.read_text("utf-8")).body]
    classes = {node.name for node in nodes if isinstance(node, ast.ClassDef)}
    for row in rows:
        assert row["model"] in classes
        assert row["dataset"] in published._READERS.values()
        assert class_names(row["classes"])
        assert 0 < float(row["value"]) < 100

from __future__ import annotations

import ast
import csv
from pathlib import Path
from typing import Any

import pytest

import lightning_modules
from experiments import published
from experiments.published import papers_dataset, published_figure


def summary(**values: Any) -> dict[str, Any]:
    whole = {"data": "CKPlusDataModule", "source": "CK+", "n_test": 327, "n_subjects": 118}
    return {**whole, **values}


@pytest.mark.parametrize(
    ("values", "dataset"),
    [
        ({}, "CK+"),
        ({"source": "mine", "n_test": 309, "n_subjects": 106}, "CK+"),
        ({"data": "OccludedCKPlusDataModule", "n_test": 374, "n_subjects": 99}, "CK+"),
        ({"data": "SNaP2DFeDataModule", "n_test": 630, "n_subjects": 15}, "SNaP-2DFe"),
        # Embedded faces, other people in the same layout, and folds that are missing.
        ({"source": "synthetic"}, None),
        ({"source": "ckplus", "n_test": 98, "n_subjects": 14}, None),
        ({"n_test": 290}, None),
        ({"data": "RAFDBDataModule"}, None),
    ],
)
def test_the_papers_data_are_known_by_their_counts(
    values: dict[str, Any], dataset: str | None
) -> None:
    assert papers_dataset(summary(**values)) == dataset


def test_a_figure_belongs_to_method_setting_and_measure() -> None:
    def find(cost: str, variational: bool, measure: str) -> str | None:
        arguments = {"cost": cost, "variational": variational, "size": 64}
        figure = published_figure("CK+", "SSIMVAE", arguments, measure)
        return figure and figure.value

    assert find("mse", True, "accuracy_mouth_reconstructed") == "83.8"
    assert find("ssim", True, "accuracy_mouth_reconstructed") == "89.7"
    assert find("ssim", False, "accuracy_mouth_reconstructed") == "83.2"
    assert find("ssim", True, "accuracy_mouth") == "71.1"
    assert find("ssim", True, "accuracy_nose") is None
    assert published_figure("CK+", "PCNN", {}, "accuracy") is None


def test_a_figure_says_where_it_is_from() -> None:
    arguments = {"expression_feedback": True, "lambda_image": 1.0}
    figure = published_figure("SNaP-2DFe", "EMotionGAN", arguments, "emotion_gan_accuracy")
    assert str(figure) == "64.10 ± 5.74 % (emotion_gan, Table II, eMotion-GAN)"


def test_every_row_is_of_a_method_and_a_data_set_of_ours() -> None:
    with published._TABLE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 10
    files = Path(lightning_modules.__file__).parent.glob("*.py")
    nodes = [node for file in files for node in ast.parse(file.read_text("utf-8")).body]
    classes = {node.name for node in nodes if isinstance(node, ast.ClassDef)}
    for row in rows:
        assert row["model"] in classes
        assert row["dataset"] in published._COUNTS
        assert 0 < float(row["value"]) < 100

from __future__ import annotations

from typing import Any

from callbacks.statistics import estimate
from experiments.report.frontalization import frontalization_tables


def summary(**means: float) -> dict[str, Any]:
    """A cross-validation of two folds, each 0.1 from the mean."""
    metrics = {f"test/{name}": vars(estimate([m - 0.1, m + 0.1])) for name, m in means.items()}
    return {"source": "synthetic", "metrics": metrics}


MEASURED = summary(
    posed_epe_px=2.0,
    emotion_gan_epe_px=0.5,
    posed_apex_ssim=0.6,
    emotion_gan_ssim=0.9,
    emotion_gan_warp_ssim=0.8,
    posed_accuracy=0.4,
    emotion_gan_accuracy=0.75,
    frontal_accuracy=0.9,
    emotion_gan_frontal_accuracy=0.85,
    features_accuracy=0.5,
    posed_apex_image_accuracy=0.5,
    emotion_gan_image_accuracy=0.6,
    apex_image_accuracy=0.8,
    emotion_gan_frontal_image_accuracy=0.7,
    posed_apex_image_accuracy_DMUE=0.55,
    emotion_gan_image_accuracy_DMUE=0.5,
    apex_image_accuracy_DMUE=0.7,
    average_image_accuracy=0.3,
    average_frontal_image_accuracy=0.35,
    yaw_posed_accuracy=0.3,
    yaw_emotion_gan_accuracy=0.6,
    yaw_emotion_gan_epe_px=1.0,
    yaw_posed_epe_px=3.0,
    yaw_posed_apex_rmse=20.0,
    yaw_apex_rmse=0.0,
    yaw_apex_image_accuracy=0.8,
)


def cells(lines: list[str], *start: str) -> list[list[str]]:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    return [row[len(start) :] for row in rows if tuple(row[: len(start)]) == start]


def test_the_tables_have_the_rows_and_columns_of_the_paper() -> None:
    lines = frontalization_tables(MEASURED)
    assert [line.split(":")[0] for line in lines if line.startswith("##")] == [
        "## Table I",
        "## Table II",
        "## Table II, SNAP-NF by movement of the head, or by data set",
        "## Table III",
    ]
    ours, *_ = cells(lines, "eMotion-GAN")
    assert ours == ["0.5 ± 0.1414", "0.9 ± 0.1414", "-"]
    assert cells(lines, "eMotion-GAN's flow, pure warp") == [["0.5 ± 0.1414", "0.8 ± 0.1414", "-"]]
    flow, by_movement = cells(lines, "Flow-CNN (D_E)", "eMotion-GAN")
    assert flow == ["85.0 ± 14.1 %", "-5.0", "75.0 ± 14.1 %", "+35.0"]
    assert not [line for line in lines if "| yaw" in line and not line.startswith("| FER")]
    assert by_movement == ["60.0 ± 14.1 %"]
    assert cells(lines, "Flow-CNN (D_E)", "SIFT registration") == [
        ["-", "-", "50.0 ± 14.1 %", "+10.0"]
    ]
    baseline, _ = cells(lines, "Flow-CNN (D_E)", "baseline (no frontalization)")
    assert baseline == ["90.0 ± 14.1 %", "-", "40.0 ± 14.1 %", "-"]
    fitted, _ = cells(lines, "independent ResNet-18 of the training fold", "eMotion-GAN")
    assert fitted == ["70.0 ± 14.1 %", "-10.0", "60.0 ± 14.1 %", "+10.0"]
    named, _ = cells(lines, "DMUE", "eMotion-GAN")
    assert named == ["-", "-", "50.0 ± 14.1 %", "-5.0"]
    *_, average = cells(lines, "independent ResNet-18 of the training fold")
    assert average == ["35.0 ± 14.1 %", "30.0 ± 14.1 %"]


def test_a_method_whose_frames_are_given_stands_in_both_tables() -> None:
    more = summary(
        glunet_epe_px=1.5,
        glunet_apex_ssim=0.7,
        glunet_apex_rmse=9.0,
        glunet_accuracy=0.45,
        glunet_apex_image_accuracy=0.25,
        posed_apex_rmse=8.0,
        **{"glunet-frontal_accuracy": 0.7, "glunet-frontal_apex_rmse": 7.0},
    )
    measured = {**MEASURED, "metrics": {**MEASURED["metrics"], **more["metrics"]}}
    lines = frontalization_tables(measured)
    assert cells(lines, "glunet") == [["1.5 ± 0.1414", "0.7 ± 0.1414", "9 ± 0.1414"]]
    assert cells(lines, "Flow-CNN (D_E)", "glunet") == [
        ["70.0 ± 14.1 %", "-20.0", "45.0 ± 14.1 %", "+5.0"]
    ]
    fitted = "independent ResNet-18 of the training fold"
    assert cells(lines, fitted, "glunet") == [["-", "-", "25.0 ± 14.1 %", "-25.0"]]
    assert not any("glunet-frontal" in line for line in lines)
    assert not cells(frontalization_tables(MEASURED), "glunet")


def test_other_methods_have_no_such_tables() -> None:
    assert frontalization_tables(summary(accuracy=0.5)) == []

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from callbacks.statistics import mcnemar
from callbacks.tables.frontalization import (
    FACE_MEASURES,
    MEASURES,
    ROWS,
    STILLS,
    FrontalizationTable,
)
from tests.callbacks.fakes import FakeData, FakeModule, trainer

# On each measure a number of every row; the fit is the best free row but in the accuracies.
EPE = {
    **{"posed": 4, "zero": 2, "fit": 1, "registration": 3, "features": 3},
    **{"subspaces": 0.75, "emotion_gan": 0.5},
    **{"emotion_gan_frontal": 0.25, "frontal": 0},
}
SHARE = {
    **{"posed": 0.25, "zero": 0.125, "fit": 0.5, "registration": 0.625, "features": 0.625},
    **{"subspaces": 0.75, "emotion_gan": 0.875},
    **{"emotion_gan_frontal": 0.875, "frontal": 0.9375},
}


def logged() -> dict[str, float]:
    keys = {
        f"test/{row}_{measure}": float(
            SHARE[row] if "accuracy" in measure or "ssim" in measure else EPE[row]
        )
        for row in ROWS
        for measure in MEASURES
    }
    stills = {f"test/{face}_{measure}": 0.75 for face in STILLS for measure in FACE_MEASURES}
    return {**keys, **stills}


class Measured(FakeModule):
    """Returns measures of twelve samples too, a function of their numbers."""

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        number = batch["sample_id"].float()
        wrong = {"fit": number < 6, "registration": number % 2 == 0, "emotion_gan": number == 11}
        # Nearer than the fit by one on average, with a spread.
        epe = {"posed": 4 + 0 * number, "fit": 2 + 0 * number, "emotion_gan": 0.5 + number / 11}
        measures = {f"{row}_epe_px": values for row, values in epe.items()}
        measures["subspaces_epe_px"] = number / 11
        measures |= {f"{row}_epe_face_px": -values for row, values in epe.items()}
        measures |= {f"{row}_judge_accuracy": (~no).float() for row, no in wrong.items()}
        measures |= {
            "emotion_gan_ssim": 0.5 + (-1) ** number / 10,
            "emotion_gan_warp_ssim": 0.5 + 0 * number,
        }
        return {**super().test_step(batch, batch_idx), "measures": measures}


def run(folder: Path, metrics: dict[str, float], data: FakeData | None = None) -> dict[str, Any]:
    runner = trainer(folder, FrontalizationTable())
    runner.test(Measured(metrics), datamodule=data or FakeData(), verbose=False)
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return summary


def test_each_test_list_has_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = FakeData()
    data.subset_names = ("yaw", "ckplus")  # type: ignore[attr-defined]
    lists = {"test/yaw_posed_epe_px": 1.5, "test/ckplus_emotion_gan_image_accuracy": 0.25}
    found = run(tmp_path, {**logged(), **lists}, data)["lists"]
    assert list(found) == ["yaw", "ckplus"]
    assert (found["yaw"]["posed_epe_px"], found["yaw"]["emotion_gan_ssim"]) == (1.5, None)
    assert found["ckplus"]["emotion_gan_image_accuracy"] == 0.25
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "ckplus" in line)
    assert "25.0" in line


def test_summary_holds_what_was_logged(tmp_path: Path) -> None:
    summary = run(tmp_path, logged())
    assert list(summary["rows"]) == [
        *("posed", "zero", "fit", "registration", "features"),
        *("subspaces", "emotion_gan", "emotion_gan_frontal", "frontal"),
    ]
    assert summary["rows"]["fit"]["epe_face_px"] == 1
    assert summary["rows"]["fit"]["warp_image_accuracy"] == 0.5
    assert set(summary["rows"]["zero"]) == set(MEASURES)
    assert summary["faces"] == {face: dict.fromkeys(FACE_MEASURES, 0.75) for face in STILLS}
    assert (summary["data"], summary["n_test"], summary["n_test_subjects"]) == ("synthetic", 12, 3)


def test_comparisons_are_with_the_best_free_row_by_paired_samples(tmp_path: Path) -> None:
    # Samples that a sampler repeats count once.
    data = FakeData([*range(12), 3, 3])
    comparisons = run(tmp_path, logged(), data)["comparisons"]
    found = comparisons["free"]
    epe = found["epe_px"]
    assert (epe["against"], epe["theirs"], epe["ours"]) == ("fit", 2, pytest.approx(1))
    assert epe["difference"] == pytest.approx(-1)
    # Differences from -1.5 to -0.5 in twelve steps: t of 11 degrees is 2.201.
    spread = torch.linspace(-1.5, -0.5, 12).std().item() / math.sqrt(12)
    assert epe["low"] == pytest.approx(-1 - 2.201 * spread, rel=1e-4)
    assert (epe["p"], epe["outcome"]) == (None, "better")
    # The least of -4, -2 and -1: what was posed is the best here, and better than ours.
    face = found["epe_face_px"]
    assert (face["against"], face["outcome"]) == ("posed", "worse")
    judge = found["judge_accuracy"]
    # Both free rows are right on half of the samples; the first one counts.
    assert (judge["against"], judge["theirs"]) == ("fit", 0.5)
    assert judge["p"] == pytest.approx(mcnemar([True] * 11 + [False], [False] * 6 + [True] * 6))
    assert judge["outcome"] == "not different beyond chance"
    (prior,) = comparisons["subspaces"].values()
    assert (prior["difference"], prior["outcome"]) == (pytest.approx(0.5), "worse")
    (ssim,) = comparisons["warp"].values()
    assert (ssim["against"], ssim["outcome"]) == ("warp", "not different beyond chance")


def test_what_was_not_measured_is_null(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {key: value for key, value in logged().items() if "registration" not in key}
    metrics["test/posed_accuracy"] = math.nan
    summary = run(tmp_path, metrics)
    assert summary["rows"]["registration"] == dict.fromkeys(MEASURES)
    assert summary["rows"]["posed"]["accuracy"] is None
    flow, face = (
        line for line in capsys.readouterr().out.splitlines() if f"│ {ROWS['registration']}" in line
    )
    assert (flow.count(" - "), face.count(" - ")) == (4, 6)


def test_the_verdict_comes_first_and_the_tables_fit_80_columns(tmp_path: Path) -> None:
    summary = run(tmp_path, logged())
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "test.png").touch()
    out = io.StringIO()
    FrontalizationTable().show(summary, tmp_path, Console(file=out, width=80))
    lines = out.getvalue().splitlines()
    verdict = [
        "eMotion-GAN against the best flow that costs no training is better in EPE px; worse in "
        "EPE px in the face; not different beyond chance in accuracy of the independent Flow-CNN.",
        "  EPE px: 1.000, closed-form head-motion fit 2.000: -1.000 [-1.208, -0.792]",
    ]
    start = lines.index(verdict[0])
    assert lines[start + 1] == verdict[1]
    assert "seed 7, 12 test samples of 3 people" in lines[start - 1]
    assert (
        "G_W against the pure warp of the same flow is not different beyond chance in SSIM."
        in lines
    )
    (point,) = (line for line in lines if "McNemar p = 0.12" in line)
    assert "91.7, closed-form head-motion fit 50.0: +41.7" in point
    flows, faces = (
        [c.strip() for c in line.split("│")[2:-1]] for line in lines if "│ eMotion-GAN " in line
    )
    assert flows == ["0.500", "0.500", "87.5", "87.5"]
    assert faces == ["0.875", "0.50", "87.5", "0.875", "0.50", "87.5"]
    (neutral,) = (line for line in lines if "│ neutral face" in line)
    assert neutral.count(" - ") == 3
    assert neutral.count("0.75") == 2
    # Nothing is cut short, and no name of a row is broken.
    assert "…" not in out.getvalue()
    assert all(any(name in line for line in lines) for name in (*ROWS.values(), *STILLS.values()))
    assert lines.count(f"picture: {tmp_path / 'figures' / 'test.png'}") == 1
    assert lines[-1] == f"run folder: {tmp_path}"


def test_named_judges_have_a_table_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of_judge = {
        key.replace("image_accuracy", "image_accuracy_DMUE"): value / 2
        for key, value in logged().items()
        if key.endswith("image_accuracy")
    }
    summary = run(tmp_path, logged() | of_judge)
    assert summary["average"]["average"] == dict.fromkeys(("image_accuracy", "image_accuracy_DMUE"))
    assert summary["rows"]["fit"]["image_accuracy_DMUE"] == 0.25
    assert summary["rows"]["fit"]["warp_image_accuracy_DMUE"] == 0.25
    assert summary["faces"]["apex"]["image_accuracy_DMUE"] == 0.375
    lines = capsys.readouterr().out.splitlines()
    start = next(n for n, line in enumerate(lines) if "DMUE G_W %" in line)
    ours = next(line for line in lines[start:] if f"│ {ROWS['emotion_gan']} " in line)
    apex = next(line for line in lines[start:] if f"│ {STILLS['apex']} " in line)
    assert [cell.strip() for cell in ours.split("│")[2:-1]] == ["43.8", "43.8"]
    assert [cell.strip() for cell in apex.split("│")[2:-1]] == ["-", "37.5"]


def test_methods_whose_frames_are_given_have_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = FakeData()
    data.rivals = ("glunet",)  # type: ignore[attr-defined]
    other = {"test/glunet_epe_px": 1.25, "test/glunet_ssim": 0.5, "test/glunet_apex_rmse": 9.0}
    summary = run(tmp_path, logged() | other, data)
    assert list(summary["rows"])[4:7] == ["features", "glunet", "subspaces"]
    assert summary["rows"]["glunet"]["epe_px"] == 1.25
    assert list(summary["faces"]) == [*STILLS, "glunet_apex"]
    lines = capsys.readouterr().out.splitlines()
    flow, face = (line for line in lines if "│ flow of glunet's frames" in line)
    (own,) = (line for line in lines if "│ face of glunet " in line)
    assert ["1.250" in flow, "0.500" in face, "9.00" in own] == [True] * 3


def test_the_average_face_has_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    average = {"test/average_image_accuracy": 0.25, "test/average_frontal_image_accuracy": 0.75}
    summary = run(tmp_path, logged() | average)
    assert summary["average"]["average_frontal"] == {"image_accuracy": 0.75}
    lines = [line for line in capsys.readouterr().out.splitlines() if "SNAP-" in line]
    assert [line.split("│")[2].strip() for line in lines] == ["25.0", "75.0"]


def test_another_method_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"FrontalizationTable needs measures .* take it out"):
        trainer(tmp_path, FrontalizationTable()).test(
            FakeModule({"test/accuracy": 1.0}), datamodule=FakeData(), verbose=False
        )

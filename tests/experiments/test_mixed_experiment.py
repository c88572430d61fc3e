"""Several data sets in one experiment, from training to the table."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from experiments.cli import main
from experiments.command.usage import PACKAGE
from experiments.run.folder import runs
from tests.datamodules.trees import ckplus_tree, picture, snap_tree


def test_each_data_set_has_a_row_of_its_own(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    snap_tree(folder / "snap", subjects=3)
    for frame in ckplus_tree(folder / "ck", subjects=3).rglob("*.png"):
        person, moment = int(frame.name[1:4]), int(frame.stem[-1])
        assert cv2.imwrite(str(frame), picture(person + 10, moment / 3))
    sets = {
        "SNaP2DFeDataModule": {"root": "snap", "frontalized": {"mine": "snap/SNAPcam1"}},
        "CKPlusDataModule": {"root": "ck"},
    }
    command = [
        f"--config={PACKAGE / 'emotion_gan.yaml'}",
        f"--config={PACKAGE / 'data' / 'mixed.yaml'}",
        f"--data.sets={json.dumps(sets)}",
        *("--data.crop=none", "--data.fold_mode=loso", "--data.strategies=[neutral_apex]"),
        *("--model.size=32", "--model.width=4", "--model.e_fer_epochs=1"),
        *("--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"),
    ]
    main(["fit", *command, "--trainer.max_epochs=1"])
    main(["test", *command, "--ckpt_path=best"])
    (run,) = runs(folder / "runs" / "emotion_gan")
    summary = json.loads((run.path / "summary.json").read_text())
    assert (summary["data"], summary["n_test"], summary["n_test_subjects"]) == ("snap + ck", 4, 2)
    assert list(summary["lists"]) == ["snap2dfe", "ckplus"]
    assert all(value is not None for found in summary["lists"].values() for value in found.values())
    # Of CK+ there are no frames, so nothing is said of all samples.
    assert set(summary["rows"]["mine"].values()) == {None}
    assert set(summary["faces"]["mine_apex"].values()) == {None}
    means = [found["emotion_gan_epe_px"] for found in summary["lists"].values()]
    assert sum(means) / 2 == pytest.approx(summary["rows"]["emotion_gan"]["epe_px"], rel=1e-4)
    assert "samples of" in capfd.readouterr().out

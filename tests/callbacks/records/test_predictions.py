from __future__ import annotations

import csv
import math
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from callbacks.figures.flow_pictures import FlowPictures
from callbacks.records import predictions
from callbacks.records.predictions import Predictions
from datamodules.labels import ACTION_UNITS
from datamodules.store.replacing import own_path
from tests.callbacks.fakes import (
    NAMES,
    FaceData,
    FaceModule,
    FakeData,
    FakeModule,
    batch_of,
    faces_of,
    outputs_of,
    trainer,
)

BOX = ("x", "y", "width", "height")
SAID = ("detector", "trained_on")


def read(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_one_line_a_sample_with_names_and_probabilities(tmp_path: Path) -> None:
    trainer(tmp_path, Predictions()).test(FakeModule(), datamodule=FakeData(), verbose=False)
    rows = read(tmp_path)
    assert [int(row["sample_id"]) for row in rows] == list(range(12))
    share = math.exp(2) / (math.exp(2) + 2)
    assert rows[4] == {
        "source": "synthetic",
        "sample_id": "4",
        "sample": "S001/000",
        "label": "happiness",
        "predicted": "surprise",
        "neutral": f"{(1 - share) / 2:.6f}",
        "happiness": f"{(1 - share) / 2:.6f}",
        "surprise": f"{share:.6f}",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.csv"]


def test_scores_are_no_probabilities(tmp_path: Path) -> None:
    class Scoring(FakeModule):
        """Answers in scores, as a support vector machine does, and is sure of nothing."""

        def test_step(self, batch: Any, batch_idx: int) -> Any:
            outputs = outputs_of(batch)
            scores = outputs.pop("logits")
            shares = torch.full_like(scores, 1 / 3)
            others = {"probabilities": shares, "scores_pixels": scores.flip(1)}
            return {**outputs, "scores": scores, **others}

    trainer(tmp_path, Predictions()).test(Scoring(), datamodule=FakeData(), verbose=False)
    row = read(tmp_path)[4]
    assert (row["predicted"], row["predicted_pixels"]) == ("surprise", "neutral")
    assert {row[name] for name in NAMES} == {"0.333333"}


def test_who_knows_no_classes_names_none(tmp_path: Path) -> None:
    class Silent(FakeModule):
        """Answers as published generators do, which come without a classifier."""

        def predict_step(self, batch: Any, batch_idx: int) -> Any:
            outputs = super().predict_step(batch, batch_idx)
            return {**outputs, "logits": torch.full_like(outputs["logits"], math.nan)}

    trainer(tmp_path, Predictions(), FlowPictures()).predict(
        Silent(), datamodule=FakeData([0, 5]), return_predictions=False
    )
    (folder,) = (tmp_path / "predict").iterdir()
    rows = read(folder)
    assert len(rows) == 2
    assert {row[name] for row in rows for name in ("predicted", *NAMES)} == {""}
    assert list((tmp_path / "figures" / "predict").glob("*/*_strip.png"))


def test_prediction_names_sequence_and_frame(tmp_path: Path) -> None:
    (tmp_path / "predictions.csv").write_text("of a test")
    trainer(tmp_path, Predictions()).predict(
        FakeModule(), datamodule=FakeData([0, 5]), return_predictions=False
    )
    (folder,) = (tmp_path / "predict").iterdir()
    rows = read(folder)
    places = ["source", "sample_id", "sequence", "frame", "seconds", "track", *BOX, *SAID]
    smoothed = ["smoothing_s", "smoothed", *(f"smoothed_{name}" for name in NAMES)]
    assert list(rows[0]) == [*places, "predicted", *NAMES, *smoothed]
    assert [rows[0][key] for key in ("seconds", "track", *BOX)] == [
        *["0.000", "1", "1", "2", "30", "30"]
    ]
    assert rows[0]["smoothing_s"] == "0.5"
    assert rows[0]["trained_on"] == "drawn faces"
    assert [(row["sequence"], row["frame"]) for row in rows] == [("clip_0", "1"), ("clip_1", "6")]
    assert (tmp_path / "predictions.csv").read_text() == "of a test"


def test_faces_are_told_by_picture_frame_and_box(tmp_path: Path) -> None:
    faces = {
        **faces_of([0, 1, 2]),
        "source": ["a.png", "a.png", "film.mp4"],
        "frame": torch.tensor([0, 0, 7]),
        "seconds": [math.nan, math.nan, 0.28],
        "track": [1, 2, 1],
        "box": torch.tensor([[1, 2, 30, 40], [50, 2, 30, 40], [1, 2, 30, 40]]),
    }
    data = FaceData(tmp_path, [faces])
    trainer(tmp_path, Predictions()).predict(
        FaceModule(), datamodule=data, return_predictions=False
    )
    (folder,) = (tmp_path / "predict").iterdir()
    rows = read(folder)
    places = ["source", "frame", "seconds", "track", *BOX]
    assert list(rows[0])[:14] == [*places, *SAID, "predicted", *NAMES]
    assert [[row[key] for key in places] for row in rows] == [
        ["a.png", "0", "", "1", "1", "2", "30", "40"],
        ["a.png", "0", "", "2", "50", "2", "30", "40"],
        ["film.mp4", "7", "0.280", "1", "1", "2", "30", "40"],
    ]
    assert [row["predicted"] for row in rows] == list(NAMES)
    assert sum(float(rows[0][name]) for name in NAMES) == pytest.approx(1, abs=1e-5)


def test_a_sample_that_comes_twice_counts_once(tmp_path: Path) -> None:
    data = FakeData([*range(12), 0, 1])
    trainer(tmp_path, Predictions()).test(FakeModule(), datamodule=data, verbose=False)
    assert [int(row["sample_id"]) for row in read(tmp_path)] == list(range(12))


def test_a_lost_sample_is_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    data = FakeData(list(range(11)))
    with pytest.raises(ValueError, match="11 samples were predicted and the data set holds 12"):
        trainer(tmp_path, Predictions()).test(FakeModule(), datamodule=data, verbose=False)
    assert not (tmp_path / "predictions.csv").exists()


def test_a_shortened_test_is_not_counted(tmp_path: Path) -> None:
    runner = trainer(tmp_path, Predictions(), limit_test_batches=1)
    runner.test(FakeModule(), datamodule=FakeData(), verbose=False)
    assert len(read(tmp_path)) == 5


def of_rank(part: Path, rank: int) -> Path:
    return part.with_name(part.name.replace("part0", f"part{rank}"))


def test_two_commands_at_once_in_one_folder(tmp_path: Path) -> None:
    """As two processes: the second begins while the first writes."""
    beside = own_path(tmp_path / "part0.csv")
    beside = beside.with_name(beside.name.replace(str(os.getpid()), str(os.getppid())))
    beside.write_text("of another process\n")
    trainer(tmp_path, Predictions()).test(FakeModule(), datamodule=FakeData(), verbose=False)
    assert beside.read_text() == "of another process\n"


def test_ranks_are_merged_in_the_order_of_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranks: list[Any] = [
        SimpleNamespace(
            global_rank=rank,
            is_global_zero=rank == 0,
            default_root_dir=tmp_path,
            datamodule=FakeData(),
            limit_test_batches=1.0,
            test_dataloaders=FakeData().test_dataloader(),
            predicting=False,
        )
        for rank in (0, 1)
    ]
    monkeypatch.setattr(predictions, "gather", lambda part: [of_rank(part, n) for n in (0, 1)])
    # As a distributed sampler deals them out, the last one repeated to fill up.
    module = FakeModule()
    shares = [[0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 11, 0]]
    for runner, numbers in reversed(list(zip(ranks, shares, strict=True))):
        callback = Predictions()
        callback.on_test_start(runner, module)
        batch = batch_of(numbers)
        callback.on_test_batch_end(runner, module, outputs_of(batch), batch, 0)
        callback.on_test_epoch_end(runner, module)
    assert [int(row["sample_id"]) for row in read(tmp_path)] == list(range(12))
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.csv"]


def test_another_number_of_classes_is_said(tmp_path: Path) -> None:
    class Narrow(FakeModule):
        def test_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
            return {**outputs_of(batch), "logits": torch.zeros(len(batch["label"]), 2)}

    with pytest.raises(ValueError, match="tells 2 classes apart and the data has 3"):
        trainer(tmp_path, Predictions()).test(Narrow(), datamodule=FakeData(), verbose=False)


IDS = torch.tensor([4, 7])
MODULE: Any = FakeModule()


@pytest.fixture
def runner(tmp_path: Path) -> Any:
    return SimpleNamespace(
        default_root_dir=str(tmp_path),
        global_rank=0,
        is_global_zero=True,
        predicting=False,
        limit_test_batches=1.0,
        test_dataloaders=SimpleNamespace(dataset=IDS),
        datamodule=SimpleNamespace(
            source="synthetic", class_names=("neutral", "happiness"), sample_name="face_{}".format
        ),
    )


def written(runner: Any, **outputs: torch.Tensor) -> list[dict[str, str]]:
    callback = Predictions()
    callback.on_test_start(runner, MODULE)
    known = {"sample_id": IDS, "label": torch.tensor([1, 0])}
    callback.on_test_batch_end(runner, MODULE, {**known, **outputs}, None, 0)
    callback.on_test_epoch_end(runner, MODULE)
    with (Path(runner.default_root_dir) / "predictions.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_units_are_named_and_what_has_no_machine_is_empty(runner: Any) -> None:
    margins = torch.full((2, len(ACTION_UNITS)), -0.5)
    margins[0, [4, 7]] = 0.25  # AU6 and AU12
    margins[:, 0] = torch.nan
    shown = (margins > 0).float()
    shown[0, 12] = 1  # AU25
    one, other = written(runner, unit_margins=margins, action_units=shown)
    assert (one["sample"], one["label"], one["predicted"]) == ("face_4", "happiness", "6+12")
    assert one["shown"] == "6+12+25"
    assert (one["au1"], one["au6"], one["au27"]) == ("", "0.250000", "-0.500000")
    assert (other["sample_id"], other["predicted"], other["shown"]) == ("7", "", "")


def test_a_machine_answers_by_its_scores_whatever_its_probabilities(runner: Any) -> None:
    # One-vs-rest scores of machines: their softmax would be no share of anything.
    scores = torch.tensor([[-0.2, 0.3], [1.5, -4.0]])
    for row, name in zip(written(runner, scores=scores), ("happiness", "neutral"), strict=True):
        assert list(row) == ["source", "sample_id", "sample", "label", "predicted"]
        assert row["predicted"] == name
    probabilities = torch.tensor([[0.625, 0.375], [0.75, 0.25]])
    one, other = written(runner, scores=scores, probabilities=probabilities)
    # The machine answers, whatever its calibrated probabilities.
    assert (one["predicted"], one["happiness"]) == ("happiness", "0.375000")
    assert (other["predicted"], other["neutral"]) == ("neutral", "0.750000")


def test_inputs_of_one_name_are_told_apart_and_a_replaced_file_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    data = FakeData([0, 5])
    data.source = "frames"
    for who in ("anna", "bert", "anna"):
        data.input = tmp_path / who / "frames"
        trainer(tmp_path, Predictions()).predict(
            FakeModule(), datamodule=data, return_predictions=False
        )
    assert len(list((tmp_path / "predict").glob("frames-*/predictions.csv"))) == 2
    assert caplog.text.count("replaced an earlier file") == 1


def test_a_name_that_is_no_text_is_written(tmp_path: Path) -> None:
    faces = {**faces_of([0]), "source": ["a\udcff.png"], "frame": torch.tensor([0])}
    faces |= {"seconds": [math.nan], "track": [1]}
    data = FaceData(tmp_path, [{**faces, "box": torch.tensor([[1, 2, 30, 40]])}])
    trainer(tmp_path, Predictions()).predict(
        FaceModule(), datamodule=data, return_predictions=False
    )
    (folder,) = (tmp_path / "predict").iterdir()
    assert read(folder)[0]["source"] == "a\\udcff.png"

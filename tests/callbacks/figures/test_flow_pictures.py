from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import WandbLogger

from callbacks.figures import flow_pictures, grid
from callbacks.figures.colour_wheel import flow_to_rgb
from callbacks.figures.flow_pictures import FlowPictures, OcclusionPictures, SequencePictures
from callbacks.figures.grid import Row
from callbacks.figures.pictures import LINE_HEIGHT, new_figure
from callbacks.figures.style import Picture
from callbacks.outputs import read
from tests.callbacks.fakes import (
    NAMES,
    SIZE,
    FakeData,
    FakeModule,
    batch_of,
    outputs_of,
    sample,
    trainer,
)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Record what is drawn instead of drawing it."""
    calls: list[dict[str, Any]] = []

    def record(title: str, columns: Any, rows: list[Row], legend: Any) -> Any:
        scale = legend.keywords["max_magnitude"]
        calls.append({"title": title, "columns": columns, "rows": rows, "max_magnitude": scale})
        return new_figure(1, 1)

    monkeypatch.setattr(grid, "draw_grid", record)
    return calls


def labels(call: dict[str, Any]) -> list[str]:
    rows: list[Row] = call["rows"]
    return [row.label for row in rows]


def test_validation_is_drawn_every_few_epochs_and_last(
    tmp_path: Path, drawn: list[dict[str, Any]]
) -> None:
    runner = trainer(tmp_path, FlowPictures(every_n_epochs=2), max_epochs=5)
    runner.fit(FakeModule(), datamodule=FakeData())
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert names == [f"validation_epoch_{epoch:03d}.png" for epoch in (1, 3, 4)]
    # The same samples every time, one for each expression.
    assert labels(drawn[0]) == labels(drawn[1]) == labels(drawn[2])
    assert [label.split("\n")[0] for label in labels(drawn[0])] == [
        "neutral",
        "happiness",
        "surprise",
    ]


def test_the_last_validation_of_a_training_by_steps_is_drawn(
    tmp_path: Path, drawn: list[dict[str, Any]]
) -> None:
    steps = {"max_epochs": -1, "max_steps": 4, "check_val_every_n_epoch": None}
    fit = trainer(tmp_path, FlowPictures(), val_check_interval=2, **steps)
    fit.fit(FakeModule(), datamodule=FakeData())
    assert len(drawn) == 1


def test_choice_does_not_depend_on_the_order(tmp_path: Path, drawn: list[dict[str, Any]]) -> None:
    for numbers in (list(range(12)), list(range(12))[::-1]):
        trainer(tmp_path, FlowPictures()).test(
            FakeModule(), datamodule=FakeData(numbers), verbose=False
        )
    assert labels(drawn[0]) == labels(drawn[1])


def test_rows_are_capped_and_captions_say_the_error(
    tmp_path: Path, drawn: list[dict[str, Any]]
) -> None:
    trainer(tmp_path, FlowPictures(max_rows=2, max_magnitude=3.0)).test(
        FakeModule(), datamodule=FakeData(), verbose=False
    )
    (call,) = drawn
    assert call["max_magnitude"] == 3.0
    assert call["title"] == "FakeModule, test, data: synthetic, fold 2, seed 7"
    assert len(call["rows"]) == 2
    # The posed flow of the fakes is one pixel off in both directions, the frontalized is exact;
    # a pixel of 16x16 is eight of 128x128.
    captions = [cell.caption for cell in call["rows"][0].cells]
    assert captions == ["EPE 11.31 px", "EPE 0.00 px\n✗ happiness", "", "", "", ""]
    # No flow but the one that was read is right or wrong.
    assert [cell.right for cell in call["rows"][0].cells] == [None, False, None, None, None, None]


def test_picture_lands_in_the_run_folder_and_in_wandb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(
        WandbLogger, "log_image", lambda self, key, images, step: sent.append((key, images))
    )
    monkeypatch.setattr(WandbLogger, "finalize", lambda self, status: None)
    monkeypatch.setattr(WandbLogger, "log_metrics", lambda self, metrics, step: None)
    monkeypatch.setattr(WandbLogger, "save", lambda self: None)
    monkeypatch.setattr(WandbLogger, "experiment", None)  # starts no run that others would meet
    logger = WandbLogger(save_dir=tmp_path, offline=True)
    monkeypatch.setattr(WandbLogger, "log_hyperparams", lambda self, *a, **k: None)
    monkeypatch.setattr(WandbLogger, "log_graph", lambda self, *a, **k: None)
    trainer(tmp_path, FlowPictures(), logger=logger).test(
        FakeModule(), datamodule=FakeData(), verbose=False
    )
    path = tmp_path / "figures" / "test.png"
    assert path.read_bytes().startswith(b"\x89PNG")
    assert sent == [("test/pictures", [str(path)])]


def test_prediction_draws_each_sequence(tmp_path: Path) -> None:
    trainer(tmp_path, FlowPictures()).predict(
        FakeModule(), datamodule=FakeData(list(range(5))), return_predictions=False
    )
    names = sorted(path.name for path in (tmp_path / "figures" / "predict").glob("*/*.png"))
    kinds = ("frontalized", "posed", "strip", "warped")
    assert names == [f"clip_{i}_{kind}.png" for i in (0, 1) for kind in kinds]


@pytest.mark.parametrize(
    "options", [{"every_n_epochs": 0}, {"max_rows": 0}, {"max_magnitude": 0.0}]
)
def test_impossible_settings_are_said(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="above 0 px"):
        FlowPictures(**options)


def writer(folder: Path, rank: int = 0) -> SequencePictures:
    return SequencePictures(
        folder,
        class_names=NAMES,
        caption="{}, data: synthetic".format,
        max_magnitude=16.0,
        rank=rank,
    )


def predicted(numbers: list[int]) -> dict[str, Any]:
    outputs = outputs_of(batch_of(numbers))
    return {**outputs, "probabilities": read(outputs, "probabilities")}


def pixels(path: Path) -> Picture:
    """Read a picture of 16x16 back, which was enlarged above its caption."""
    drawn = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    assert (drawn[-LINE_HEIGHT:] < 128).any()
    factor = drawn.shape[1] // SIZE
    return drawn[: SIZE * factor : factor, ::factor]


def expected(number: int) -> np.ndarray:
    # In pixels of a 128x128 grid, of which these flows of 16x16 have an eighth.
    return flow_to_rgb(8 * sample(number)["flow"].numpy(), max_magnitude=16.0)


def test_the_frame_with_the_most_motion_is_drawn(tmp_path: Path) -> None:
    pictures = writer(tmp_path)
    for numbers in ([0, 3, 1], [2, 4, 5], [6]):  # clip_0 is 0 to 3, clip_1 is 4 to 7
        pictures.add(predicted(numbers))
    pictures.finish()
    kinds = ("frontalized", "posed", "strip", "warped")
    names = [f"clip_{i}_{kind}.png" for i in (0, 1) for kind in kinds]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    np.testing.assert_array_equal(pixels(tmp_path / "clip_0_frontalized.png"), expected(3))
    np.testing.assert_array_equal(pixels(tmp_path / "clip_1_frontalized.png"), expected(6))
    posed = flow_to_rgb(8 * sample(3)["posed_flow"].numpy(), max_magnitude=16.0)
    np.testing.assert_array_equal(pixels(tmp_path / "clip_0_posed.png"), posed)
    assert (pixels(tmp_path / "clip_0_warped.png") == 128).all()


def test_no_more_is_held_than_the_present_sequences(tmp_path: Path) -> None:
    pictures = writer(tmp_path)
    for clip in range(5):
        pictures.add(predicted([4 * clip, 4 * clip + 1]))
        assert list(pictures._open) == [f"clip_{clip}"]


def test_a_sequence_that_comes_back_keeps_its_best_frame(tmp_path: Path) -> None:
    pictures = writer(tmp_path)
    for numbers in ([3], [4], [1], [5]):
        pictures.add(predicted(numbers))
    pictures.finish()
    np.testing.assert_array_equal(pixels(tmp_path / "clip_0_frontalized.png"), expected(3))
    np.testing.assert_array_equal(pixels(tmp_path / "clip_1_frontalized.png"), expected(5))


def test_of_two_processes_the_one_with_more_motion_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranks = [writer(tmp_path, rank) for rank in (0, 1)]
    ranks[0].add(predicted([0, 2, 5]))
    ranks[1].add(predicted([1, 3, 4]))

    def both(value: Any) -> list[Any]:
        return [rank._motion for rank in ranks]

    monkeypatch.setattr(flow_pictures, "gather", both)
    for rank in ranks:
        rank.finish()
    np.testing.assert_array_equal(pixels(tmp_path / "clip_0_frontalized.png"), expected(3))
    np.testing.assert_array_equal(pixels(tmp_path / "clip_1_frontalized.png"), expected(5))
    assert len(list(tmp_path.iterdir())) == 8


class OccludedData(FakeData):
    def __init__(self, regions: tuple[str, ...] = ("eyes", "mouth")) -> None:
        super().__init__()
        self.regions = regions


class OccludedModule(FakeModule):
    """Hides one pixel of motion from the first region, two from the next, and gives all back."""

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        outputs = super().test_step(batch, batch_idx)
        flow, label = outputs["flow"], outputs["label"]
        regions = self.trainer.datamodule.regions  # type: ignore[attr-defined]
        hidden = torch.arange(1.0, len(regions) + 1).view(1, -1, 1, 1, 1)
        right = torch.nn.functional.one_hot(label, 3).float()
        others = {f"logits_{name}": right for name in (*regions, "clean_reconstructed")}
        restored = {f"logits_{name}_reconstructed": right for name in regions}
        return outputs | {
            "occluded_flow": flow.unsqueeze(1) - hidden,
            "occluded_face": torch.zeros(len(flow), len(regions), 3, 16, 16),
            "reconstructed_flow": flow.unsqueeze(1).expand(-1, len(regions), -1, -1, -1),
            **others,
            **restored,
        }


def test_a_row_shows_what_was_hidden_and_what_came_back(
    tmp_path: Path, drawn: list[dict[str, Any]]
) -> None:
    trainer(tmp_path, OcclusionPictures(max_rows=1)).test(
        OccludedModule(), datamodule=OccludedData(), verbose=False
    )
    (call,) = drawn
    region = ("occluded face", "occluded flow", "reconstructed flow")
    assert call["columns"] == ("true flow", *region, *region)
    # One pixel of 16x16 along both axes is 8 * sqrt(2) of 128x128.
    (row,) = call["rows"]
    assert [cell.caption for cell in row.cells] == [
        "✗ happiness",
        "eyes",
        "EPE 11.31 px\n✓ neutral",
        "EPE 0.00 px\n✓ neutral",
        "mouth",
        "EPE 22.63 px\n✓ neutral",
        "EPE 0.00 px\n✓ neutral",
    ]


def test_a_sample_goes_on_in_rows_without_a_name(
    tmp_path: Path, drawn: list[dict[str, Any]]
) -> None:
    trainer(tmp_path, OcclusionPictures(max_rows=2)).test(
        OccludedModule(), datamodule=OccludedData(("eyes", "mouth", "nose")), verbose=False
    )
    rows = drawn[0]["rows"]
    assert [bool(row.label) for row in rows] == [True, False] * 2
    assert [len(row.cells) for row in rows] == [7, 4] * 2
    assert [cell.caption for cell in rows[1].cells][:2] == ["✗ happiness", "nose"]


def test_the_picture_of_many_occlusions_is_no_wider_than_a_screen(tmp_path: Path) -> None:
    regions = tuple(f"region_{number}_inpainted" for number in range(14))
    trainer(tmp_path, OcclusionPictures(max_rows=1)).test(
        OccludedModule(), datamodule=OccludedData(regions), verbose=False
    )
    picture = cv2.imread(str(tmp_path / "figures" / "test.png"))
    assert picture is not None
    height, width = picture.shape[:2]
    assert height > 7 * 225
    assert 7 * 225 < width < 2400

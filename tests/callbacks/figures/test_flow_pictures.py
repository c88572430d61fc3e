from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.loggers import WandbLogger

from callbacks.figures import sample_pictures
from callbacks.figures.flow_pictures import FlowPictures
from callbacks.figures.picture_grid import Row
from tests.callbacks.fakes import FakeData, FakeModule, trainer


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Record what is drawn instead of drawing it."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(
        sample_pictures, "draw_grid", lambda path, **said: calls.append({"path": path, **said})
    )
    return calls


def labels(call: dict[str, Any]) -> list[str]:
    rows: list[Row] = call["rows"]
    return [row.label for row in rows]


def test_validation_is_drawn_every_few_epochs_and_last(
    tmp_path: Path, drawn: list[dict[str, Any]]
) -> None:
    runner = trainer(tmp_path, FlowPictures(every_n_epochs=2), max_epochs=5)
    runner.fit(FakeModule(), datamodule=FakeData())
    names = [call["path"].name for call in drawn]
    assert names == [f"validation_epoch_{epoch:03d}.png" for epoch in (1, 3, 4)]
    # The same samples every time, one for each expression.
    assert labels(drawn[0]) == labels(drawn[1]) == labels(drawn[2])
    assert [label.split("\n")[0] for label in labels(drawn[0])] == [
        "neutral",
        "happiness",
        "surprise",
    ]


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
    assert "synthetic" in call["title"]
    assert len(call["rows"]) == 2
    # The posed flow of the fakes is one pixel off in both directions, the frontalized is exact;
    # a pixel of 16x16 is eight of 128x128.
    captions = [cell.caption for cell in call["rows"][0].cells]
    assert captions == ["EPE 11.31 px", "EPE 0.00 px, read as happiness", "", "", "", ""]


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
    names = sorted(path.name for path in (tmp_path / "figures" / "predict").iterdir())
    kinds = ("frontalized", "posed", "strip", "warped")
    assert names == [f"clip_{i}_{kind}.png" for i in (0, 1) for kind in kinds]


@pytest.mark.parametrize(
    "options", [{"every_n_epochs": 0}, {"max_rows": 0}, {"max_magnitude": 0.0}]
)
def test_impossible_settings_are_said(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="above 0 px"):
        FlowPictures(**options)

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from callbacks.figures import grid
from callbacks.figures.base import new_figure
from callbacks.figures.occlusion_pictures import OcclusionPictures
from tests.callbacks.fakes import FakeData, FakeModule, trainer


class OccludedData(FakeData):
    regions = ("eyes", "mouth")


class OccludedModule(FakeModule):
    """Hides one pixel of motion from the eyes and two from the mouth, and gives it all back."""

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        outputs = super().test_step(batch, batch_idx)
        flow, label = outputs["flow"], outputs["label"]
        hidden = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1, 1)
        right = torch.nn.functional.one_hot(label, 3).float()
        others = {f"logits_{name}": right for name in ("eyes", "mouth", "clean_reconstructed")}
        restored = {f"logits_{name}_reconstructed": right for name in ("eyes", "mouth")}
        return outputs | {
            "occluded_flow": flow.unsqueeze(1) - hidden,
            "reconstructed_flow": flow.unsqueeze(1).expand(-1, 2, -1, -1, -1),
            **others,
            **restored,
        }


def test_a_row_shows_what_was_hidden_and_what_came_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[Any, Any]] = []

    def record(title: str, columns: Any, rows: Any, max_magnitude: float) -> Any:
        calls.append((columns, rows))
        return new_figure(1, 1)

    monkeypatch.setattr(grid, "draw_grid", record)
    trainer(tmp_path, OcclusionPictures(max_rows=1)).test(
        OccludedModule(), datamodule=OccludedData(), verbose=False
    )
    ((columns, rows),) = calls
    assert columns == (
        "eyes occluded",
        "eyes reconstructed",
        "mouth occluded",
        "mouth reconstructed",
        "true flow",
    )
    # One pixel of 16x16 along both axes is 8 * sqrt(2) of 128x128.
    assert [cell.caption for cell in rows[0].cells] == [
        "11.31 px, neutral",
        "0.00 px, neutral",
        "22.63 px, neutral",
        "0.00 px, neutral",
        "happiness",
    ]


def test_the_picture_is_written(tmp_path: Path) -> None:
    trainer(tmp_path, OcclusionPictures()).test(
        OccludedModule(), datamodule=OccludedData(), verbose=False
    )
    assert (tmp_path / "figures" / "test.png").read_bytes().startswith(b"\x89PNG")

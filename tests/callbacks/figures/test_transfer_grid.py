from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from callbacks.figures import transfer_grid
from callbacks.figures.grid import Row
from callbacks.figures.pictures import new_figure
from callbacks.figures.transfer_grid import TransferGrid, animate
from datamodules.faces import Box
from datamodules.motion.targets import Target


def outputs(names: list[str], lengths: list[float]) -> dict[str, Any]:
    """Frames whose flow, faces and apex tell how long their motion is."""
    length = torch.tensor(lengths).view(-1, 1, 1, 1)
    return {
        "sequence": names,
        "frontalized_flow": length.expand(-1, 2, 8, 8),
        "apex": (length / 10).expand(-1, 3, 8, 8),
        "animated": (length / 10).unsqueeze(1).expand(-1, 2, 3, 8, 8),
        "corrections": torch.zeros(len(names), 2, 3, 8, 8),
        "arriving_flow": torch.zeros(len(names), 2, 8, 8),
        "targets": torch.tensor([0.4, 0.6]).view(1, 2, 1, 1, 1).expand(len(names), 2, 3, 8, 8),
    }


def test_each_recording_is_drawn_where_it_moves_most(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, list[str], list[Row]]] = []

    def record(title: str, columns: list[str], rows: list[Row], legend: Any) -> Any:
        calls.append((title, columns, rows))
        return new_figure(1, 1)

    monkeypatch.setattr(transfer_grid, "draw_grid", record)
    photograph = Target(np.full((40, 30, 3), 9, np.uint8), Box(4, 5, 16, 16), np.zeros(0))
    grid = TransferGrid({"average face": None, "b.png": photograph}, max_magnitude=4.0)
    grid.add(outputs(["smile", "frown", "smile"], [1.0, 5.0, 3.0]))
    grid.add(outputs(["smile"], [2.0]))
    grid.gather()
    grid.draw(lambda what: f"method, {what}")
    title, columns, rows = calls[0]
    assert title == "method, motion of 2 recordings on faces"
    assert columns == ["recording", "frontalized flow", "average face", "b.png"]
    assert [row.label for row in rows] == ["at rest", "frown", "smile"]
    shown = [[int(cell.image[0, 0, 0]) for cell in row.cells] for row in rows]
    assert shown[0] == [255, 255, 102, 9]
    assert [row[0] for row in shown[1:]] == [128, 76]
    assert [row[2:] for row in shown[1:]] == [[128, 9], [76, 9]]
    assert rows[1].cells[3].image.shape == (16, 16, 3)
    written = list(grid.pictures())
    assert [name[:2] for name in written] == [("frown", "b.png"), ("smile", "b.png")]
    assert all(np.array_equal(picture, photograph.picture) for *_, picture in written)


@pytest.mark.parametrize("box", [Box(20, 10, 64, 64), Box(-10, 70, 64, 64)])
def test_a_picture_moves_in_its_own_pixels_and_only_in_the_box(box: Box) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (120, 100, 3)).astype(np.uint8)
    # A pixel of the grid is 4 of the picture.
    right = np.stack([np.full((16, 16), 1, np.float32), np.zeros((16, 16), np.float32)])
    still, none = np.zeros_like(right), np.zeros((3, 16, 16), np.float32)
    assert np.array_equal(animate(picture, box, still, none), picture)
    moved = animate(picture, box, right, none)
    left, top = max(box.left, 0), max(box.top, 0)
    inside = np.zeros(picture.shape[:2], bool)
    inside[top : box.top + 64, left : box.left + 64] = True
    assert np.array_equal(moved[~inside], picture[~inside])
    y, x = slice(top + 10, min(box.top + 50, 110)), slice(left + 20, left + 40)
    assert np.array_equal(moved[y, x], picture[y, x.start - 4 : x.stop - 4])
    brighter = animate(picture // 2, box, still, none + 10 / 255)
    assert np.array_equal(brighter[y, x], picture[y, x] // 2 + 10)

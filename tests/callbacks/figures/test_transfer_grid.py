from __future__ import annotations

from typing import Any

import pytest
import torch

from callbacks.figures import transfer_grid
from callbacks.figures.base import new_figure
from callbacks.figures.grid import Row
from callbacks.figures.transfer_grid import TransferGrid


def outputs(names: list[str], lengths: list[float]) -> dict[str, Any]:
    """Frames whose flow, faces and apex tell how long their motion is."""
    length = torch.tensor(lengths).view(-1, 1, 1, 1)
    return {
        "sequence": names,
        "frontalized_flow": length.expand(-1, 2, 8, 8),
        "apex": (length / 10).expand(-1, 3, 8, 8),
        "animated": (length / 10).unsqueeze(1).expand(-1, 2, 3, 8, 8),
        "targets": torch.tensor([0.4, 0.6]).view(1, 2, 1, 1, 1).expand(len(names), 2, 3, 8, 8),
    }


def test_each_recording_is_drawn_where_it_moves_most(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, list[str], list[Row]]] = []

    def record(title: str, columns: list[str], rows: list[Row], legend: Any) -> Any:
        calls.append((title, columns, rows))
        return new_figure(1, 1)

    monkeypatch.setattr(transfer_grid, "draw_grid", record)
    grid = TransferGrid(["a.png", "b.png"], max_magnitude=4.0)
    grid.add(outputs(["smile", "frown", "smile"], [1.0, 5.0, 3.0]))
    grid.add(outputs(["smile"], [2.0]))
    assert grid.draw(lambda what: f"method, {what}") is not None
    title, columns, rows = calls[0]
    assert title == "method, 2 recordings' motion on faces"
    assert columns == ["recording", "frontalized flow", "a.png", "b.png"]
    assert [row.label for row in rows] == ["at rest", "frown", "smile"]
    shown = [[int(cell.image[0, 0, 0]) for cell in row.cells] for row in rows]
    assert shown[0] == [255, 255, 102, 153]
    assert [row[2:] for row in shown[1:]] == [[128, 128], [76, 76]]
    assert [row[0] for row in shown[1:]] == [128, 76]


def test_nothing_seen_is_nothing_drawn() -> None:
    assert TransferGrid(["a"], max_magnitude=4.0).draw(str) is None

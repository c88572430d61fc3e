from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from callbacks.figures.base import write_picture
from callbacks.figures.grid import Cell, Row, draw_grid


def flat(colour: tuple[int, int, int]) -> Cell:
    return Cell(np.full((8, 8, 3), colour, np.uint8), "1 px")


def test_pictures_stand_in_rows_and_columns(tmp_path: Path) -> None:
    colours = [[(200, 0, 0), (0, 200, 0)], [(0, 0, 200), (90, 90, 90)]]
    rows = [Row(f"row {i}", [flat(c) for c in row]) for i, row in enumerate(colours)]
    path = tmp_path / "grid.png"
    # A dollar sign would be read as the start of a formula.
    write_picture(path, draw_grid("a $ sign", ["left", "right"], rows, max_magnitude=2.0))
    picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    centres = {}
    for row in colours:
        for colour in row:
            y, x = np.nonzero((picture == colour).all(axis=2))
            assert len(x) > 100 * 100
            centres[colour] = (x.mean(), y.mean())
    (a, b), (c, d) = ([centres[colour] for colour in row] for row in colours)
    assert a[0] < b[0]
    assert a[1] < c[1]
    assert abs(a[1] - b[1]) < 1
    assert abs(b[0] - d[0]) < 1


def test_scale_is_said_in_the_picture(tmp_path: Path) -> None:
    pictures = []
    for scale in (2.0, 2.0, 3.0):
        path = tmp_path / "grid.png"
        rows = [Row("", [flat((90, 90, 90))])]
        write_picture(path, draw_grid("", [""], rows, max_magnitude=scale))
        pictures.append(path.read_bytes())
    assert pictures[0] == pictures[1]
    assert pictures[0] != pictures[2]

from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2
import numpy as np

from callbacks.figures.colour_wheel import draw_wheel
from callbacks.figures.grid import Cell, Row, draw_grid
from callbacks.figures.pictures import raster, write_picture

LONG = "a caption that is far wider than the picture above it, " * 2


def flat(colour: tuple[int, int, int], caption: str = "1 px") -> Cell:
    return Cell(np.full((8, 8, 3), colour, np.uint8), caption)


def test_pictures_stand_in_rows_and_columns(tmp_path: Path) -> None:
    colours = [[(200, 0, 0), (0, 200, 0)], [(0, 0, 200), (90, 90, 90)]]
    rows = [Row(f"row {i}", [flat(c) for c in row]) for i, row in enumerate(colours)]
    path = tmp_path / "grid.png"
    # A dollar sign would be read as the start of a formula.
    write_picture(path, draw_grid("a $ sign", ["left", "right"], rows))
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
        write_picture(path, draw_grid("", [""], rows, partial(draw_wheel, max_magnitude=scale)))
        pictures.append(path.read_bytes())
    assert pictures[0] == pictures[1]
    assert pictures[0] != pictures[2]


def test_words_keep_to_their_column_and_inside_the_figure() -> None:
    long = "S001/a_name_without_spaces_" * 3
    rows = [Row(long, [flat((200, 0, 0), LONG), flat((0, 200, 0), "")])] * 2
    drawn = raster(draw_grid(LONG, [LONG, "right"], rows))
    y, x = np.nonzero((drawn == (0, 200, 0)).all(axis=2))
    dark = (drawn < 128).all(axis=2)
    below = slice(y[y < len(drawn) / 2].max() + 8, y[y > len(drawn) / 2].min() - 8)
    assert not dark[below, x.min() :].any()
    assert dark[below, : x.min()].any()
    left = np.nonzero((drawn == (200, 0, 0)).all(axis=2))[1].min()
    assert not dark[y.min() : y.max(), left - 8 : left - 2].any()
    for edge in (dark[:4], dark[-4:], dark[:, :4], dark[:, -4:]):
        assert not edge.any()


def test_the_figure_is_as_large_as_its_pictures() -> None:
    def inches(rows: int, columns: int) -> tuple[float, float]:
        cells = [flat((9, 9, 9))] * columns
        figure = draw_grid("a title", ["column"] * columns, [Row("name", cells)] * rows)
        return figure.get_figwidth(), figure.get_figheight()

    (width, height), (wide, high) = inches(1, 4), inches(16, 8)
    assert high - height > 15 * 1.5
    assert high < 16 * height
    assert 4 * 1.5 < wide - width < 4 * 1.7


def test_right_and_wrong_answers_are_told_apart() -> None:
    colours = []
    for right in (True, False):
        cell = Cell(np.full((8, 8, 3), 255, np.uint8), "fear", right)
        drawn = raster(draw_grid("", [""], [Row("", [cell])]))
        y, x = np.nonzero(np.ptp(drawn.astype(int), axis=2) > 100)
        colours.append(drawn[y, x].mean(axis=0))
    assert colours[0][2] > colours[0][0] + 100  # blue
    assert colours[1][0] > colours[1][2] + 100  # red

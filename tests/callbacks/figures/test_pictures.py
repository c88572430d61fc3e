from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from callbacks.figures.pictures import DPI, new_axes, write_picture


def test_a_figure_is_drawn_once_and_looks_as_its_own_savefig_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    draw = Axes.draw
    monkeypatch.setattr(Axes, "draw", lambda self, *args: (drawn.append(self), draw(self, *args)))
    figures = []
    for _ in range(2):
        figure, axes = new_axes(4, 3, "A title that is laid out above the axes, in two lines")
        axes.plot([0, 1e-7, 3e-7], [3, 1e6, 2], label="one")
        axes.set(xlabel="step", ylabel="loss")
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        figures.append(figure)
    write_picture(tmp_path / "figure.png", figures[0])
    assert len(drawn) == 1
    expected = io.BytesIO()
    figures[1].savefig(expected, format="png")
    written = Image.open(tmp_path / "figure.png")
    assert np.array_equal(written.convert("RGB"), Image.open(expected).convert("RGB"))
    assert np.allclose(written.info["dpi"], DPI, atol=0.1)

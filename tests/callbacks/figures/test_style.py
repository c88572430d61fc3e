from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib import font_manager

from callbacks.figures import style
from callbacks.figures.style import class_colours, drawable, marked, put_label, text_width, wrap
from datamodules.labels import class_names

LONG = "S000_ein_sehr_langer_Name_ohne_Leerzeichen_mit_äöüß_0001.mp4"


@pytest.mark.parametrize("text", ["a few words that need several lines", LONG, f"short {LONG} end"])
@pytest.mark.parametrize("width", [40.0, 90.0])
def test_no_line_is_wider_than_asked_for_and_nothing_is_lost(text: str, width: float) -> None:
    lines = wrap(text, width, 8.5, most=99)
    assert len(lines) > 1
    assert max(text_width(line, 8.5) for line in lines) <= width
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_what_takes_too_many_lines_is_cut_visibly() -> None:
    lines = wrap("word " * 50, 60, 8.5, most=3)
    assert len(lines) == 3
    assert lines[-1].endswith("…")
    assert text_width(lines[-1], 8.5) <= 60
    assert wrap("one\ntwo", 60, 8.5) == ["one", "two"]


def test_a_character_without_a_font_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(style, "_wider", lambda: ())
    assert drawable("Überraschung ✓")[0] == "Überraschung ✓"
    assert drawable("高兴 a")[0] == r"\u9ad8\u5174 a"


def test_an_installed_font_is_taken_where_dejavu_lacks_a_character(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = font_manager.findfont("STIXNonUnicode")
    private = next(iter(style._characters(other) - style._characters(style._REGULAR)))
    monkeypatch.setattr(style, "_wider", lambda: (other,))
    text, font = drawable(chr(private))
    assert text == chr(private)
    assert font.get_file() == other
    assert Path(str(drawable("abc")[1].get_file())).name == "DejaVuSans.ttf"


def test_an_expression_has_one_colour_in_every_set_of_classes() -> None:
    sets = [class_names(name) for name in ("basic7", "ck7", "all8")]
    colours = [dict(zip(names, class_colours(names), strict=True)) for names in sets]
    assert len({of["happiness"] for of in colours}) == 1
    assert len(set(colours[2].values())) == 8


def test_answers_are_marked() -> None:
    assert marked("fear", right=True) == "✓ fear"
    assert marked("fear", right=False) == "✗ fear"


@pytest.mark.parametrize("place", [(-50, -50), (500, 500), (20, 60)])
@pytest.mark.parametrize("text", ["Ärger 93 %", "a very long answer " * 9])
def test_a_label_is_whole_and_inside(place: tuple[int, int], text: str) -> None:
    picture = np.full((100, 160, 3), 255, np.uint8)
    put_label(picture, text, *place, size=14, colour="#00ff00")
    box = (picture == (0, 255, 0)).all(axis=2)
    y, x = np.nonzero((picture != 255).any(axis=2))
    assert box[y.min() : y.max() + 1, x.min()].all()  # the whole left edge
    assert box[y.min(), x.min() : x.max() + 1].all()
    assert box[y.min() : y.max() + 1, x.max()].all()
    inside = picture[y.min() : y.max() + 1, x.min() : x.max() + 1]
    assert (inside.sum(axis=2) < 100).any()  # letters

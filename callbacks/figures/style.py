"""The one palette and the one font of all pictures, and words that keep inside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.colors import to_hex
from matplotlib.font_manager import FontProperties, fontManager, get_font
from matplotlib.textpath import text_to_path
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from datamodules.labels import Expression

Picture = NDArray[np.uint8]

HEAT = "viridis"
"""The colour map of all shares and heat: even to the eye, in grey too."""
PALETTE = tuple(map(to_hex, matplotlib.color_sequences["petroff10"][:8]))
"""Colours that are told apart by people who see few of them (Petroff, arXiv 2107.02270)."""
RIGHT, WRONG = PALETTE[0], PALETTE[2]
"""Colours of right answers (blue) and wrong ones (red); `marked` says the same by a sign."""

_FONTS = Path(matplotlib.get_data_path(), "fonts", "ttf")
_REGULAR, _BOLD = str(_FONTS / "DejaVuSans.ttf"), str(_FONTS / "DejaVuSans-Bold.ttf")
_LEAST_SIZE = 11  # pixels of letters that can be read
# Fonts of Chinese, Japanese and Korean that systems bring along, the free ones first.
_WIDER = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "Arial Unicode MS",
)


def class_colours(names: Sequence[str]) -> list[str]:
    """Return the colour of each class; an expression has the same one in every picture."""
    known = [expression.name.lower() for expression in Expression]
    numbers = [known.index(name) if name in known else i for i, name in enumerate(names)]
    return [PALETTE[number % len(PALETTE)] for number in numbers]


def marked(answer: str, right: bool) -> str:
    """Put a sign before an answer that tells whether it is right."""
    return f"{'✓' if right else '✗'} {answer}"


def drawable(text: str, *, bold: bool = False) -> tuple[str, FontProperties]:
    """Return a text and a font that has all of its characters.

    DejaVu Sans has those of Europe, an installed font those of East Asia. A character that no font
    has is escaped.
    """
    first = _BOLD if bold else _REGULAR
    needed = {ord(character) for character in text} - {ord("\n")}
    missing = needed - _characters(first)
    if missing:
        for file in _wider():
            if needed <= _characters(file):
                return text, FontProperties(fname=file)
        text = "".join(ascii(c)[1:-1] if ord(c) in missing else c for c in text)
    return text, FontProperties(fname=first)


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return the width of a line in points; so is the size of its font."""
    text, font = drawable(text, bold=bold)
    font.set_size(size)
    width: float = text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]
    return width


def wrap(text: str, width: float, size: float, *, bold: bool = False, most: int = 8) -> list[str]:
    """Break a text into lines that are not wider than ``width`` points.

    Lines break at spaces, and within a word that is too long, such as the name of a file. At most
    ``most`` lines are left, the last with an ellipsis where more is cut off.
    """
    lines = [
        line for part in text.split("\n") for line in _wrapped_line(part, width, size, bold=bold)
    ]
    if len(lines) <= most:
        return lines
    last = lines[most - 1]
    while last and text_width(f"{last}…", size, bold=bold) > width:
        last = last[:-1]
    return [*lines[: most - 1], f"{last}…"]


def put_label(picture: Picture, text: str, x: int, y: int, *, size: int, colour: str) -> None:
    """Write a line on a picture, on a box of a colour.

    Args:
        picture: RGB [H, W, 3], which is changed.
        text: The line; its letters are made smaller where it would be wider than the picture, and
            it is cut off where they could not be read.
        x: Left edge of the label in pixels; moved so that the label is inside the picture.
        y: Its lower edge, alike.
        size: Of the letters, in pixels.
        colour: Of the box.
    """
    text, font = drawable(text)
    height, width = picture.shape[:2]
    letters = ImageFont.truetype(str(font.get_file()), size)
    margin = max(2, size // 5)
    if (needed := letters.getlength(text)) > (room := width - 2 * margin):
        letters = letters.font_variant(size=max(min(size, _LEAST_SIZE), int(size * room / needed)))
        while len(text) > 1 and letters.getlength(text) > room:
            text = f"{text.removesuffix('…')[:-1]}…"
    ascent, descent = letters.getmetrics()
    right, tall = round(letters.getlength(text)) + 2 * margin, ascent + descent + margin
    left = min(max(x, 0), max(width - right, 0))
    top = min(max(y - tall, 0), max(height - tall, 0))
    canvas = Image.fromarray(picture)
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((left, top, left + right - 1, top + tall - 1), fill=colour)
    draw.text((left + margin, top + margin // 2), text, font=letters, fill="black")
    picture[:] = np.asarray(canvas)


def _wrapped_line(text: str, width: float, size: float, *, bold: bool) -> Iterator[str]:
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if text_width(longer, size, bold=bold) <= width:
            line = longer
            continue
        if line:
            yield line
        line = ""
        for letter in word:
            if line and text_width(line + letter, size, bold=bold) > width:
                yield line
                line = ""
            line += letter
    yield line


@cache
def _characters(file: str) -> frozenset[int]:
    return frozenset(get_font(file).get_charmap())


@cache
def _wider() -> tuple[str, ...]:
    files = {font.name: font.fname for font in fontManager.ttflist}
    return tuple(files[name] for name in _WIDER if name in files)

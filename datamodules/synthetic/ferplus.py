"""Writes drawn faces in the official layout of FERPlus, votes and oddities included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import UserError
from datamodules.labels import FERPLUS_CODES, Expression
from datamodules.synthetic.painting import Bytes
from datamodules.synthetic.stills import STILL_DIFFICULTY, Scene, Still, draw_stills
from datamodules.synthetic.tree import write_png, write_tree

_LAYOUT = 4
_SIZE = 48
_DRAWN = 96
_USAGES = {"Train": "Training", "Valid": "PublicTest", "Test": "PrivateTest"}
_BOX = '"(0, 0, 48, 48)"'
_NAMELESS = 40  # one row in so many has no face, no name and no image
_LEAST = 8  # pictures of a part, so that train has room for the oddities
RATERS = 10
UNKNOWN, NO_FACE = len(Expression), len(Expression) + 1
"""Columns of votes behind those of the expressions."""

# What an expression is most often taken for.
_TAKEN_FOR: dict[Expression, tuple[Expression, ...]] = {
    Expression.NEUTRAL: (Expression.SADNESS, Expression.ANGER),
    Expression.HAPPINESS: (Expression.NEUTRAL, Expression.SURPRISE),
    Expression.SURPRISE: (Expression.FEAR, Expression.HAPPINESS),
    Expression.SADNESS: (Expression.NEUTRAL, Expression.FEAR),
    Expression.ANGER: (Expression.DISGUST, Expression.NEUTRAL),
    Expression.DISGUST: (Expression.ANGER, Expression.SADNESS),
    Expression.FEAR: (Expression.SURPRISE, Expression.SADNESS),
    Expression.CONTEMPT: (Expression.NEUTRAL, Expression.HAPPINESS),
}
_CLEAREST, _VAGUEST = 0.98, 0.45  # share of raters who see what is meant
# How the others vote: first and second confusion, any expression, unknown, no face.
_OTHERS = (0.50, 0.22, 0.16, 0.09, 0.03)


@dataclass
class _Face:
    """An image and its two rows of votes, which differ where it is the copy of another."""

    image: Bytes
    own: NDArray[np.int64]
    listed: NDArray[np.int64]


def write_ferplus(
    root: Path,
    *,
    train: int = 1400,
    val: int = 280,
    test: int = 280,
    seed: int = 0,
    workers: int | None = None,
) -> None:
    """Draws a data set of small grey faces with the votes of ten raters, once.

    Every person shows the eight expressions once; nobody is in two parts. What is odd about the
    real data set is there, too: rows without a name, a tie at one half, nine votes, votes that
    are all single, a face that nobody takes for an expression, a copy of an image with other
    votes, a name that comes twice. Same arguments give the same bytes, whatever the number of
    workers.

    Args:
        root: Where the tree goes: `fer2013new.csv`, and `data/FER2013Train`, `FER2013Valid` and
            `FER2013Test`, each with `label.csv` and PNG files of 48 x 48 pixels.
        train: Number of images to train on.
        val: Number of images to validate on.
        test: Number of images to test.
        seed: Seed of everything.
        workers: Number of threads; None for all cores.

    Raises:
        UserError: A part has fewer than 8 images.
        DatasetError: The folder cannot be written or holds something else.

    Reference:
        E. Barsoum et al., "Training deep networks for facial expression recognition with
        crowd-sourced label distribution", ICMI 2016.
    """
    if min(train, val, test) < _LEAST:
        raise UserError(f"Each part needs {_LEAST} images at least; got {train}, {val} and {test}.")
    parts = {"Train": train, "Valid": val, "Test": test}
    parameters = {
        "layout": "FERPlus",
        **parts,
        "seed": seed,
        "difficulty": asdict(STILL_DIFFICULTY),
    }

    def draw(folder: Path) -> None:
        drawn: dict[tuple[str, int], Still] = {}
        draw_stills(
            parts,
            tuple(Expression),
            Scene.aligned(_DRAWN, _SIZE, colour=False),
            lambda part, number, still: drawn.update({(part, number): still}),
            layout=_LAYOUT,
            seed=seed,
            workers=workers,
            title="drawing FERPlus faces",
        )
        table = [",".join(["Usage", "Image name", *FERPLUS_CODES, "unknown", "NF"])]
        first = 0
        for number, (part, count) in enumerate(parts.items()):
            rng = np.random.default_rng([seed, _LAYOUT, number, 2])
            faces = [_rated(drawn[part, n], rng) for n in range(count)]
            if part == "Train":
                _make_odd(faces)
            table += _write_part(folder / "data" / f"FER2013{part}", _USAGES[part], faces, first)
            first += count
        (folder / "fer2013new.csv").write_text("\n".join(table) + "\n")

    write_tree(Path(root), parameters, draw)


def rate(expression: Expression, rng: np.random.Generator) -> NDArray[np.int64]:
    """Have ten raters vote on a face.

    Args:
        expression: What the face shows.
        rng: Source of chance.

    Returns:
        int64 [10], votes for the eight expressions in canonical order, for "unknown" and for
        "NF"; they sum to 10.
    """
    clear = float(rng.uniform(_VAGUEST, _CLEAREST))
    first, second, anything, unknown, no_face = ((1 - clear) * share for share in _OTHERS)
    chances = np.full(len(Expression) + 2, 0.0)
    chances[: len(Expression)] = anything / len(Expression)
    chances[expression] += clear
    chances[_TAKEN_FOR[expression][0]] += first
    chances[_TAKEN_FOR[expression][1]] += second
    chances[UNKNOWN], chances[NO_FACE] = unknown, no_face
    return rng.multinomial(RATERS, chances / chances.sum())


def _rated(still: Still, rng: np.random.Generator) -> _Face:
    votes = rate(still.expression, rng)
    return _Face(still.image, votes, votes)


def _make_odd(faces: Sequence[_Face]) -> None:
    """Give the first faces the votes that a reader has to get right."""
    half = np.zeros(UNKNOWN + 2, np.int64)
    half[[Expression.NEUTRAL, Expression.SADNESS]] = RATERS // 2
    nine = np.zeros_like(half)
    nine[[Expression.HAPPINESS, Expression.NEUTRAL]] = 6, 3
    nothing = np.zeros_like(half)
    nothing[[UNKNOWN, NO_FACE]] = 6, 4
    for face, votes in zip(faces, (half, nine, nothing, np.ones_like(half)), strict=False):
        face.own = face.listed = votes
    # A copy keeps its own votes in label.csv, and has those of the first in fer2013new.csv.
    faces[5].image, faces[5].listed = faces[4].image, faces[4].own
    # A picture without a face was written over a face of the same name, of which label.csv has
    # the votes.
    faces[6].image = np.full_like(faces[6].image, 128)


def _write_part(folder: Path, usage: str, faces: Sequence[_Face], first: int) -> list[str]:
    """Write images and label.csv; return the rows of fer2013new.csv."""
    folder.mkdir(parents=True)
    labels, rows = [], []
    no_face = f"{','.join(['0'] * NO_FACE)},{RATERS}"
    for number, face in enumerate(faces):
        name = f"fer{first + number:07d}.png"
        write_png(folder / name, face.image)
        labels.append(f"{name},{_BOX},{_joined(face.own)}\n")
        rows.append(f"{usage},{name},{_joined(face.listed)}")
        if number % _NAMELESS == _NAMELESS // 2:
            rows.append(f"{usage},,{no_face}")
    if usage == _USAGES["Train"]:
        rows.append(f"{usage},fer{first + 6:07d}.png,{no_face}")
    (folder / "label.csv").write_text("".join(labels))
    return rows


def _joined(votes: NDArray[np.int64]) -> str:
    return ",".join(map(str, votes.tolist()))

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from datamodules.index import Index
from datamodules.index.columns import Paths, Texts

NAMES = ["a", "", "ü b", "broken\udcff", "a"]
FILES = [Path(name) for name in ("a.png", "x/a.png", "/x/b.png", "/c.png", "x/y/ü.png", "x/d.png")]


def test_texts_are_what_was_given() -> None:
    texts = Texts(NAMES)
    assert list(texts) == [texts[row] for row in range(len(NAMES))] == NAMES
    assert texts == NAMES
    assert texts != NAMES[:-1]
    assert texts != [*NAMES[:-1], "b"]
    assert (texts[-1], texts[1:3]) == ("a", NAMES[1:3])
    assert texts.index("broken\udcff") == 3
    with pytest.raises(IndexError):
        _ = texts[5]


def test_paths_are_what_was_given() -> None:
    paths = Paths(FILES)
    assert list(paths) == [paths[row] for row in range(len(FILES))] == FILES
    assert list(paths.texts()) == [str(file) for file in FILES]
    assert paths[-2:] == FILES[-2:]


def test_nothing_is_a_column_too() -> None:
    assert list(Texts([])) == list(Paths([])) == []


def test_an_index_of_images_takes_at_most_200_bytes_a_row() -> None:
    rows, folder = 20_000, Path("/a/data/set/of/faces/train")
    # Paths intern their names, for which Python's own table may grow by megabytes: now, not later.
    files = [folder / f"train_{row:08d}.png" for row in range(rows)]
    tracemalloc.start()
    index = Index(
        names=[f"train_{row:08d}" for row in range(rows)],
        expressions=np.zeros(rows, np.int8),
        files=[folder / file.name for file in files],
        subjects=[f"S{row // 100:05d}" for row in range(rows)],
        splits=["".join(("tr", "ain")) for _ in range(rows)],
        votes=np.zeros((rows, 8), np.float32),
    )
    assert len(index.person_of) == rows
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert sys.getsizeof(index) < held < 200 * rows
    assert index.files == files

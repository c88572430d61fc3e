"""A small data set of still images, and the data module that reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.files import MARKER
from datamodules.index import PARTS, Index
from datamodules.labels import Expression
from datamodules.stills.module import FaceDataModule

CODES = {e.name.lower(): e for e in Expression}


def face(seed: int, size: int = 24, *, colour: bool = False) -> NDArray[np.uint8]:
    """Draw a picture of its own for each seed: smooth spots, BGR where coloured."""
    rng = np.random.default_rng(seed)
    shape = (size, size, 3) if colour else (size, size)
    spots = cv2.GaussianBlur(rng.uniform(0, 255, shape).astype(np.float32), (0, 0), 2)
    return np.asarray(cv2.normalize(spots, np.zeros_like(spots), 10, 245, cv2.NORM_MINMAX), "uint8")


def write_faces(
    root: Path,
    parts: dict[str, int],
    *,
    classes: tuple[str, ...] = ("neutral", "happiness"),
    people: int = 4,
    colour: bool = False,
) -> Path:
    """Write so many images of each class into a folder a part: `<part>/<person>_<class>_<n>.png`.

    People are numbered on from part to part, and take turns within one.
    """
    number = 0
    for where, (part, count) in enumerate(parts.items()):
        (root / part).mkdir(parents=True, exist_ok=True)
        for expression in classes:
            for i in range(count):
                who = f"S{where * people + i % people:02d}"
                file = root / part / f"{who}_{expression}_{i:02d}.png"
                assert cv2.imwrite(str(file), face(number, colour=colour))
                number += 1
    return root


class FakeFaces(FaceDataModule):
    """Reads what `write_faces` writes; `official` and `known` choose what the index says."""

    name = "Fake"

    def __init__(self, *, official: bool = True, known: bool = True, **kwargs: Any) -> None:
        super().__init__(**{"size": 16, "batch_size": 4, **kwargs})
        self.official = official
        self.known = known
        self.more: dict[str, Any] = {}

    def write_embedded(self, folder: Path) -> Path:
        root = write_faces(folder / "fake", {"train": 4, "val": 2, "test": 2})
        (root / MARKER).write_text("{}")
        return root

    def read_index(self, root: Path) -> Index:
        files = sorted(root.glob("*/*.png"), key=lambda f: (PARTS.index(f.parent.name), f.name))
        words = [file.stem.split("_") for file in files]
        codes = [CODES.get(word[1], -1) for word in words]
        return Index(
            **{
                "names": [f"{file.parent.name}/{file.stem}" for file in files],
                "files": files,
                "expressions": np.array(codes, np.int8),
                "splits": [file.parent.name for file in files] if self.official else None,
                "subjects": [word[0] for word in words] if self.known else None,
                **self.more,
            }
        )


def make(tree: Path, cache: Path, **kwargs: Any) -> FakeFaces:
    return FakeFaces(root=str(tree), cache_dir=str(cache), **kwargs)


def ready(data: FakeFaces, stage: str | None = "fit") -> FakeFaces:
    data.prepare_data()
    data.setup(stage)
    return data

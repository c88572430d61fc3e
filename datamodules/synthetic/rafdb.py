"""Writes drawn faces in the official layout of RAF-DB, with lists of the hard ones."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np

from datamodules.errors import UserError
from datamodules.labels import RAFDB_CODES, Expression
from datamodules.synthetic.occluders import OCCLUDERS
from datamodules.synthetic.stills import STILL_DIFFICULTY, Scene, Still, draw_stills
from datamodules.synthetic.tree import write_tree

_LAYOUT = 3
_CODES = {expression: code for code, expression in RAFDB_CODES.items()}
_EXPRESSIONS = tuple(expression for expression in Expression if expression in _CODES)
_SIZE = 100
_DRAWN = 128
_QUALITY = 95  # of the JPEG files


def write_rafdb(
    root: Path,
    *,
    train: int = 1400,
    test: int = 420,
    occluded: float = 0.25,
    seed: int = 0,
    workers: int | None = None,
) -> None:
    """Draws a data set of faces as they are on the web, once.

    Every person shows the seven expressions once, with turned heads, in any light, some of them
    with sunglasses, a mask, a hand or a box before the face. Nobody is in both parts. Same
    arguments give the same bytes, whatever the number of workers.

    Args:
        root: Where the tree goes: `basic/EmoLabel/list_patition_label.txt`, `basic/Image/aligned`
            with colour JPEG files of 100 x 100 pixels, and `lists/RAF_DB_dir` with the occluded
            and the turned test faces in the format of the public lists.
        train: Number of pictures to train on.
        test: Number of pictures to test.
        occluded: Share of the pictures in which something hides a part of the face.
        seed: Seed of everything.
        workers: Number of threads; None for all cores.

    Raises:
        UserError: A part has no picture, or the share is none.
        DatasetError: The folder cannot be written or holds something else.

    Reference:
        S. Li, W. Deng, J. Du, "Reliable crowdsourcing and deep locality-preserving learning for
        expression recognition in the wild", CVPR 2017; K. Wang et al., "Region attention networks
        for pose and occlusion robust facial expression recognition", TIP 2020, for the lists.
    """
    if train < 1 or test < 1 or not 0 <= occluded <= 1:
        raise UserError(
            "A data set needs 1 picture in train and test at least and a share of occluded ones "
            f"from 0 to 1; got {train}, {test} and {occluded}."
        )
    parameters = {
        "layout": "RAF-DB",
        "train": train,
        "test": test,
        "occluded": occluded,
        "seed": seed,
        "difficulty": asdict(STILL_DIFFICULTY),
    }

    def draw(folder: Path) -> None:
        images = folder / "basic" / "Image" / "aligned"
        images.mkdir(parents=True)
        drawn: dict[str, Still] = {}

        def keep(part: str, number: int, still: Still) -> None:
            name = _name(part, number)
            _write_jpeg(images / f"{name}_aligned.jpg", still)
            drawn[name] = still

        draw_stills(
            {"train": train, "test": test},
            _EXPRESSIONS,
            Scene.aligned(_DRAWN, _SIZE, occluded=occluded),
            keep,
            layout=_LAYOUT,
            seed=seed,
            workers=workers,
            title="drawing RAF-DB faces",
        )
        names = [_name("train", n) for n in range(train)] + [_name("test", n) for n in range(test)]
        _write_labels(folder / "basic" / "EmoLabel", {name: drawn[name] for name in names})
        hard = {name: drawn[name] for name in names[train:]}
        _write_lists(folder / "lists" / "RAF_DB_dir", hard)

    write_tree(Path(root), parameters, draw)


def _name(part: str, number: int) -> str:
    digits = 5 if part == "train" else 4
    return f"{part}_{number + 1:0{digits}d}"


def _write_jpeg(path: Path, still: Still) -> None:
    image = cv2.cvtColor(still.image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    path.write_bytes(np.asarray(data).tobytes())


def _write_labels(folder: Path, drawn: dict[str, Still]) -> None:
    folder.mkdir(parents=True)
    rows = [f"{name}.jpg {_CODES[still.expression]}" for name, still in drawn.items()]
    # The official list has no newline at its end.
    (folder / "list_patition_label.txt").write_text("\n".join(rows))


def _write_lists(folder: Path, drawn: dict[str, Still]) -> None:
    """Write the public lists' formats; their labels count from 0."""
    folder.mkdir(parents=True)
    rows = [
        f"{name}_aligned {_CODES[still.expression] - 1} {OCCLUDERS.index(still.occluder) + 1}"
        for name, still in drawn.items()
        if still.occluder is not None
    ]
    (folder / "rafdb_occlusion_list.txt").write_bytes("\r\n".join(rows).encode())
    for degrees, file in ((30, "val_raf_db_list.txt"), (45, "val_raf_db_list_45.txt")):
        rows = [
            f"{_CODES[still.expression] - 1}/{name}_aligned.jpg\n"
            for name, still in drawn.items()
            if abs(still.yaw) > degrees
        ]
        (folder / file).write_text("".join(rows))

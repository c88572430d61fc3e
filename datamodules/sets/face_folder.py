"""A plain folder of faces, mostly without labels, to learn features from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import DatasetError
from datamodules.files import IMAGE_SUFFIXES, Problems, is_image, walk
from datamodules.index import Index
from datamodules.index.generated import expressions_of, is_generated, read_generated
from datamodules.stills.module import FaceDataModule


class FaceFolderDataModule(FaceDataModule):
    """All pictures below a folder, for training without labels.

    A folder of `lightning generate` has labels; its faces train, and nothing is validated or tested
    on them.

    Args:
        **kwargs: See `FaceDataModule`; `crop: detect` cuts faces out of larger pictures.

    Attributes:
        labelled: Always false: there is nothing to classify.
    """

    name = "face-folder"
    tree = """
any/folder/any name.jpg ...
"""
    origin = "wherever you have faces that you may use"
    labelled = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(unlabelled=True, **kwargs)

    def strata(self, index: Index) -> NDArray[np.int64]:
        """Put no picture into a part: what has a label was generated."""
        return np.full(len(index), -1, np.int64)

    def read_index(self, root: Path) -> Index:
        """Find all pictures at any depth.

        Returns:
            One row a picture, in the order of its path; all train.

        Raises:
            DatasetError: If the folder does not exist or holds no picture.
        """
        if not root.is_dir():
            raise DatasetError(f"The folder of faces {root} does not exist; give it as data.root.")
        problems: Problems = []
        files = sorted(
            folder / name
            for folder, _, names in walk(root, problems=problems)
            for name in names
            if is_image(folder / name)
        )
        expressions = np.full(len(files), -1, np.int8)
        if is_generated(root):
            faces = read_generated(root)
            known = dict(
                zip((root / face.file for face in faces), expressions_of(faces), strict=True)
            )
            expressions[:] = [known.get(file, -1) for file in files]
        if not files:
            raise DatasetError(
                f"The folder of faces {root} holds no picture "
                f"({', '.join(sorted(IMAGE_SUFFIXES))}), nor does any folder in it."
            )
        return Index(
            names=[file.relative_to(root).as_posix() for file in files],
            files=files,
            expressions=expressions,
            splits=["train"] * len(files),
            problems=problems,
            notes=[f"{len(files)} pictures, whatever they show"],
        )

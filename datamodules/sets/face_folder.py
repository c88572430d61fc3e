"""A plain folder of faces without labels, to learn features from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from datamodules.errors import DatasetError
from datamodules.files import IMAGE_SUFFIXES, Problems, is_image, walk
from datamodules.index import Index
from datamodules.stills.module import FaceDataModule


class FaceFolderDataModule(FaceDataModule):
    """All pictures below a folder, for training without labels.

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
        if not files:
            raise DatasetError(
                f"The folder of faces {root} holds no picture "
                f"({', '.join(sorted(IMAGE_SUFFIXES))}), nor does any folder in it."
            )
        return Index(
            names=[file.relative_to(root).as_posix() for file in files],
            files=files,
            expressions=np.full(len(files), -1, np.int8),
            splits=["train"] * len(files),
            problems=problems,
            notes=[f"{len(files)} pictures, whatever they show"],
        )

"""RaFD, the Radboud Faces Database: posed faces of 67 models under five cameras and three gazes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.errors import missing_root, some_of
from datamodules.files import Problems, matching_files
from datamodules.index import Index
from datamodules.labels import EXPRESSION_WORDS, RAFD_CODES
from datamodules.sets.counts import compare_counts
from datamodules.stills.module import FaceDataModule

ANGLES = (0, 45, 90, 135, 180)
"""Angles of the cameras in degrees; 90 looks at the face from the front."""
GAZES = ("frontal", "left", "right")

# The last word is the gaze; the first number is the camera.
_NAME = re.compile(
    r"Rafd(000|045|090|135|180)_(\d{2})_([A-Za-z]+)_(male|female)_([a-z]+)_(frontal|left|right)"
    r"\.jpe?g",
    re.IGNORECASE,
)
_MODELS = 67


class RaFDDataModule(FaceDataModule):
    """RaFD: 67 models, 8 expressions, 3 gazes and 5 cameras, 8,040 pictures in one folder.

    Subjects are the models, whose numbers have gaps. The data set has no split of its own.

    Args:
        angles: Cameras to take: 0, 45, 90 (from the front), 135, 180.
        gazes: Gazes to take: frontal, left, right.
        strict_counts: Whether another number of pictures than published is an error.
        **kwargs: See `FaceDataModule`.

    Raises:
        UserError: If a camera or a gaze does not exist.

    Reference:
        Langner et al., Presentation and validation of the Radboud Faces Database, Cognition and
        Emotion 2010. The DCGAN paper takes as frontal what the default takes (1,608 pictures), as
        multi-view all cameras with the gaze frontal (2,680).
    """

    name = "RaFD"
    tree = """
Rafd090_01_Caucasian_female_angry_frontal.jpg ...
"""
    origin = "rafd.nl, for scientific use, with an account of an accredited university"

    def __init__(
        self,
        angles: Sequence[int] = (90,),
        gazes: Sequence[str] = GAZES,
        strict_counts: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._angles = some_of("angles", angles, ANGLES)
        self._gazes = some_of("gazes", gazes, GAZES)
        self._strict = strict_counts

    def groups(self, sample_ids: Sequence[int]) -> dict[str, list[str]]:
        """Return the sex and the group (such as Caucasian) of the models, as in the names."""
        fields = [self.row_name(number).lower().split("_") for number in sample_ids]
        return {"sex": [field[3] for field in fields], "group": [field[2] for field in fields]}

    def read_index(self, root: Path) -> Index:
        """Find the pictures of RaFD.

        Returns:
            One row a picture, in natural order of the names.

        Raises:
            DatasetError: If there is no picture.
        """
        problems: Problems = []
        everything = matching_files(root, _NAME, problems=problems)
        if not everything:
            raise missing_root(RaFDDataModule, root)
        names: list[str] = []
        files: list[Path] = []
        expressions: list[int] = []
        subjects: list[str] = []
        for path, fields in everything:
            angle, model, _, _, word, gaze = fields.groups()
            if int(angle) not in self._angles or gaze.lower() not in self._gazes:
                continue
            expression = EXPRESSION_WORDS.get(word.lower())
            if expression is None:
                problems.append((path, f"its name has {word!r}, which is no expression of RaFD"))
                continue
            names.append(path.stem)
            files.append(path)
            expressions.append(int(expression))
            subjects.append(model)
        counts = Counter(expressions)
        each = _MODELS * len(self._angles) * len(self._gazes)
        return Index(
            names=names,
            files=files,
            expressions=np.array(expressions, np.int8),
            subjects=subjects,
            problems=problems,
            left_out=[path for path, _ in everything],
            notes=[
                f"{len(everything)} pictures of RaFD, of which the cameras "
                f"{_listed(self._angles)} and the gazes {_listed(self._gazes)} are taken",
                f"{len(set(subjects))} models (of {_MODELS})",
                compare_counts(
                    "RaFD",
                    root,
                    {word: counts[expression] for word, expression in RAFD_CODES.items()},
                    dict.fromkeys(RAFD_CODES, each),
                    strict=self._strict,
                ),
            ],
        )


def _listed(items: Sequence[Any]) -> str:
    return ", ".join(map(str, items))

"""JAFFE, posed expressions of ten Japanese women."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.errors import missing_root
from datamodules.files import Problems, matching_files
from datamodules.index import Index
from datamodules.labels import JAFFE_CODES
from datamodules.sets.counts import compare_counts
from datamodules.stills.module import FaceDataModule

# The fields are parted by dots: NA and SU are people as well as expressions.
_NAME = re.compile(
    r"(?P<subject>[A-Z]{2})\.(?P<code>AN|DI|FE|HA|NE|SA|SU)\d\.\d+\.tiff?", re.IGNORECASE
)
_PUBLISHED = {"NE": 30, "HA": 31, "SU": 30, "SA": 31, "AN": 30, "DI": 29, "FE": 32}


class JAFFEDataModule(FaceDataModule):
    """JAFFE: 213 grey pictures of 256 x 256 pixels, 10 people, in folds that share nobody.

    Args:
        strict_counts: Whether other counts than the published ones are an error.
        **kwargs: See `FaceDataModule`.

    Reference:
        Lyons et al., Coding facial expressions with Gabor wavelets, FG 1998.

    Deviation:
        Labels are what the people were asked to pose; the ratings of observers are not used.
    """

    name = "JAFFE"
    tree = """
jaffe/KA.AN1.39.tiff ...
"""
    origin = "zenodo.org/records/14974867, on request, for non-commercial research"

    def __init__(self, strict_counts: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._strict_counts = strict_counts

    def read_index(self, root: Path) -> Index:
        """Find the pictures of JAFFE.

        Returns:
            The pictures in the order of their names, each with its person.

        Raises:
            DatasetError: If the data set is not there.
        """
        problems: Problems = []
        found = matching_files(root, _NAME, problems=problems)
        if not found:
            raise missing_root(JAFFEDataModule, root)
        codes = [match["code"].upper() for _, match in found]
        counts = Counter(codes)
        note = compare_counts("JAFFE", root, counts, _PUBLISHED, strict=self._strict_counts)
        return Index(
            names=[path.name for path, _ in found],
            files=[path for path, _ in found],
            expressions=np.array([JAFFE_CODES[code] for code in codes], np.int8),
            subjects=[match["subject"].upper() for _, match in found],
            problems=problems,
            notes=[note],
        )

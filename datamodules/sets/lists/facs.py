"""Action units of a face as FACS coders write them down."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import BadSample


def read_facs(path: Path) -> dict[int, float]:
    """Read the units of a face, `   1.2000000e+01   3.0000000e+00`: a unit and its intensity.

    Args:
        path: The file, `*_facs.txt` of CK+.

    Returns:
        Intensity of each unit that is present: 1 (a trace) to 5, or 0 where it is not given.

    Raises:
        BadSample: If the file cannot be read or has other lines.

    Reference:
        Lucey et al., The extended Cohn-Kanade dataset (CK+), CVPR workshops 2010, 2.2.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSample(path, "the file cannot be read") from error
    units: dict[int, float] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        cells = line.split()
        if not cells:
            continue
        try:
            unit, intensity = (float(cell) for cell in cells)
        except ValueError as error:
            raise BadSample(path, f"line {number} is not a unit and an intensity") from error
        units[int(unit)] = intensity
    return units


def present(units: Collection[int], order: Sequence[int]) -> NDArray[np.int8]:
    """Turn units into a row of zeros and ones.

    Args:
        units: Units that are present; an intensity of 0 means "present", too.
        order: The units that the columns stand for.

    Returns:
        int8 [A].
    """
    return np.array([unit in units for unit in order], np.int8)

"""How PCNN cuts a face, and how it puts the features of the parts together again."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

Cropping = Literal["none", "two_random", "three", "four", "five"]


class Row(NamedTuple):
    """A band of the face over its full width, cut into equal columns.

    Attributes:
        bottom: Where it ends, in twentieths of the face's height.
        names: Names of its columns, from left to right in the picture.
    """

    bottom: int
    names: tuple[str, ...]


CROPPINGS: dict[Cropping, tuple[Row, ...]] = {
    "none": (Row(20, ("face",)),),
    "two_random": (Row(10, ("upper",)), Row(20, ("lower",))),
    "three": (Row(10, ("eyes",)), Row(13, ("cheeks",)), Row(20, ("mouth",))),
    "four": (Row(10, ("upper_left", "upper_right")), Row(20, ("lower_left", "lower_right"))),
    "five": (
        Row(10, ("left_eye", "right_eye")),
        Row(13, ("left_cheek", "right_cheek")),
        Row(20, ("mouth",)),
    ),
}


def region_names(cropping: Cropping) -> tuple[str, ...]:
    """Name the regions of a cropping, row by row from the top.

    Args:
        cropping: The cropping.

    Returns:
        The names.
    """
    return tuple(name for row in CROPPINGS[cropping] for name in row.names)


def crop(image: Tensor, cropping: Cropping, *, random: bool = False) -> list[list[Tensor]]:
    """Cut faces into regions at their native size.

    Args:
        image: [B, C, H, W].
        cropping: The cropping.
        random: Whether ``two_random`` cuts at a height drawn from torch's generator, between a
            quarter and three quarters of the face, and not in the middle.

    Returns:
        Rows of views [B, C, h, w], in the order of :func:`region_names`.

    Reference:
        PCNN, III.B, Figure 3: heights 10:3:7, widths 1:1; the other croppings are those of
        Table I.

    Deviation:
        "Two random" is said to be a random crop into two parts, no more. Here a batch is cut at
        one height, so that a network sees parts of one size; a test cuts in the middle, because
        it must not depend on chance.
    """
    height, width = image.shape[-2:]
    rows, top = [], 0
    for row in CROPPINGS[cropping]:
        twentieths = row.bottom
        if random and cropping == "two_random" and row.bottom < 20:
            twentieths = int(torch.randint(5, 16, ()))
        bottom, columns = height * twentieths // 20, len(row.names)
        cuts = [width * column // columns for column in range(columns + 1)]
        rows.append([image[..., top:bottom, left:right] for left, right in pairwise(cuts)])
        top = bottom
    return rows


def stitch(rows: list[list[Tensor]], size: tuple[int, int]) -> Tensor:
    """Put features of regions side by side, bilinearly resized where they do not fit.

    Args:
        rows: Features [B, C, h, w] as :func:`crop` orders the regions.
        size: Height and width that come out.

    Returns:
        [B, C, *size].

    Reference:
        PCNN, III.B, equation (3); the order of the two resizings is that of its code.
    """
    bands = [torch.cat(row, dim=3) for row in rows]
    bands = [_resize(band, (band.shape[2], size[1])) for band in bands]
    return _resize(torch.cat(bands, dim=2), size)


def _resize(features: Tensor, size: tuple[int, int]) -> Tensor:
    if features.shape[2:] == size:
        return features
    return functional.interpolate(features, size, mode="bilinear", align_corners=True)

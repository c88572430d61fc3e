"""The neutral face in the plane: canvas, outline of the head, 68 landmarks, feature anchors.

Coordinates are face units: x to the right of the picture, y down, z towards the camera, origin
between the eyes, 1 = half the width between the cheekbones (about 7 cm).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.synthetic.identity import Identity

Floats = npt.NDArray[np.floating[Any]]
"""float32 wherever it is as large as a picture; curves of a few points may be float64."""

HALF_EXTENT = 2.05
"""The canonical canvas covers [-HALF_EXTENT, HALF_EXTENT] in x and y: the head with its hair."""

_CENTRE_Y = 0.12
_ANGLES = 720


@dataclass(frozen=True)
class Canvas:
    """A square raster over the canonical plane.

    Args:
        pixels: Side of the raster.
    """

    pixels: int

    @property
    def scale(self) -> float:
        """Pixels in a face unit."""
        return self.pixels / (2.0 * HALF_EXTENT)

    @cached_property
    def grid(self) -> tuple[Floats, Floats]:
        """Coordinates x and y of the pixel centres, each [pixels, pixels]."""
        line = (np.arange(self.pixels, dtype=np.float32) + 0.5) / self.scale - HALF_EXTENT
        x, y = np.meshgrid(line, line)
        return x, y

    def to_pixels(self, points: npt.ArrayLike) -> Floats:
        """Face units [..., 2] to pixel coordinates (0 is the centre of the first pixel)."""
        pixels = (np.asarray(points, dtype=np.float32) + HALF_EXTENT) * self.scale - 0.5
        return pixels.astype(np.float32)

    def sample(self, field: Floats, points: npt.ArrayLike) -> Floats:
        """Bilinear values of a field [pixels, pixels(, C)] at points [N, 2] in face units."""
        where = self.to_pixels(points).reshape(1, -1, 2)
        return np.asarray(look_up(field, where)[0])


def soften(field: Floats, sigma: float) -> Floats:
    """Gaussian blur of a raster with a deviation in pixels."""
    return np.asarray(cv2.GaussianBlur(field, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


def split(picture: Floats) -> tuple[Floats, ...]:
    """Planes [h, w] of a picture [h, w, C]; arithmetic on them is faster."""
    return tuple(np.asarray(plane) for plane in cv2.split(picture))


def enlarge(field: Floats, width: int, height: int) -> Floats:
    """Bilinear enlargement of a raster [h, w(, C)] that spans the same area."""
    return np.asarray(cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR))


def look_up(
    source: npt.NDArray[Any], where: Floats, border: int = cv2.BORDER_REPLICATE
) -> npt.NDArray[Any]:
    """Bilinear values of a picture at pixel coordinates.

    Args:
        source: [h, w] or [h, w, C].
        where: float32 coordinates (x, y), [H, W, 2].
        border: What lies outside, one of OpenCV's.

    Returns:
        [H, W] or [H, W, C] of the source's type.
    """
    # OpenCV's stubs do not know that the second map may be missing.
    found = cv2.remap(source, where, None, cv2.INTER_LINEAR, borderMode=border)  # type: ignore[call-overload]
    return np.asarray(found)


@dataclass(frozen=True)
class FaceGeometry:
    """Where the features of a neutral face are.

    Args:
        identity: The person.
    """

    identity: Identity

    @cached_property
    def outline(self) -> Floats:
        """Distance of the outline of skull and jaw from the head's centre, one per angle [720]."""
        who = self.identity
        length, jaw, cheek = who.face_length, who.jaw_width, who.cheek_width
        half = np.array(
            [
                (0.0, length),
                (who.chin_width * 0.62, length - 0.02),
                (who.chin_width * 1.22, length - 0.12),
                (jaw * 0.90, length - 0.38),
                (jaw, length - 0.74),
                (cheek * 0.985, 0.42),
                (cheek * 1.005, 0.05),
                (cheek * 0.995, -0.35),
                (cheek * 0.94, -0.80),
                (cheek * 0.72, -1.22),
                (cheek * 0.38, -1.44),
                (0.0, -1.50),
            ]
        )
        points = np.concatenate([half, (half * (-1, 1))[1:-1]])
        offset = points - (0.0, _CENTRE_Y)
        angle = np.arctan2(offset[:, 1], offset[:, 0])
        order = np.argsort(angle)
        angles = np.linspace(-np.pi, np.pi, _ANGLES, endpoint=False)
        radius = np.interp(
            angles, angle[order], np.hypot(offset[:, 0], offset[:, 1])[order], period=2 * np.pi
        )
        smooth = soften(np.tile(radius, 3)[None], 9.0)[0]
        return np.asarray(smooth[_ANGLES : 2 * _ANGLES], dtype=np.float32)

    def relative_radius(self, x: npt.ArrayLike, y: npt.ArrayLike) -> Floats:
        """0 at the centre of the head, 1 on its outline, of any points."""
        dx = np.asarray(x, dtype=np.float32)
        dy = np.asarray(y, dtype=np.float32) - np.float32(_CENTRE_Y)
        index = (np.arctan2(dy, dx) + np.pi) / (2 * np.pi) * _ANGLES
        radius = np.interp(index, np.arange(_ANGLES), self.outline, period=_ANGLES)
        return np.asarray(np.hypot(dx, dy) / radius, dtype=np.float32)

    def contour(self, angles: npt.ArrayLike) -> Floats:
        """Points [N, 2] on the outline at angles in radians (0 right, pi/2 the chin)."""
        angles = np.asarray(angles, dtype=np.float64)
        index = (angles + np.pi) / (2 * np.pi) * _ANGLES
        radius = np.interp(index, np.arange(_ANGLES), self.outline, period=_ANGLES)
        points = np.stack([radius * np.cos(angles), radius * np.sin(angles) + _CENTRE_Y], -1)
        return points.astype(np.float32)

    @cached_property
    def anchors(self) -> dict[str, tuple[float, float]]:
        """Named points of the right half of the picture (x >= 0) that muscles pull at."""
        who = self.identity
        brow_y = -who.brow_height
        mouth = who.mouth_height
        return {
            "brow_inner": (0.17, brow_y + 0.03),
            "brow_middle": (0.47, brow_y - 0.6 * who.brow_arch),
            "brow_outer": (0.76, brow_y + 0.01),
            "glabella": (0.0, brow_y + 0.05),
            "eye": (who.eye_spacing, 0.0),
            "eye_outer": (who.eye_spacing + who.eye_width, 0.0),
            "cheek": (0.55, 0.42),
            "nose_wing": (who.nose_width, who.nose_length - 0.06),
            "nose_root": (0.10, 0.0),
            "upper_lip": (0.17, mouth - who.upper_lip),
            "mouth_corner": (who.mouth_width, mouth + 0.01),
            "lower_lip": (0.16, mouth + who.lower_lip),
            "chin": (0.0, who.face_length - 0.24),
        }

    @cached_property
    def landmarks(self) -> Floats:
        """The 68 landmarks of the neutral face in the order of 300-W, [68, 2] face units.

        Those of eyes and lips are placeholders: `eyes.eye_landmarks` and `mouth.mouth_landmarks`
        give them, as they depend on the action units.
        """
        who = self.identity
        points = np.zeros((68, 2), dtype=np.float32)
        points[:17] = self.contour(np.linspace(np.pi + 0.06, -0.06, 17))
        right_brow = self.brow_line(np.linspace(0.0, 1.0, 5))
        points[22:27] = right_brow
        points[17:22] = right_brow[::-1] * (-1, 1)
        points[27:31, 1] = np.linspace(0.0, who.nose_length - 0.13, 4)
        points[31:36, 0] = np.linspace(-0.72, 0.72, 5) * who.nose_width
        points[31:36, 1] = who.nose_length + np.array([0.0, 0.025, 0.045, 0.025, 0.0])
        return points

    def brow_line(self, along: npt.ArrayLike) -> Floats:
        """Middle line of the right brow at `along` in [0, 1] from inner to outer end, [N, 2]."""
        who = self.identity
        t = np.asarray(along, dtype=np.float64)
        x = 0.15 + 0.65 * t
        # The arch is highest two thirds of the way out.
        arch = who.brow_arch * (1 - ((t - 0.62) / 0.62) ** 2)
        y = -who.brow_height + 0.035 - arch + 0.06 * np.clip(t - 0.75, 0, None) / 0.25
        return np.stack([x, y], -1).astype(np.float32)

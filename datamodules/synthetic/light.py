"""Light on skin: one key light, one fill light, the light of the room, a little shine."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from datamodules.synthetic.geometry import Floats

_TINTS = {3: (0.22, 0.02, -0.05), 1: (0.072,)}  # red, green, blue; their luma


@dataclass(frozen=True)
class Light:
    """Light of a scene.

    Args:
        azimuth: Degrees of the key light, negative from the left of the picture.
        elevation: Degrees of the key light above the camera.
        contrast: Share of the key light, 0 (flat) to 1.
        gain: Exposure; the camera's drift changes it from frame to frame.
    """

    azimuth: float = -28.0
    elevation: float = 34.0
    contrast: float = 0.62
    gain: float = 1.0

    @property
    def direction(self) -> Floats:
        """Unit vector to the key light (x right, y down, z to the camera)."""
        azimuth, elevation = np.deg2rad((self.azimuth, self.elevation))
        across = np.cos(elevation)
        return np.array(
            (np.sin(azimuth) * across, -np.sin(elevation), np.cos(azimuth) * across),
            dtype=np.float32,
        )


@dataclass(frozen=True)
class Normals:
    """Unit normals of a relief, three arrays [n, n]."""

    x: Floats
    y: Floats
    z: Floats


def normals(relief: Floats, scale: float) -> Normals:
    """Normals of a height field.

    Args:
        relief: [n, n] heights in face units.
        scale: Pixels in a face unit.
    """
    # Scharr's kernel weighs its smoothing rows 3, 10, 3 and spans two pixels.
    factor = scale / 32.0
    gx = cv2.Scharr(relief, cv2.CV_32F, 1, 0, scale=factor)
    gy = cv2.Scharr(relief, cv2.CV_32F, 0, 1, scale=factor)
    nz = 1.0 / np.sqrt(1.0 + gx * gx + gy * gy)
    return Normals(-gx * nz, -gy * nz, nz)


def shade(
    albedo: Floats, facing: Normals, gloss: Floats, light: Light, rotation: Floats
) -> list[Floats]:
    """Light on a picture.

    Args:
        albedo: [3, n, n] red, green, blue or [1, n, n] grey, in [0, 1].
        facing: Normals of the unturned head.
        gloss: [n, n] how much a place shines.
        light: The light, fixed in the room.
        rotation: [3, 3] of the head; the light moves over a turning face.

    Returns:
        The planes lit, not clipped at 1.
    """
    key = rotation.T @ light.direction
    half = light.direction + np.array((0, 0, 1), dtype=np.float32)
    half = rotation.T @ (half / np.linalg.norm(half))
    fill = rotation.T @ np.array((0.55, 0.25, 0.80), dtype=np.float32)

    def lit(direction: Floats) -> Floats:
        value = facing.x * direction[0]
        value += facing.y * direction[1]
        value += facing.z * direction[2]
        return np.asarray(np.maximum(value, 0.0, out=value))

    amount = lit(key)
    amount *= np.float32(light.contrast * 1.06 * light.gain)
    room = lit(fill)
    room *= np.float32((1 - light.contrast) * 0.62 * light.gain)
    amount += room
    amount += np.float32((0.23 + 0.27 * (1 - light.contrast)) * light.gain)
    shine = lit(half)
    for _ in range(4):
        shine *= shine
    shine *= gloss
    shine *= np.float32(0.16 * light.gain)
    # Light that passes through skin comes back red: half shadows keep more red than blue.
    bleeding = np.clip(1.0 - amount, 0.0, 1.0) * amount
    planes = []
    for plane, tint in zip(albedo, _TINTS[len(albedo)], strict=True):
        out = bleeding * np.float32(tint)
        out += amount
        out *= plane
        out += shine
        planes.append(out)
    return planes

"""The head in space: rotation, translation, perspective, and the picture of a turned head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datamodules.synthetic.geometry import Canvas, Floats, look_up

POSES = ("static", "tx", "yaw", "pitch", "roll", "diagonal")
"""Head movements of SNaP-2DFe."""

_CAMERA = 10.0  # distance of the camera in face units, about 70 cm
_PIVOT = np.array((0.0, 0.85, -0.25), dtype=np.float32)  # top of the neck
_CHEEK_DEPTH = 0.7
_ITERATIONS = 5
_FLATTEST = 0.3  # least share of its area at which skin is seen
# A head that is turned far has a cheek that is seen at its edge: there Newton's steps overshoot,
# so they are shorter and more.
_FAR = 35.0  # degrees
_FAR_ITERATIONS = 12
_FAR_FLATTEST = 1.0


@dataclass(frozen=True)
class HeadPose:
    """Rotation about the top of the neck, then translation.

    Args:
        yaw: Degrees, positive turns the nose to the right of the picture.
        pitch: Degrees, positive nods: the nose goes down.
        roll: Degrees, positive tilts clockwise in the picture.
        tx: Translation to the right in face units (1 is half the width of the face).
        ty: Translation down in face units.
        scale: Size of the head in the picture; 1 at the usual distance.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    tx: float = 0.0
    ty: float = 0.0
    scale: float = 1.0

    @property
    def rotation(self) -> Floats:
        """Rotation matrix [3, 3] of points (x right, y down, z to the camera)."""
        yaw, pitch, roll = np.deg2rad((self.yaw, self.pitch, self.roll))
        cy, sy, cp, sp, cr, sr = (
            f(angle) for angle in (yaw, pitch, roll) for f in (np.cos, np.sin)
        )
        turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        nod = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
        tilt = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        return np.asarray(tilt @ turn @ nod, dtype=np.float32)

    def blend(self, other: HeadPose, share: float) -> HeadPose:
        """The pose that lies `share` of the way from this one to the other."""
        return HeadPose(
            *(
                (1 - share) * getattr(self, name) + share * getattr(other, name)
                for name in ("yaw", "pitch", "roll", "tx", "ty", "scale")
            )
        )

    def project(self, points: Floats, rotation: Floats | None = None) -> Floats:
        """Where points of the head are seen.

        Args:
            points: [..., 3] in face units on the unturned head.
            rotation: `rotation`, where the caller has it already.

        Returns:
            [..., 2] in face units of the picture plane.
        """
        turned = (points - _PIVOT) @ (self.rotation if rotation is None else rotation).T + _PIVOT
        # Perspective, normalised so that the depth of the cheeks keeps its size.
        size = self.scale * (_CAMERA - _CHEEK_DEPTH) / (_CAMERA - turned[..., 2:])
        seen = turned[..., :2] * size + np.array((self.tx, self.ty), dtype=np.float32)
        return np.asarray(seen, dtype=np.float32)


def turned_lookup(pose: HeadPose, depth: Floats, canvas: Canvas, grid: Floats) -> Floats:
    """Which point of the unturned head is seen at each place of the picture.

    Solves project(q, depth(q)) = p for q by Newton's method. Where the head turns its back, no
    solution exists; the slopes are bounded so that q stays near the outline there.

    Args:
        pose: The head's pose.
        depth: [n, n, 3], depth of the head in face units and its slopes (`relief.head_depth`).
        canvas: Raster of `depth`.
        grid: Places p, [h, w, 2] in face units of the picture plane.

    Returns:
        Places q, [h, w, 2] in face units on the unturned head.
    """
    rotation = pose.rotation
    flat, tilt = rotation[:2, :2], rotation[:2, 2]
    shift = pose.project(np.array([0.0, 0.0, _CHEEK_DEPTH], dtype=np.float32))
    q = (grid - shift) @ np.linalg.inv(flat * pose.scale).T.astype(np.float32)
    point = np.empty((*grid.shape[:2], 3), dtype=np.float32)
    far = max(abs(pose.yaw), abs(pose.pitch)) > _FAR
    flattest = np.float32(_FAR_FLATTEST if far else _FLATTEST)
    for _ in range(_FAR_ITERATIONS if far else _ITERATIONS):
        point[..., :2] = q
        found = look_up(depth, canvas.to_pixels(q))
        point[..., 2] = found[..., 0]
        miss = (grid - pose.project(point, rotation)) / np.float32(pose.scale)
        # Jacobian: the turned plane, and what the slopes of the depth add to it.
        across, down = found[..., 1], found[..., 2]
        xx, xy = flat[0, 0] + tilt[0] * across, flat[0, 1] + tilt[0] * down
        yx, yy = flat[1, 0] + tilt[1] * across, flat[1, 1] + tilt[1] * down
        determinant = np.maximum(xx * yy - xy * yx, flattest)
        q = q.copy()
        q[..., 0] += (yy * miss[..., 0] - xy * miss[..., 1]) / determinant
        q[..., 1] += (xx * miss[..., 1] - yx * miss[..., 0]) / determinant
    return np.asarray(q, dtype=np.float32)

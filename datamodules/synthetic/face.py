"""Draws a face: identity, action units, head pose and light to a picture with 68 landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from datamodules.synthetic.action_units import (
    ActionUnits,
    MotionBasis,
    intensities,
    invert,
    jaw_drop,
    jaw_field,
    on_eyes,
)
from datamodules.synthetic.eyes import eye_landmarks, paint_eye, paint_glasses
from datamodules.synthetic.geometry import Canvas, FaceGeometry, Floats, enlarge, look_up, split
from datamodules.synthetic.hair import hair_mask, paint_hair
from datamodules.synthetic.head_pose import HeadPose, turned_lookup
from datamodules.synthetic.identity import Identity
from datamodules.synthetic.light import Light, Normals, normals, shade
from datamodules.synthetic.mouth import Mouth, mouth_landmarks
from datamodules.synthetic.painting import Bytes
from datamodules.synthetic.relief import expression_relief, face_relief, head_depth
from datamodules.synthetic.scene import Frame, follow_head, paint_background, paint_torso
from datamodules.synthetic.skin import paint_ears, paint_skin

_COARSE = Canvas(84)
_OVERSAMPLING = 1.5


@dataclass(frozen=True)
class MovedFace:
    """A face with an expression, not yet turned or lit; several cameras share it.

    Args:
        albedo: [3, n, n] red, green and blue in [0, 1].
        opacity: [n, n].
        facing: Normals of the skin.
        landmarks: [68, 3] face units.
    """

    albedo: Floats
    opacity: Floats
    facing: Normals
    landmarks: Floats


@dataclass(frozen=True)
class Rendering:
    """A picture.

    Args:
        image: uint8 RGB [h, w, 3], or grey [h, w].
        landmarks: [68, 2] pixels (x, y) in the order of 300-W.
    """

    image: Bytes
    landmarks: Floats


class FaceModel:
    """One person in front of one background, prepared for drawing many pictures.

    Args:
        identity: The person.
        frame: The pictures' size and where the head is.
        background: Seed of the background.
    """

    def __init__(self, identity: Identity, frame: Frame, background: int = 0) -> None:
        self.identity = identity
        self.frame = frame
        geometry = FaceGeometry(identity)
        canvas = Canvas(2 * round(_OVERSAMPLING * frame.unit * 2.05))
        self._canvas = canvas
        self._geometry = geometry
        self._mouth = Mouth(geometry)
        self._skin_motion = MotionBasis(geometry, *_COARSE.grid)
        self._jaw = jaw_field(geometry, *_COARSE.grid)
        self._depth = head_depth(geometry, _COARSE)

        relief = face_relief(geometry, canvas)
        skin = paint_skin(geometry, canvas, relief)
        edge = np.clip((1.0 - geometry.relative_radius(*canvas.grid)) * canvas.scale + 0.5, 0, 1)
        ears = paint_ears(layer := skin.copy(), geometry, canvas)
        behind = ears > edge
        skin = np.where(behind, layer, skin)
        relief = np.where(behind, 0.4, relief).astype(np.float32)
        hair = hair_mask(geometry, canvas)
        self._folds = expression_relief(geometry, canvas, 1 - hair)
        paint_hair(skin, relief, geometry, canvas, hair)
        self._relief = relief
        opacity = np.maximum(np.maximum(edge, ears), hair)
        self._skin = cv2.merge([*skin, opacity.astype(np.float32)])
        matt = np.maximum(hair, on_eyes(geometry, *canvas.grid))
        self._gloss = ((1 - matt) * edge).astype(np.float32)
        wall, torso = paint_background(background, frame), paint_torso(identity, frame)
        red, green, blue, opaque = split(torso)
        grey_torso = np.stack([_luma(red, green, blue), opaque], -1)
        self._scenery = {
            True: (wall, torso),
            False: (_luma(*split(wall))[..., None], grey_torso),
        }

    def express(self, action_units: ActionUnits) -> MovedFace:
        """Moves the face.

        Args:
            action_units: Intensities; see `action_units.ActionUnits`.

        Returns:
            The expression, ready for `picture`.

        Raises:
            ValueError: An unknown unit or an intensity outside [0, 1].
        """
        canvas, who = self._canvas, self.identity
        values = intensities(action_units)
        motion = self._skin_motion(values)
        motion[..., 1] += jaw_drop(values) * self._jaw
        source = np.stack(_COARSE.grid, -1) - invert(motion, _COARSE)
        where = enlarge(canvas.to_pixels(source), canvas.pixels, canvas.pixels)
        *rgb, opacity = split(look_up(self._skin, where))
        relief = look_up(self._folds.add_to(self._relief, values), where)
        albedo = np.stack(rgb)
        shape = self._mouth.shape(values)
        self._mouth.paint(albedo, relief, canvas, shape)
        for side in (0, 1):
            paint_eye(albedo, canvas, who, values, side)
        if who.glasses != "none":
            paint_glasses(albedo, canvas, self._geometry)

        flat = self._geometry.landmarks.copy()
        flat += _COARSE.sample(motion, flat)
        flat[36:48] = eye_landmarks(who, values)
        flat[48:68] = mouth_landmarks(shape)
        depth = _COARSE.sample(self._depth, flat)[:, :1]
        landmarks = np.concatenate([flat, depth], -1)
        return MovedFace(albedo, opacity, normals(relief, canvas.scale), landmarks)

    def picture(
        self,
        expression: MovedFace,
        pose: HeadPose,
        light: Light,
        rng: np.random.Generator | None = None,
        noise: float = 0.0,
        colour: bool = True,
    ) -> Rendering:
        """Turns, lights and photographs an expression.

        Args:
            expression: From `express`.
            pose: The head's pose.
            light: The scene's light.
            rng: Source of the sensor's noise; None for a clean picture.
            noise: Deviation of the noise in grey levels.
            colour: False for a monochrome camera.

        Returns:
            The picture and its landmarks.
        """
        frame, canvas = self.frame, self._canvas
        albedo = expression.albedo if colour else _luma(*expression.albedo)[None]
        rotation = pose.rotation
        planes = shade(albedo, expression.facing, self._gloss, light, rotation)
        opacity = expression.opacity
        layers = [cv2.multiply(plane, opacity, scale=255, dtype=cv2.CV_8U) for plane in planes]
        layers.append(cv2.convertScaleAbs(opacity, alpha=255))
        # The lookup is smooth: solve it at every fifth pixel. The head is sampled finer than the
        # picture and averaged, which is the picture's antialiasing.
        coarse = turned_lookup(pose, self._depth, _COARSE, frame.grid(5.0))
        fine = (round(frame.width * _OVERSAMPLING), round(frame.height * _OVERSAMPLING))
        where = enlarge(canvas.to_pixels(coarse), *fine)
        seen = look_up(cv2.merge(layers), where, cv2.BORDER_CONSTANT)
        seen = cv2.resize(seen, (frame.width, frame.height), interpolation=cv2.INTER_AREA)
        image = self._stage(pose, colour, light.gain)
        image *= 255.0 - seen[..., -1:]
        image += seen[..., :-1]
        if rng is not None and noise > 0:
            image += rng.standard_normal(image.shape, dtype=np.float32) * np.float32(noise)
        pixels = np.asarray(cv2.convertScaleAbs(np.maximum(image, 0, out=image)), dtype=np.uint8)
        seen_landmarks = frame.to_pixels(pose.project(expression.landmarks, rotation))
        return Rendering(pixels, seen_landmarks)

    def _stage(self, pose: HeadPose, colour: bool, gain: float) -> Floats:
        """Background with neck and shoulders, [h, w, 1 or 3] in [0, 1]."""
        neck = np.array([0.0, self.identity.face_length - 0.2, 0.3], dtype=np.float32)
        shift = pose.project(neck) - HeadPose().project(neck)
        background, torso = self._scenery[colour]
        torso = follow_head(torso, self.frame, self.identity, shift)
        stage = background * (1 - torso[..., -1:])
        stage += torso[..., :-1]
        stage *= np.float32(gain)
        return stage


def _luma(red: Floats, green: Floats, blue: Floats) -> Floats:
    grey = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
    return np.asarray(grey)

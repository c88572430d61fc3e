"""Single pictures of drawn people: expression, head pose and light as cameras meet them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from datamodules.labels import Expression
from datamodules.store.threads import for_each
from datamodules.synthetic.difficulty import Difficulty
from datamodules.synthetic.expressions import mix, sample_apex, sample_rest
from datamodules.synthetic.face import FaceModel, MovedFace
from datamodules.synthetic.head_pose import HeadPose
from datamodules.synthetic.light import Light
from datamodules.synthetic.occluders import OCCLUDERS, Occluder, paint_occluder
from datamodules.synthetic.painting import Bytes
from datamodules.synthetic.people import cast
from datamodules.synthetic.scene import Frame

# Degrees of yaw to either side, and how often they are seen in RAF-DB's and FERPlus' test images:
# lists of turned faces hold 40 % (above 30) and 18 % (above 45) of them.
_YAWS = ((0.0, 14.0), (14.0, 30.0), (30.0, 45.0), (45.0, 54.0))
_YAW_SHARES = (0.40, 0.24, 0.20, 0.16)

STILL_DIFFICULTY = Difficulty(weakest=0.7)
"""A weak expression has to be seen without the neutral face before it."""


@dataclass(frozen=True)
class Still:
    """A picture.

    Args:
        image: uint8 RGB [n, n, 3] or grey [n, n].
        expression: What the person shows.
        yaw: Turn of the head in degrees.
        occluder: What hides a part of the face, or None.
    """

    image: Bytes
    expression: Expression
    yaw: float
    occluder: Occluder | None


@dataclass(frozen=True)
class Scene:
    """How the pictures of a set are taken.

    Args:
        frame: Size at which is drawn, and where the head is.
        size: Side of the pictures in pixels; what is drawn is reduced to it.
        colour: False for grey pictures.
        wildness: 1 for heads and light as on the web, 0 for those of a studio.
        occluded: Share of the pictures in which something hides a part of the face.
    """

    frame: Frame
    size: int
    colour: bool = True
    wildness: float = 1.0
    occluded: float = 0.0

    @classmethod
    def aligned(cls, drawn: int, size: int, *, colour: bool = True, occluded: float = 0.0) -> Scene:
        """A close crop from the hair to the chin, as sets of aligned faces have it."""
        frame = Frame(drawn, drawn, unit=0.37 * drawn, centre=(0.5 * drawn, 0.40 * drawn))
        return cls(frame, size, colour, occluded=occluded)


def draw_stills(
    parts: Mapping[str, int],
    expressions: Sequence[Expression],
    scene: Scene,
    keep: Callable[[str, int, Still], None],
    *,
    layout: int,
    seed: int,
    workers: int | None,
    title: str,
) -> None:
    """Draw the pictures of a set; nobody is in two parts, and each expression is as frequent.

    Args:
        parts: Number of pictures of each part, by its name.
        expressions: What is shown; each person shows each of them once.
        scene: How the pictures are taken.
        keep: Called with the part, the number of the picture in it (from 0, in no order of people
            or expressions) and the picture; from several threads.
        layout: Number of the data set's layout, see `people.cast`.
        seed: Seed of everything.
        workers: Number of threads; None for all cores.
        title: What the progress bar says.
    """
    shots: list[list[tuple[str, int, Expression]]] = []  # of each person
    for number, (part, count) in enumerate(parts.items()):
        order = np.random.default_rng([seed, layout, number]).permutation(count)
        for first in range(0, count, len(expressions)):
            taken = order[first : first + len(expressions)].tolist()
            shots.append([(part, n, e) for n, e in zip(taken, expressions, strict=False)])

    def draw(person: int) -> None:
        model, light = cast(layout, seed, person, scene.frame)
        rng = np.random.default_rng([seed, layout, person, 1])
        for part, number, expression in shots[person]:
            keep(part, number, draw_still(model, light, expression, scene, rng))

    for_each(range(len(shots)), draw, title, workers=workers)


def draw_still(
    model: FaceModel,
    light: Light,
    expression: Expression,
    scene: Scene,
    rng: np.random.Generator,
) -> Still:
    """Take one picture of a person.

    Args:
        model: The person, prepared for the scene's frame.
        light: Light of the session; on the web there is none, and each picture has its own.
        expression: What is shown.
        scene: How the picture is taken.
        rng: Source of chance.

    Returns:
        The picture.
    """
    apex = sample_apex(expression, rng, STILL_DIFFICULTY, model.identity.expressiveness)
    face = model.express(mix([(1.0, apex), (1.0, sample_rest(rng, STILL_DIFFICULTY))]))
    pose = _centred(_pose(rng, scene.wildness), face, rng, scene.wildness)
    light = _light(light, rng, scene.wildness)
    picture = model.picture(face, pose, light, rng, STILL_DIFFICULTY.noise, colour=scene.colour)
    image = picture.image
    occluder = None
    if rng.random() < scene.occluded:
        occluder = OCCLUDERS[int(rng.integers(len(OCCLUDERS)))]
        who, unit = model.identity, scene.frame.unit
        paint_occluder(image, picture.landmarks, unit, occluder, who.skin, rng)
    if scene.size != scene.frame.height:
        size = (scene.size, scene.size)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return Still(image, expression, pose.yaw, occluder)


def _pose(rng: np.random.Generator, wildness: float) -> HeadPose:
    low, high = _YAWS[int(rng.choice(len(_YAWS), p=_YAW_SHARES))]
    yaw = float(rng.choice((-1.0, 1.0)) * rng.uniform(low, high))
    pitch, roll = np.clip(rng.standard_normal(2), -2, 2) * (7.0, 5.0)
    return HeadPose(wildness * yaw, wildness * float(pitch), wildness * float(roll))


def _centred(
    pose: HeadPose, face: MovedFace, rng: np.random.Generator, wildness: float
) -> HeadPose:
    """Bring eyes, nose and mouth back to where a frontal face has them, as an alignment does."""
    features = face.landmarks[17:]
    off = pose.project(features).mean(axis=0) - HeadPose().project(features).mean(axis=0)
    jitter = rng.normal(0.0, 0.03, 2) * wildness
    scale = 1.0 + 0.03 * wildness * float(np.clip(rng.standard_normal(), -2, 2))
    tx, ty = (float(value) for value in jitter - off)
    return HeadPose(pose.yaw, pose.pitch, pose.roll, tx, ty, scale)


def _light(light: Light, rng: np.random.Generator, wildness: float) -> Light:
    if wildness < 1.0:
        return light
    return Light(
        azimuth=float(rng.uniform(-60, 60)),
        elevation=float(rng.uniform(5, 55)),
        contrast=float(rng.uniform(0.35, 0.75)),
        gain=float(rng.uniform(0.75, 1.15)),
    )

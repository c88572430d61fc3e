"""The people of a data set, each one checked to be found by a face detector."""

from __future__ import annotations

import numpy as np

from datamodules.errors import UserError
from datamodules.faces import search_faces
from datamodules.synthetic.face import FaceModel
from datamodules.synthetic.head_pose import HeadPose
from datamodules.synthetic.identity import Identity
from datamodules.synthetic.light import Light
from datamodules.synthetic.painting import Bytes
from datamodules.synthetic.scene import Frame

_CANDIDATES = 30


def detected_once(image: Bytes) -> bool:
    """Whether OpenCV's frontal cascade finds one face and nothing else in a grey image."""
    smallest = min(48, round(0.3 * min(image.shape)))
    return len(search_faces(image, smallest, neighbours=3)) == 1


def cast(layout: int, seed: int, subject: int, frame: Frame) -> tuple[FaceModel, Light]:
    """A person in a room, with the light of the session.

    People whom the detector does not find, or in whose room it finds a second face, are sent
    home and another one is drawn.

    Args:
        layout: Number of the data set's layout: no two data sets share people.
        seed: Seed of the data set.
        subject: Number of the person.
        frame: Pictures and where the head is in them.

    Returns:
        The model and the light.

    Raises:
        ValueError: The pictures are so small that nobody is found.
    """
    rng = np.random.default_rng([seed, layout, subject])
    for _ in range(_CANDIDATES):
        identity = Identity.sample(int(rng.integers(2**31)))
        model = FaceModel(identity, frame, background=int(rng.integers(2**31)))
        light = Light(
            azimuth=float(rng.uniform(-38, 38)),
            elevation=float(rng.uniform(18, 45)),
            contrast=float(rng.uniform(0.45, 0.70)),
        )
        picture = model.picture(model.express({}), HeadPose(), light, colour=False)
        if detected_once(picture.image):
            return model, light
    raise UserError(
        f"In pictures of {frame.width} x {frame.height} the face detector finds none of "
        f"{_CANDIDATES} faces; draw them larger (the default is 240 x 240)."
    )

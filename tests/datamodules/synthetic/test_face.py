import cv2
import numpy as np
import pytest

from datamodules.synthetic import FaceModel, Frame, HeadPose, Identity, Light
from datamodules.synthetic.action_units import ACTION_UNITS

JAW, INNER_BROWS, OUTER_BROWS = slice(0, 17), [21, 22], [17, 26]
CORNERS, CHIN = [48, 54], 8
# Frontal light, no noise.
FRONT, LIGHT = HeadPose(), Light()


def landmarks(model: FaceModel, units: dict[int | str, float], pose: HeadPose = FRONT):
    return model.picture(model.express(units), pose, LIGHT).landmarks


def width(points) -> float:
    return float(points[54, 0] - points[48, 0])


def eye_opening(points) -> float:
    return float(points[[41, 40, 47, 46], 1].sum() - points[[37, 38, 43, 44], 1].sum()) / 4


def gap(points) -> float:
    return float(points[66, 1] - points[62, 1])


@pytest.fixture(scope="module")
def neutral(model: FaceModel):
    return landmarks(model, {})


def test_landmarks_are_in_the_order_of_300w(neutral) -> None:
    assert neutral.shape == (68, 2)
    assert (np.diff(neutral[JAW, 0]) > 0).all(), "the jaw runs from left to right"
    assert neutral[JAW, 1].argmax() == CHIN
    assert (np.diff(neutral[17:27, 0]) > 0).all(), "brows"
    assert (np.diff(neutral[27:31, 1]) > 0).all(), "bridge of the nose"
    assert (np.diff(neutral[31:36, 0]) > 0).all(), "base of the nose"
    assert neutral[36, 0] < neutral[39, 0] < neutral[42, 0] < neutral[45, 0], "corners of the eyes"
    assert (neutral[[37, 38, 43, 44], 1] < neutral[[41, 40, 47, 46], 1]).all(), "lids"
    assert (np.diff(neutral[48:55, 0]) > 0).all(), "upper lip"
    assert (np.diff(neutral[54:60, 0]) < 0).all(), "lower lip"
    assert neutral[51, 1] < neutral[62, 1] <= neutral[66, 1] < neutral[57, 1]
    assert neutral[CHIN, 1] > neutral[57, 1]


def test_landmarks_lie_on_what_is_drawn(model: FaceModel, neutral) -> None:
    """Pupils are the darkest, the jaw is where the skin ends."""
    grey = model.picture(model.express({}), FRONT, LIGHT, colour=False).image.astype(float)
    for eye in (slice(36, 42), slice(42, 48)):
        x, y = neutral[eye].mean(0)
        pupil = grey[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2].min()
        assert pupil < 0.5 * grey[round(y) + 12, round(x)], "darker than the cheek below"


def test_smile_raises_and_parts_the_corners(model: FaceModel, neutral) -> None:
    smile = landmarks(model, {12: 1.0})
    assert (smile[CORNERS, 1] < neutral[CORNERS, 1] - 3).all()
    assert width(smile) > width(neutral) + 4
    np.testing.assert_allclose(smile[INNER_BROWS], neutral[INNER_BROWS], atol=0.3)


def test_brow_lowerer_lowers_and_gathers(model: FaceModel, neutral) -> None:
    frown = landmarks(model, {4: 1.0})
    assert (frown[INNER_BROWS, 1] > neutral[INNER_BROWS, 1] + 2).all()
    assert np.ptp(frown[INNER_BROWS, 0]) < np.ptp(neutral[INNER_BROWS, 0]) - 2


@pytest.mark.parametrize(
    ("unit", "moved", "still"), [(1, INNER_BROWS, OUTER_BROWS), (2, OUTER_BROWS, INNER_BROWS)]
)
def test_brow_raisers_raise_their_end(model: FaceModel, neutral, unit, moved, still) -> None:
    rise = (neutral - landmarks(model, {unit: 1.0}))[:, 1]
    assert rise[moved].min() > 3
    assert rise[moved].min() > 3 * np.abs(rise[still]).max()


def test_lids(model: FaceModel, neutral) -> None:
    assert eye_opening(landmarks(model, {5: 1.0})) > 1.2 * eye_opening(neutral)
    assert eye_opening(landmarks(model, {7: 1.0})) < 0.8 * eye_opening(neutral)
    assert abs(eye_opening(landmarks(model, {43: 1.0}))) < 0.05 * eye_opening(neutral)


def test_jaw(model: FaceModel, neutral) -> None:
    parted, dropped, stretched = (landmarks(model, units) for units in ({25: 1}, {26: 1}, {27: 1}))
    assert gap(neutral) == pytest.approx(0, abs=0.1)
    assert 0.5 < gap(parted) < gap(dropped) < gap(stretched)
    assert parted[CHIN, 1] == pytest.approx(neutral[CHIN, 1], abs=0.1)
    assert neutral[CHIN, 1] + 3 < dropped[CHIN, 1] < stretched[CHIN, 1]


def test_mouth(model: FaceModel, neutral) -> None:
    assert (landmarks(model, {15: 1})[CORNERS, 1] > neutral[CORNERS, 1] + 2).all()
    assert width(landmarks(model, {20: 1})) > width(neutral) + 5
    assert width(landmarks(model, {23: 1})) < width(neutral) - 1
    assert landmarks(model, {10: 1})[50, 1] < neutral[50, 1] - 1
    assert landmarks(model, {16: 1})[57, 1] > neutral[57, 1] + 1
    assert landmarks(model, {17: 1})[57, 1] < neutral[57, 1] - 1
    pressed = landmarks(model, {24: 1})
    assert pressed[57, 1] - pressed[51, 1] < 0.8 * (neutral[57, 1] - neutral[51, 1])


def test_contempt_is_on_one_side(model: FaceModel, neutral) -> None:
    motion = landmarks(model, {"L12": 1.0, "L14": 1.0}) - neutral
    assert motion[54, 1] < -3
    assert abs(motion[48, 1]) < 0.5


@pytest.mark.parametrize("unit", sorted(ACTION_UNITS))
def test_each_unit_is_seen(model: FaceModel, unit: int) -> None:
    rest, moved = (
        model.picture(model.express(units), FRONT, LIGHT, colour=False).image.astype(float)
        for units in ({}, {unit: 1.0})
    )
    change = np.abs(moved - rest)
    assert change.max() > 20
    assert change[:20].max() == 0, "the background does not move"


def test_skin_moves_with_the_units(model: FaceModel) -> None:
    """Optical flow sees the forehead rise, not only the brows."""
    rest, raised = (
        model.picture(model.express(units), FRONT, LIGHT, colour=False).image
        for units in ({}, {1: 0.5, 2: 0.5})
    )
    flow = cv2.calcOpticalFlowFarneback(rest, raised, None, 0.5, 3, 15, 3, 7, 1.5, 0)
    x, y = model.frame.to_pixels(np.array([0.3, -0.45])).astype(int)
    assert flow[y - 3 : y + 4, x - 3 : x + 4, 1].mean() < -1


def test_yaw_moves_the_face_and_not_the_room(model: FaceModel, neutral) -> None:
    face = model.express({})
    front = model.picture(face, FRONT, LIGHT)
    turned = model.picture(face, HeadPose(yaw=15), LIGHT)
    motion = turned.landmarks - neutral
    assert motion[30, 0] > 6, "tip of the nose"
    assert motion[30, 0] > 2 * motion[16, 0], "the ear is nearer to the axis"
    np.testing.assert_array_equal(front.image[:, :12], turned.image[:, :12])
    np.testing.assert_array_equal(front.image[:12], turned.image[:12])
    assert np.abs(front.image.astype(int) - turned.image).max() > 60


def test_landmarks_follow_the_picture_under_a_turn(model: FaceModel, neutral) -> None:
    """Dense flow between front and turned picture agrees with the landmarks' motion."""
    face, pose = model.express({}), HeadPose(yaw=6, roll=4)
    one, two = (model.picture(face, p, LIGHT, colour=False).image for p in (FRONT, pose))
    flow = cv2.calcOpticalFlowFarneback(one, two, None, 0.5, 4, 13, 5, 7, 1.5, 0)
    motion = landmarks(model, {}, pose) - neutral
    inner = [*range(28, 36), 36, 39, 42, 45, *range(49, 54)]
    at = np.round(neutral[inner]).astype(int)
    difference = np.linalg.norm(flow[at[:, 1], at[:, 0]] - motion[inner], axis=1)
    assert np.linalg.norm(motion[inner], axis=1).mean() > 4
    assert np.median(difference) < 0.7


def test_still_face_is_static_up_to_noise(model: FaceModel) -> None:
    rng = np.random.default_rng(0)
    face = model.express({})
    one, two = (
        model.picture(face, FRONT, LIGHT, rng, noise=2.0, colour=False).image.astype(float)
        for _ in range(2)
    )
    assert (two - one).std() == pytest.approx(2.0 * np.sqrt(2), rel=0.1)
    clean = model.picture(face, FRONT, LIGHT, colour=False).image
    np.testing.assert_array_equal(clean, model.picture(face, FRONT, LIGHT, colour=False).image)


def test_grey_camera_sees_the_luma(model: FaceModel) -> None:
    face = model.express({12: 1.0})
    colour, grey = (model.picture(face, FRONT, LIGHT, colour=c).image for c in (True, False))
    luma = cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)
    assert np.abs(luma.astype(int) - grey).mean() < 2


def test_skin_is_skin_coloured() -> None:
    for seed in range(3):
        model = FaceModel(Identity.sample(seed), Frame.square(96), background=seed)
        image = model.picture(model.express({}), FRONT, LIGHT).image
        x, y = model.frame.to_pixels(np.array([0.5, 0.5])).astype(int)
        red, green, blue = image[y, x].astype(int)
        assert red > green > blue


def test_a_coloured_picture_is_a_function_of_room_and_noise() -> None:
    def draw(seed: int):
        model = FaceModel(Identity.sample(5), Frame.square(100), background=seed)
        rng, face = np.random.default_rng(seed), model.express({6: 0.8, 12: 1.0})
        return model.picture(face, HeadPose(yaw=8), Light(azimuth=20), rng, noise=2.0)

    one, again, other = draw(1), draw(1), draw(2)
    assert one.image.shape == (100, 100, 3)
    assert one.image.dtype == np.uint8
    assert (one.landmarks > 0).all()
    assert (one.landmarks < 100).all()
    np.testing.assert_array_equal(one.image, again.image)
    assert not np.array_equal(one.image, other.image), "another room, another noise"
    np.testing.assert_array_equal(one.landmarks, other.landmarks)


def test_unknown_unit_is_refused(model: FaceModel) -> None:
    with pytest.raises(ValueError, match="No action unit 3 can be drawn"):
        model.express({3: 1.0})

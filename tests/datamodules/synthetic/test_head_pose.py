import numpy as np
import pytest

from datamodules.synthetic.geometry import Canvas, FaceGeometry, look_up
from datamodules.synthetic.head_pose import HeadPose, turned_lookup
from datamodules.synthetic.identity import Identity
from datamodules.synthetic.relief import head_depth

CANVAS = Canvas(84)
DEPTH = head_depth(FaceGeometry(Identity.sample(3)), CANVAS)
NOSE, CHEEK = np.array([0.0, 0.55, 1.2]), np.array([0.7, 0.4, 0.4])


def test_rotation_is_a_rotation() -> None:
    rotation = HeadPose(yaw=20, pitch=-15, roll=10).rotation
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)
    assert np.linalg.det(rotation) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("pose", "direction"),
    [
        (HeadPose(yaw=10), (1, 0)),
        (HeadPose(pitch=10), (0, 1)),
        (HeadPose(tx=0.1), (1, 0)),
        (HeadPose(ty=0.1), (0, 1)),
    ],
)
def test_nose_goes_where_the_signs_say(pose: HeadPose, direction: tuple[int, int]) -> None:
    motion = pose.project(NOSE) - HeadPose().project(NOSE)
    assert motion @ np.array(direction) > 0.08
    assert abs(motion @ np.array(direction[::-1])) < 0.05


def test_roll_is_clockwise_in_the_picture() -> None:
    crown = np.array([0.0, -1.0, 0.0])
    motion = HeadPose(roll=10).project(crown) - HeadPose().project(crown)
    assert motion[0] > 0.2


def test_near_points_move_more_under_yaw() -> None:
    pose = HeadPose(yaw=12)
    nose, cheek = (pose.project(p)[0] - HeadPose().project(p)[0] for p in (NOSE, CHEEK))
    assert nose > 1.5 * cheek


def test_scale_enlarges_about_the_pivot() -> None:
    apart = [HeadPose(scale=s).project(CHEEK)[0] for s in (1.0, 1.1)]
    assert apart[1] == pytest.approx(1.1 * apart[0])


def test_blend_ends_at_both_poses() -> None:
    start, end = HeadPose(yaw=2, scale=1.01), HeadPose(yaw=-8, roll=4)
    assert start.blend(end, 0.0) == start
    assert start.blend(end, 1.0) == end
    assert start.blend(end, 0.5).yaw == pytest.approx(-3)


@pytest.mark.parametrize(
    "pose", [HeadPose(), HeadPose(yaw=12), HeadPose(pitch=-10, roll=12, tx=0.1, scale=1.02)]
)
def test_lookup_inverts_the_projection(pose: HeadPose) -> None:
    x, y = np.meshgrid(np.linspace(-0.7, 0.7, 15), np.linspace(-0.8, 1.2, 15))
    places = np.stack([x, y], -1).astype(np.float32)
    found = turned_lookup(pose, DEPTH, CANVAS, places)
    depth = look_up(DEPTH, CANVAS.to_pixels(found))[..., :1]
    seen = pose.project(np.concatenate([found, depth], -1))
    np.testing.assert_allclose(seen, places, atol=8e-3)


@pytest.mark.parametrize("yaw", [-54.0, 48.0])
def test_a_head_that_is_turned_far_is_not_torn(yaw: float) -> None:
    x, y = np.meshgrid(np.linspace(-0.9, 0.9, 60), np.linspace(-0.6, 1.0, 40))
    places = np.stack([x, y], -1).astype(np.float32)
    middle = HeadPose(yaw=yaw).project(np.array([0.0, 0.2, 0.7])).astype(np.float32)
    found = turned_lookup(HeadPose(yaw=yaw), DEPTH, CANVAS, places + middle)
    # Neighbours in the picture are neighbours on the head, in the same order.
    assert np.diff(found[..., 0], axis=1).min() > -0.05

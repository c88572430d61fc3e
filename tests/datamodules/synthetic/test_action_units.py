import numpy as np
import pytest

from datamodules.synthetic.action_units import (
    ACTION_UNITS,
    MotionBasis,
    intensities,
    invert,
    jaw_drop,
    jaw_field,
    side_strength,
    strength,
)
from datamodules.synthetic.geometry import Canvas, FaceGeometry, look_up
from datamodules.synthetic.identity import Identity

GEOMETRY = FaceGeometry(Identity.sample(3))
CANVAS = Canvas(84)


def test_units_of_the_prototypes_can_be_drawn() -> None:
    needed = {1, 2, 4, 5, 6, 7, 9, 10, 12, 15, 16, 17, 20, 23, 24, 25, 26, 27}
    assert needed <= set(ACTION_UNITS)


def test_sides_are_those_of_the_person() -> None:
    values = intensities({12: 0.5, "L14": 0.8})
    assert strength(values, 12) == pytest.approx(0.5)
    assert side_strength(values, 14, 0) == 0
    assert side_strength(values, 14, 1) == pytest.approx(0.8), "her left is on our right"


@pytest.mark.parametrize("unit", [3, 99, "X12", "L", "12L"])
def test_unknown_unit_is_named(unit: int | str) -> None:
    with pytest.raises(ValueError, match=f"No action unit {unit!r} can be drawn; there are 1, 2"):
        intensities({unit: 0.5})


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_intensity_outside_its_range_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="expected 0 to 1"):
        intensities({12: value})


def test_a_full_unit_is_mirror_symmetric() -> None:
    for unit in ACTION_UNITS:
        moved = MotionBasis(GEOMETRY, *CANVAS.grid)(intensities({unit: 1.0}))
        np.testing.assert_allclose(moved[:, ::-1] * (-1, 1), moved, atol=2e-3)


def test_one_side_hardly_moves_the_other() -> None:
    moved = MotionBasis(GEOMETRY, *CANVAS.grid)(intensities({"L12": 1.0}))
    length = np.linalg.norm(moved, axis=-1)
    assert length[:, 46:].max() > 20 * length[:, :36].max()


def test_motion_is_linear_in_the_intensities() -> None:
    basis = MotionBasis(GEOMETRY, *CANVAS.grid)
    both = basis(intensities({4: 0.6, 12: 0.4}))
    parts = 0.6 * basis(intensities({4: 1.0})) + 0.4 * basis(intensities({12: 1.0}))
    np.testing.assert_allclose(both, parts, atol=1e-6)


def test_jaw_drops_once_for_stretch_and_drop() -> None:
    assert jaw_drop(intensities({26: 1.0, 27: 1.0})) == jaw_drop(intensities({27: 1.0}))
    assert jaw_drop(intensities({25: 1.0})) == 0


def test_inverse_leads_back() -> None:
    values = intensities({1: 1, 2: 1, 12: 1, 27: 1})
    forward = MotionBasis(GEOMETRY, *CANVAS.grid)(values)
    forward[..., 1] += jaw_drop(values) * jaw_field(GEOMETRY, *CANVAS.grid)
    backward = invert(forward, CANVAS)
    source = np.stack(CANVAS.grid, -1) - backward
    there = look_up(forward, CANVAS.to_pixels(source))
    assert np.abs(backward).max() > 0.2
    np.testing.assert_allclose(source + there, np.stack(CANVAS.grid, -1), atol=6e-3)

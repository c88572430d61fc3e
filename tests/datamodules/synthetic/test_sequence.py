import numpy as np
import pytest

from datamodules.labels import Expression
from datamodules.synthetic.difficulty import Difficulty
from datamodules.synthetic.head_pose import POSES, HeadPose
from datamodules.synthetic.sequence import TakeFrame, sample_take

DIFFICULTY = Difficulty()


def takes(movement: str, count: int = 40) -> list[list[TakeFrame]]:
    rng = np.random.default_rng(0)
    return [sample_take(Expression.FEAR, movement, 4, rng, DIFFICULTY) for _ in range(count)]


def change(take: list[TakeFrame], name: str) -> float:
    return float(getattr(take[-1].free, name) - getattr(take[0].free, name))


def test_runs_from_neutral_to_apex() -> None:
    for take in takes("static"):
        sums = [sum(moment.action_units.values()) for moment in take]
        assert max(take[0].action_units.values()) <= 0.42
        assert max(take[-1].action_units.values()) > max(take[0].action_units.values())
        assert sums[0] < sums[-1]


def test_same_random_state_gives_the_same_take() -> None:
    assert takes("yaw", 3) == takes("yaw", 3)


@pytest.mark.parametrize(
    ("movement", "axes"),
    [
        ("tx", {"tx": 2 * DIFFICULTY.translation}),
        ("yaw", {"yaw": DIFFICULTY.yaw}),
        ("pitch", {"pitch": DIFFICULTY.pitch}),
        ("roll", {"roll": DIFFICULTY.roll}),
        ("diagonal", {"yaw": 0.75 * DIFFICULTY.yaw, "pitch": 0.75 * DIFFICULTY.pitch}),
        ("static", {}),
    ],
)
def test_movement_moves_its_axes_both_ways(movement: str, axes: dict[str, float]) -> None:
    sway = {"yaw": 4, "pitch": 4, "roll": 4, "tx": 0.05}
    sway = {name: value * DIFFICULTY.sway for name, value in sway.items()}
    for name in ("yaw", "pitch", "roll", "tx"):
        changes = np.array([change(take, name) for take in takes(movement)])
        if name in axes:
            assert (np.abs(changes) >= 0.4 * axes[name] - sway[name]).all()
            assert (np.abs(changes) <= axes[name] + sway[name]).all()
            assert changes.min() < 0 < changes.max()
        else:
            assert (np.abs(changes) <= sway[name]).all()


def test_all_movements_of_the_data_set_are_known() -> None:
    for movement in POSES:
        takes(movement, 1)


def test_diagonal_runs_from_upper_left_to_lower_right() -> None:
    sway = 4 * DIFFICULTY.sway
    for take in takes("diagonal"):
        if min(abs(change(take, "yaw")), abs(change(take, "pitch"))) > sway:
            assert change(take, "yaw") * change(take, "pitch") > 0


def test_helmet_sees_no_head_motion() -> None:
    for take in takes("yaw"):
        for moment in take:
            assert abs(moment.helmet.yaw) < 1
            assert abs(moment.helmet.tx) < 0.02


def test_unknown_movement_is_named() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="No head movement 'nod'; expected one of static, tx"):
        sample_take(Expression.FEAR, "nod", 2, rng, DIFFICULTY)


def test_a_still_world_is_possible() -> None:
    still = Difficulty(restlessness=0.0, sway=0.0, helmet=0.0, light_drift=0.0)
    rng = np.random.default_rng(0)
    take = sample_take(Expression.NEUTRAL, "static", 3, rng, still)
    assert all(moment.free == moment.helmet == HeadPose() for moment in take)
    assert all(moment.gains == (1.0, 1.0) for moment in take)
    assert not any(value for moment in take for value in moment.action_units.values())

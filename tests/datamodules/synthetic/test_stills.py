from __future__ import annotations

import numpy as np
import pytest

from datamodules.labels import Expression
from datamodules.synthetic import FaceModel, Frame, HeadPose, Identity, Light
from datamodules.synthetic.ferplus import NO_FACE, RATERS, UNKNOWN, rate
from datamodules.synthetic.occluders import OCCLUDERS, Occluder, paint_occluder
from datamodules.synthetic.stills import (
    Scene,
    Still,
    _centred,
    draw_still,
    draw_stills,
)

PLACES = {"sunglasses": range(36, 48), "mask": range(48, 68)}


@pytest.fixture(scope="module")
def person() -> FaceModel:
    return FaceModel(Identity.sample(5), Scene.aligned(96, 48).frame, background=2)


@pytest.mark.parametrize("kind", OCCLUDERS)
@pytest.mark.parametrize("colour", [True, False])
def test_an_occluder_hides_a_part_of_the_face(
    person: FaceModel, kind: Occluder, colour: bool
) -> None:
    picture = person.picture(person.express({}), HeadPose(yaw=10), Light(), colour=colour)
    bare = picture.image
    hidden = bare.copy()
    rng = np.random.default_rng(1)
    unit = person.frame.unit
    paint_occluder(hidden, picture.landmarks, unit, kind, person.identity.skin, rng)
    changed = np.abs(hidden.astype(int) - bare) > 12
    changed = changed.any(-1) if colour else changed
    assert 0.03 < changed.mean() < 0.5
    x, y = picture.landmarks.round().astype(int).T
    inside = changed[y.clip(0, 95), x.clip(0, 95)]
    assert inside[17:].any()
    if kind in PLACES:
        assert inside[list(PLACES[kind])].mean() > 0.5


def test_a_turned_face_stays_where_an_alignment_puts_it(person: FaceModel) -> None:
    face = person.express({})
    rng = np.random.default_rng(0)
    features = face.landmarks[17:]
    middle = HeadPose().project(features).mean(axis=0)
    turned = HeadPose(yaw=40, pitch=10, roll=5)
    assert np.abs(turned.project(features).mean(axis=0) - middle).max() > 0.2
    pose = _centred(turned, face, rng, wildness=0.0)
    assert (pose.yaw, pose.pitch, pose.roll) == (40, 10, 5)
    np.testing.assert_allclose(pose.project(features).mean(axis=0), middle, atol=1e-4)


def test_pictures_are_small_and_heads_turn(person: FaceModel) -> None:
    scene = Scene(person.frame, 48)
    rng = np.random.default_rng(0)
    stills = [draw_still(person, Light(), Expression.HAPPINESS, scene, rng) for _ in range(12)]
    assert {still.image.shape for still in stills} == {(48, 48, 3)}
    yaws = np.abs([still.yaw for still in stills])
    assert yaws.min() < 30 < yaws.max() < 55
    assert all(still.occluder is None for still in stills)


def test_people_are_in_one_part_and_expressions_are_balanced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[tuple[str, int, Still]] = []
    people: list[int] = []

    def known(layout: int, seed: int, subject: int, frame: Frame) -> tuple[FaceModel, Light]:
        people.append(subject)
        return FaceModel(Identity.sample(subject), frame), Light()

    monkeypatch.setattr("datamodules.synthetic.stills.cast", known)
    draw_stills(
        {"train": 5, "test": 4},
        (Expression.NEUTRAL, Expression.FEAR),
        Scene.aligned(48, 24, occluded=1.0),
        lambda part, number, still: drawn.append((part, number, still)),
        layout=9,
        seed=0,
        workers=1,
        title="drawing",
    )
    assert people == [0, 1, 2, 3, 4]  # two pictures each, but for the last one of train
    assert [part for part, _, _ in drawn] == ["train"] * 5 + ["test"] * 4
    assert sorted(n for part, n, _ in drawn if part == "train") == [0, 1, 2, 3, 4]
    shown = [still.expression for part, _, still in drawn if part == "test"]
    assert sorted(shown) == [0, 0, 6, 6]
    assert all(still.occluder in OCCLUDERS for _, _, still in drawn)


def test_raters_mostly_see_what_is_shown_and_sometimes_what_looks_like_it() -> None:
    rng = np.random.default_rng(0)
    votes = np.array([rate(Expression.FEAR, rng) for _ in range(400)])
    assert (votes.sum(axis=1) == RATERS).all()
    shares = votes.mean(axis=0) / RATERS
    assert 0.6 < shares[Expression.FEAR] < 0.85
    assert shares[: len(Expression)].argsort()[-2] == Expression.SURPRISE
    assert shares[UNKNOWN] > shares[NO_FACE] > 0
    ties = 2 * votes.max(axis=1) == RATERS
    assert 0.02 < ties.mean() < 0.3

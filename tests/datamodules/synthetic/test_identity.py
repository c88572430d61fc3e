import dataclasses

import pytest

from datamodules.synthetic.identity import BEARDS, HAIR_STYLES, Identity

PEOPLE = [Identity.sample(seed) for seed in range(60)]


def test_same_seed_is_the_same_person() -> None:
    assert Identity.sample(12) == PEOPLE[12]


def test_people_differ() -> None:
    assert len({dataclasses.replace(person, seed=0) for person in PEOPLE}) == len(PEOPLE)


def test_traits_are_possible() -> None:
    for person in PEOPLE:
        for colour in (person.skin, person.hair, person.iris, person.lips, person.clothes):
            assert all(0 <= channel <= 1 for channel in colour)
        assert person.hair_style in HAIR_STYLES
        assert person.beard in BEARDS
        assert person.eye_spacing - person.eye_width > 0.1, "the eyes do not meet"
        assert person.nose_length < person.mouth_height - person.upper_lip
        assert person.mouth_height + person.lower_lip < person.face_length - 0.2


def test_crowd_is_mixed() -> None:
    assert {person.hair_style for person in PEOPLE} >= {"bob", "short", "tied", "parted"}
    assert any(person.beard != "none" for person in PEOPLE)
    assert any(person.glasses != "none" for person in PEOPLE)
    assert any(person.freckles > 0 for person in PEOPLE)
    brightness = [sum(person.skin) for person in PEOPLE]
    assert max(brightness) > 1.8 * min(brightness)


def test_lines_deepen_with_age() -> None:
    young, old = (dataclasses.replace(PEOPLE[0], age=age) for age in (18.0, 75.0))
    assert young.lines == pytest.approx(0.25)
    assert old.lines == pytest.approx(1.0)

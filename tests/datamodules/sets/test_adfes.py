from __future__ import annotations

from pathlib import Path

import pytest

from datamodules.errors import DatasetError
from datamodules.index import Index
from datamodules.labels import Expression
from datamodules.sets.adfes import ADFESDataModule, ADFESFacesDataModule
from datamodules.stills.reader import is_coloured
from datamodules.synthetic import write_adfes
from tests.datamodules.still_trees import touch
from tests.datamodules.trees import adfes_films, adfes_pictures

pytestmark = pytest.mark.filterwarnings("ignore:ADFES at")


def read(root: Path, **arguments: object) -> Index:
    return ADFESDataModule(**arguments).read_index(root)


def test_words_are_the_labels_and_the_middle_is_at_the_apex(tmp_path: Path) -> None:
    words = ("Joy", "Sad", "Anger", "Neutral", "Pride", "Embarrass", "Embarrassment", "Contempt")
    index = read(adfes_films(tmp_path, words=words))
    assert not index.problems
    shown = ("Neutral", "Happiness", "Sadness", "Anger")
    assert index.names[:4] == [f"F01/{word}-forward" for word in shown]
    assert index.expressions[4] == Expression.CONTEMPT
    assert index.subjects[-1] == "M02"
    assert index.lengths.tolist() == [3] * 15
    left_out = "left out as none of the eight expressions: "
    assert f"{left_out}embarrass 3, embarrassment 3, pride 3" in index.notes
    assert index.name_unread(tmp_path) is None


def test_versions_of_turning_are_chosen(tmp_path: Path) -> None:
    spelled = {
        "forward": ("Face Forward", "face_forward", "FaceForward_2"),
        "toward": ("Turn Toward", "Turn Towards", "turn-toward"),
        "away": ("Turn Away", "TurnAway", "turn_away_x"),
    }
    for versions in spelled.values():
        for person, version in zip(("F01", "M01", "M02"), versions, strict=True):
            adfes_films(tmp_path, people=[person], version=version)
    for chosen in spelled:
        index = read(tmp_path, versions=[chosen])
        assert len(index) == 6
        assert all(name.endswith(f"-{chosen}") for name in index.names)
        assert index.name_unread(tmp_path) is None
    assert len(read(tmp_path, versions=["away", "forward"])) == 12
    with pytest.raises(ValueError, match=r"data\.versions must name some of forward, toward, away"):
        read(tmp_path, versions=["turn"])


def test_everything_wrong_is_named(tmp_path: Path) -> None:
    adfes_films(tmp_path, people=["F01"])
    for name in (
        "F02-Joyous-Face Forward.mpg",
        "F02-Joy-Turn.mpg",
        "F02-Fear-Face Forward.mpg",
        "F1_Joy_FaceForward.mp4",
        "F02-Joy-low.mp4",
    ):
        touch(tmp_path / "new films" / name)
    touch(tmp_path / "F03.mpg", tmp_path / ".DS_Store", tmp_path / "._F01-Joy-Face Forward.mpg")
    index = read(tmp_path)
    assert index.names == ["F01/Happiness-forward", "F01/Surprise-forward"]
    first = tmp_path / "Films" / "F01-Joy-Face Forward.avi"
    assert {Path(path).name: reason for path, reason in index.problems} == {
        "F02-Joyous-Face Forward.mpg": "its name has 'Joyous', which is no expression of ADFES",
        "F02-Joy-Turn.mpg": "its version 'Turn' is none of Face Forward, Turn Toward and Turn Away",
        "F02-Fear-Face Forward.mpg": "the file cannot be read as a video",
        "F1_Joy_FaceForward.mp4": f"is a second F01/Happiness-forward, beside {first}",
    }
    assert "left out as of ADFES-BIV: 1" in index.notes
    assert "1 pictures or films" in (index.name_unread(tmp_path) or "")


def test_another_data_set_is_refused(tmp_path: Path) -> None:
    for level in ("low", "med", "high"):
        touch(tmp_path / f"F01-Contempt-{level}.mp4")
    with pytest.raises(
        DatasetError, match="ADFES-BIV, which show an expression in three strengths"
    ):
        read(tmp_path)


def test_pictures_are_read_and_films_left_out(tmp_path: Path) -> None:
    adfes_films(adfes_pictures(tmp_path))
    touch(tmp_path / "F04-Pride-Apex.jpg", tmp_path / "F04-Joy.jpg")
    index = ADFESFacesDataModule().read_index(tmp_path)
    assert len(index) == 9
    assert index.names[:3] == ["F01/Neutral", "F01/Happiness", "F01/Anger"]
    assert index.files is not None
    assert index.files[1].name == "F01-Joy-Apex.jpg"
    assert not index.problems
    assert "1 .jpg" in (index.name_unread(tmp_path) or "")
    films = ADFESFacesDataModule(apex_frames=1).read_index(adfes_films(tmp_path / "films"))
    assert films.names[:2] == ["F01/Happiness-forward:1", "F01/Happiness-forward:3"]
    assert films.expressions[:2].tolist() == [Expression.NEUTRAL, Expression.HAPPINESS]


def test_counts_are_compared(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"published are 176; .*neutral 0 \(of 22\)"):
        read(adfes_films(tmp_path), strict_counts=True)


def test_drawn_faces_are_read_by_both(tmp_path: Path) -> None:
    write_adfes(tmp_path / "adfes", subjects=2, frames=3)
    index = read(tmp_path)
    assert len(index) == 16
    assert index.subjects[0] == "F01"
    assert index.lengths.tolist() == [3] * 16
    assert not index.problems
    pictures = ADFESFacesDataModule().read_index(tmp_path)
    assert len(pictures) == 16
    assert is_coloured(pictures)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from datamodules.errors import DatasetError
from datamodules.faces import Box
from datamodules.index import Index
from datamodules.labels import Expression
from datamodules.sets.mmi import MMIDataModule, MMIFacesDataModule
from datamodules.stills.reader import FaceReader
from datamodules.synthetic import write_mmi
from tests.datamodules.trees import mmi_session, mmi_tree, picture, write_video


def read(root: Path, **arguments: object) -> Index:
    return MMIDataModule(**arguments).read_index(root)


def test_codes_are_those_of_mmi_and_the_apex_is_in_the_middle(tmp_path: Path) -> None:
    index = read(mmi_tree(tmp_path, subjects=2, codes=(1, 2, 3, 4, 5, 6)))
    order = ["ANGER", "DISGUST", "FEAR", "HAPPINESS", "SADNESS", "SURPRISE"]
    assert [Expression(e).name for e in index.expressions] == order * 2
    assert index.names[0] == "S001/001"
    assert index.subjects[6] == "S002"
    assert index.lengths.tolist() == [3] * 12
    assert not index.problems
    assert read(tmp_path, apex=1.0).lengths.tolist() == [5] * 12


@pytest.mark.parametrize("place", ["", "MMI", "MMI/mmi-facial-expression-database"])
def test_sessions_are_found(tmp_path: Path, place: str) -> None:
    mmi_tree(tmp_path / "in" / place)
    assert len(read(tmp_path / "in")) == 6
    sessions = tmp_path / "in" / place / "Sessions"
    assert len(read(sessions)) == 6
    sessions.rename(sessions.with_name("sessions"))
    assert len(read(tmp_path / "in")) == 6


def test_what_has_no_basic_expression_is_left_out_and_counted(tmp_path: Path) -> None:
    mmi_session(tmp_path, 1, "S001-001", 4)
    mmi_session(tmp_path, 2, "S001-002", 7)
    mmi_session(tmp_path, 3, "S001-003", 12)
    mmi_session(tmp_path, 4, "S001-004", None)
    unlabelled = mmi_session(tmp_path, 5, "S001-005", 1)
    (unlabelled / "S001-005.xml").write_text('<D><Metatag Name="Laughter" Value="1"/></D>')
    (tmp_path / "Sessions" / "6").mkdir()
    (tmp_path / "Sessions" / "6" / "S002-001.jpg").touch()
    (tmp_path / "Sessions" / "7").mkdir()
    for stray in (".DS_Store", "._S001-001.avi", "readme.txt", "S001-001-oao_aucs.xml"):
        (tmp_path / "Sessions" / "1" / stray).touch()
    index = read(tmp_path)
    assert index.names == ["S001/001"]
    assert not index.problems
    assert {note for note in index.notes if note.startswith("left out")} == {
        "left out in sessions of pictures: 1",
        "left out of the state 12: 1",
        "left out of the state 7: 1",
        "left out without an expression: 2",
    }
    assert index.name_unread(tmp_path) is None


@pytest.mark.parametrize("views", [(0,), (2,), (0, 2), (1,)])
def test_views_are_chosen(tmp_path: Path, views: tuple[int, ...]) -> None:
    for view in (0, 1, 2):
        mmi_session(tmp_path, view + 1, f"S001-00{view}", 3, view)
    index = read(tmp_path, views=views)
    assert index.names == [f"S001/00{view}" for view in views]
    assert index.name_unread(tmp_path) is None
    # A picture with two faces is none of a face.
    whole = read(tmp_path, views=views, crop="none")
    assert whole.names == [f"S001/00{view}" for view in views if view != 2]


def test_two_tracks_of_a_session_and_one_without_a_view(tmp_path: Path) -> None:
    folder = mmi_session(tmp_path, 1, "S001-001", 3, 0)
    mmi_session(tmp_path, 1, "S001-002", 3, None)
    tracks = '<Track View="0" FileName="S001-001.AVI"/><track view="1" filename="x/S001-002.avi"/>'
    (folder / "session.xml").write_text(f"<session>{tracks}</session>")
    mmi_session(tmp_path, 2, "S001-003", 3, None)
    for number, tracks in ((4, '<track view="1"/>'), (5, '<track view="1"/><track view="0"/>')):
        unnamed = mmi_session(tmp_path, number, f"S001-00{number}", 3, None)
        (unnamed / "session.xml").write_text(f"<session>{tracks}</session>")
    index = read(tmp_path)
    assert index.names == ["S001/001", "S001/003", "S001/005"]
    assert "2 films of which no session.xml tells the view are taken" in index.notes


def test_everything_wrong_is_named(tmp_path: Path) -> None:
    mmi_session(tmp_path, 1, "S001-001", 1)
    mmi_session(tmp_path, 2, "S001-002", "joy")
    mmi_session(tmp_path, 3, "S001-003", -1)
    broken = mmi_session(tmp_path, 4, "S001-004", 1)
    (broken / "S001-004.xml").write_text("<Description>")
    (mmi_session(tmp_path, 5, "S001-005", 6) / "S001-005.avi").write_bytes(b"no film")
    mmi_session(tmp_path, 6, "S1-1", 1)
    twice = mmi_session(tmp_path, 7, "S001-007", 1)
    tags = "".join(f'<metatag name="emotion" value="{code}"/>' for code in (1, 2))
    (twice / "S001-007.xml").write_text(f"<D>{tags}</D>")
    index = read(tmp_path)
    assert index.names == ["S001/001"]
    assert {Path(path).name: reason.split(" (")[0] for path, reason in index.problems} == {
        "S001-002.xml": "gives the emotion 'joy', which is no number",
        "S001-003.avi": "has the label -1, not 1 to 6",
        "S001-004.xml": "cannot be read as XML",
        "S001-005.avi": "the file cannot be read as a video",
        "S1-1.avi": f"is a second film S001/001, beside {tmp_path}/Sessions/1/S001-001.avi",
        "S001-007.xml": "gives the emotions 1 and 2",
    }


def test_codes_from_zero_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="counted from another number"):
        read(mmi_tree(tmp_path, subjects=1, codes=(0, 1, 5)))


def test_stills_are_frames_around_the_apex_and_the_first(tmp_path: Path) -> None:
    mmi_session(tmp_path, 1, "S001-001", 5)
    write_video(tmp_path / "Sessions" / "1" / "S001-001.avi", 1, frames=9)
    data = MMIFacesDataModule()
    assert data.crop == "detect"
    index = data.read_index(tmp_path)
    assert index.names == [f"S001/001:{i}" for i in (1, 4, 5, 6)]
    assert index.frames is not None
    assert index.frames.tolist() == [0, 3, 4, 5]
    assert index.expressions.tolist() == [Expression.NEUTRAL, *[Expression.SADNESS] * 3]
    reader = FaceReader(index, size=32, colour=False, crop="none")
    for row, frame in enumerate(index.frames):
        assert np.array_equal(reader.row(row)["image"], picture(1, frame / 8))


def test_a_frame_without_a_face_is_cut_where_the_first_shows_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mmi_session(tmp_path, 1, "S001-001", 5)
    index = MMIFacesDataModule(apex_frames=1, first_as_neutral=False).read_index(tmp_path)
    first = picture(1, 0.0)
    seen: list[np.ndarray] = []

    def detect(image: np.ndarray) -> Box | None:
        seen.append(image)
        return Box(8, 8, 10, 10) if np.array_equal(image, first) else None

    monkeypatch.setattr("datamodules.stills.reader.detect_face", detect)
    row = FaceReader(index, size=12, colour=False, crop="detect").row(0)
    assert len(seen) == 2
    assert np.array_equal(row["image"], picture(1, 0.5)[7:19, 7:19])


def test_drawn_faces_are_read_by_both(tmp_path: Path) -> None:
    write_mmi(tmp_path / "mmi", subjects=1, frames=3)
    index = read(tmp_path)
    assert len(index) == 6
    assert not index.problems
    assert index.lengths.tolist() == [3] * 6
    assert len(MMIFacesDataModule(apex_frames=1).read_index(tmp_path)) == 12

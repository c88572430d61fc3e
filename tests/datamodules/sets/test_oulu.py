from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from datamodules.errors import DatasetError
from datamodules.index import Index
from datamodules.labels import Expression
from datamodules.sets.oulu import OuluCASIADataModule, OuluCASIAFacesDataModule
from datamodules.synthetic import write_oulu
from tests.datamodules.trees import oulu_tree

pytestmark = pytest.mark.filterwarnings("ignore:Oulu-CASIA at")
ALL = ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise")


def read(root: Path, **arguments: object) -> Index:
    return OuluCASIADataModule(**arguments).read_index(root)


def test_folders_are_the_labels_from_the_neutral_frame_to_the_apex(tmp_path: Path) -> None:
    index = read(oulu_tree(tmp_path, subjects=2, words=ALL))
    assert len(index) == 12
    assert not index.problems
    shown = dict(zip(index.names, index.expressions, strict=True))
    assert shown["P002/VL/Strong/Sadness"] == Expression.SADNESS
    assert shown["P001/VL/Strong/Happiness"] == Expression.HAPPINESS
    assert index.lengths.tolist() == [3] * 12
    assert index.recordings[0][0].names == ("000.jpeg", "001.jpeg", "002.jpeg")
    assert index.subjects[0] == "P001"


@pytest.mark.parametrize(
    "camera",
    [
        "VL",
        "OriginalImg/VL",
        "B_OriginalImg/OriginalImg/vl",
        "Oulu/B_OriginalImg/OriginalImg/VL",
        "PreProcess_Img/VL_Acropped",
        "PreProcess/VL_Acropped",
        "PreProcessImg/vl_cropped",
    ],
)
def test_spellings_of_folders(tmp_path: Path, camera: str) -> None:
    oulu_tree(tmp_path, subjects=1, cameras=[camera])
    strong = tmp_path / camera / "Strong"
    strong.rename(strong.with_name("strong"))
    person = tmp_path / camera / "strong" / "P001"
    (person / "Happiness").rename(person / "happy")
    person.rename(person.with_name("p1"))
    for place in (tmp_path, person.with_name("p1"), person.with_name("p1") / "happy"):
        for stray in (".DS_Store", "Thumbs.db", "readme.txt", "._000.jpeg"):
            (place / stray).touch()
    index = read(tmp_path)
    assert index.names == ["P001/VL/Strong/Happiness", "P001/VL/Strong/Surprise"]
    assert len(index.recordings[0][0]) == 3
    assert index.name_unread(tmp_path) is None


def test_cameras_and_lights_are_chosen_and_the_others_known(tmp_path: Path) -> None:
    cameras = ("OriginalImg/VL", "OriginalImg/NI", "PreProcess_Img/NI_Acropped")
    root = oulu_tree(tmp_path, subjects=2, cameras=cameras, lights=("Strong", "Weak", "Dark"))
    assert len(read(root)) == 4
    assert read(root).name_unread(root) is None
    infrared = read(root, spectra=["NI"], lights=["Dark"])
    assert all("OriginalImg/NI/Dark" in str(path) for path in infrared.all_files())
    assert len(read(root, spectra=["VL", "NI"], lights=["Weak", "Dark"])) == 16
    cropped = read(root, spectra=["NI"], images="cropped")
    assert all("NI_Acropped" in str(path) for path in cropped.all_files())
    with pytest.raises(DatasetError, match="was not found"):
        read(root, images="cropped")  # there is none of VL
    with pytest.raises(ValueError, match=r"data\.lights must name some of Strong, Weak, Dark"):
        read(root, lights=["Dim"])
    with pytest.raises(ValueError, match=r"data\.spectra must name some of VL, NI"):
        read(root, spectra=[])


def test_what_is_left_out_is_named(tmp_path: Path) -> None:
    root = oulu_tree(tmp_path, subjects=3)
    people = root / "OriginalImg" / "VL" / "Strong"
    for frame in (people / "P001" / "Happiness").iterdir():
        frame.unlink()
    for frame in ("001.jpeg", "002.jpeg"):
        (people / "P002" / "Happiness" / frame).unlink()
    shutil.copytree(people / "P003" / "Surprise", people / "P003" / "Surprised")
    shutil.copytree(people / "P003" / "Surprise", people / "P003" / "Contempt")
    shutil.copytree(people / "P003", people / "Q004")
    index = read(root)
    assert index.names == [
        "P001/VL/Strong/Surprise",
        "P002/VL/Strong/Surprise",
        "P003/VL/Strong/Happiness",
        "P003/VL/Strong/Surprise",
    ]
    said = [(Path(path).name, reason.partition(",")[0]) for path, reason in index.problems]
    assert said == [
        ("Happiness", "has 1 frame"),
        ("Surprised", "is a second sequence P003/VL/Strong/Surprise"),
    ]
    assert any("1 folders without frames" in note for note in index.notes)
    assert "15 pictures or films" in (index.name_unread(root) or "")  # Contempt, and Q004


def test_counts_are_compared(tmp_path: Path) -> None:
    root = oulu_tree(tmp_path, words=("Anger",))
    with pytest.raises(DatasetError, match=r"3 sequences are usable, published are 480.*\(of 80\)"):
        read(root, strict_counts=True)


def test_stills_are_the_last_frames_and_the_first(tmp_path: Path) -> None:
    root = oulu_tree(tmp_path, subjects=1, words=("Fear",), frames=5)
    index = OuluCASIAFacesDataModule().read_index(root)
    assert index.names == [f"P001/VL/Strong/Fear:{i}" for i in (1, 3, 4, 5)]
    assert index.expressions.tolist() == [Expression.NEUTRAL, *[Expression.FEAR] * 3]
    assert [path.name for path in index.files or []] == [f"00{i}.jpeg" for i in (0, 2, 3, 4)]
    assert index.frames is None
    alone = OuluCASIAFacesDataModule(apex_frames=1, first_as_neutral=False).read_index(root)
    assert alone.names == ["P001/VL/Strong/Fear"]
    with pytest.raises(ValueError, match=r"data\.apex_frames must be at least 1"):
        OuluCASIAFacesDataModule(apex_frames=0)


def test_drawn_faces_are_read_by_both(tmp_path: Path) -> None:
    write_oulu(tmp_path / "oulu", subjects=1, frames=2)
    index = read(tmp_path, lights=["Strong", "Weak"])
    assert len(index) == 12
    assert not index.problems
    assert len(OuluCASIAFacesDataModule().read_index(tmp_path)) == 12

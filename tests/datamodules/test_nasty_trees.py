"""Every reader against every nasty tree: nothing is read twice, lost in silence, or waited for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

import datamodules
from datamodules.base import FERDataModule
from datamodules.errors import BadSample, UserError
from datamodules.images import read_image
from datamodules.index import Index
from tests.datamodules.fake_faces import face
from tests.datamodules.still_trees import celeba_tree, kdef_tree, rafd_tree, sfew_tree, touch
from tests.datamodules.trees import (
    adfes_films,
    adfes_pictures,
    ckplus_tree,
    mmi_tree,
    oulu_tree,
    snap_tree,
)

# Trees this small differ from what was published.
pytestmark = pytest.mark.filterwarnings("ignore:.* are usable, published are")

WORDS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def faces(*files: Path) -> None:
    for number, file in enumerate(files):
        file.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(file), face(number))


def fer2013(root: Path) -> Path:
    for number, word in enumerate(WORDS):
        for part, split in (("train", "Training"), ("test", "PrivateTest")):
            faces(root / part / word / f"{split}_{number}.jpg")
    return root


def ck48(root: Path) -> Path:
    for number, word in enumerate(("anger", "contempt", "disgust", "fear", "happy", "sadness")):
        faces(root / "CK+48" / word / f"S01{number}_001_0000000{number}.png")
    return root


def jaffe(root: Path) -> Path:
    faces(*(root / "jaffe" / f"KA.{code}1.{n}.tiff" for n, code in enumerate(("AN", "HA", "NE"))))
    return root


def rafdb(root: Path) -> Path:
    names = [f"train_0000{code}" for code in range(1, 8)] + ["test_0001"]
    faces(*(root / "basic" / "Image" / "aligned" / f"{name}_aligned.jpg" for name in names))
    lines = [f"{name}.jpg {number % 7 + 1}" for number, name in enumerate(names)]
    touch(root / "basic" / "EmoLabel" / "list_patition_label.txt")
    (root / "basic" / "EmoLabel" / "list_patition_label.txt").write_text("\n".join(lines))
    return root


def rafdb_folders(root: Path) -> Path:
    for code in range(1, 8):
        faces(root / "DATASET" / "train" / str(code) / f"train_0000{code}_aligned.jpg")
        faces(root / "DATASET" / "test" / str(code) / f"test_000{code}_aligned.jpg")
    return root


def ferplus(root: Path) -> Path:
    votes = '"(0, 0, 48, 48)",0,10,0,0,0,0,0,0,0,0'
    for number, part in enumerate(("FER2013Train", "FER2013Valid", "FER2013Test")):
        names = [f"fer00000{number}{n}.png" for n in range(3)]
        faces(*(root / "data" / part / name for name in names))
        lines = [f"{name},{votes}" for name in names]
        (root / "data" / part / "label.csv").write_text("\n".join(lines))
    return root


def folder(root: Path) -> Path:
    faces(root / "a" / "1.png", root / "a" / "2.jpg", root / "b" / "3.png")
    return root


Make = Callable[[Path], Path]
TREES: dict[str, dict[str, Make]] = {
    "CKPlusDataModule": {"CK+": ckplus_tree},
    "OccludedCKPlusDataModule": {"CK+": ckplus_tree},
    "CKPlusFacesDataModule": {"CK+": ckplus_tree, "CK+48": ck48},
    "ADFESDataModule": {"ADFES films": adfes_films},
    "ADFESFacesDataModule": {"ADFES pictures": adfes_pictures, "ADFES films": adfes_films},
    "MMIDataModule": {"MMI": mmi_tree},
    "MMIFacesDataModule": {"MMI": mmi_tree},
    "OuluCASIADataModule": {"Oulu-CASIA": oulu_tree},
    "OuluCASIAFacesDataModule": {"Oulu-CASIA": oulu_tree},
    "CelebADataModule": {"CelebA": celeba_tree},
    "FER2013DataModule": {"FER2013": fer2013},
    "FERPlusDataModule": {"FERPlus": ferplus},
    "FaceFolderDataModule": {"folder": folder},
    "JAFFEDataModule": {"JAFFE": jaffe},
    "KDEFDataModule": {"KDEF": kdef_tree},
    "RAFDBDataModule": {"RAF-DB": rafdb, "RAF-DB by folders": rafdb_folders},
    "RaFDDataModule": {"RaFD": rafd_tree},
    "SFEWDataModule": {"SFEW": sfew_tree},
    "SNaP2DFeDataModule": {"SNaP-2DFe": snap_tree},
}
"""A tree in each layout of each reader; a new reader adds its own and meets all that is here."""

CASES = [
    pytest.param(name, make, id=f"{name}-{layout}")
    for name, layouts in TREES.items()
    for layout, make in layouts.items()
]
each_reader = pytest.mark.parametrize(("name", "make"), CASES)


def read(name: str, root: Path) -> tuple[Index, str]:
    """Read a tree as the data module of a name, and return what is named beside its files."""
    data: FERDataModule = getattr(datamodules, name)(root=str(root), cache_dir=str(root / "no"))
    index = data.read_index(root)
    problems = " ".join(f"{path}: {reason}" for path, reason in index.problems)
    return index, f"{problems} {index.name_unread(root) or ''}"


def first_file(index: Index) -> Path:
    return Path(min(index.all_files()))


def test_each_reader_has_a_tree() -> None:
    readers = {name for name in datamodules.__all__ if name.endswith("DataModule")}
    assert readers - {"MixedFlowDataModule"} == set(TREES)  # it has the readers of others


@each_reader
def test_what_is_whole_has_no_problem(tmp_path: Path, name: str, make: Make) -> None:
    index, _ = read(name, make(tmp_path / "in"))
    assert len(index) > 0
    assert not index.problems


@each_reader
@pytest.mark.parametrize("stray", ["x.heic", "x.gif", "unknown word/y.webp"])
def test_what_is_not_read_is_named(tmp_path: Path, name: str, make: Make, stray: str) -> None:
    if (name, stray[-4:]) == ("FaceFolderDataModule", "webp"):
        pytest.skip("it is read there")
    root = make(tmp_path / "in")
    rows = len(read(name, root)[0])
    touch(root / stray)
    index, named = read(name, root)
    assert len(index) == rows
    assert f"1 {Path(stray).suffix}" in named


@each_reader
def test_a_circle_of_links_gives_no_row_twice(tmp_path: Path, name: str, make: Make) -> None:
    root = make(tmp_path / "in")
    index, _ = read(name, root)
    place = first_file(index).parent
    (place / "up").symlink_to(root)
    (root / "again").symlink_to(place)
    linked, _ = read(name, root)
    assert linked.names == index.names


@each_reader
def test_a_twin_in_other_letters_is_named(tmp_path: Path, name: str, make: Make) -> None:
    root = make(tmp_path / "in")
    index, _ = read(name, root)
    file = first_file(index)
    twin = file.with_name(f"{file.stem}{file.suffix.swapcase()}")
    shutil.copy(file, twin)
    again, named = read(name, root)
    if name == "FaceFolderDataModule":
        assert len(again) == len(index) + 1  # whatever they show
    else:
        assert len(again) == len(index)
        assert file.name in named or twin.name in named or f"1 {twin.suffix.lower()}" in named


@each_reader
def test_a_folder_that_cannot_be_read_does_not_vanish(
    tmp_path: Path, name: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make(tmp_path / "in")
    locked = first_file(read(name, root)[0]).parent
    scandir = os.scandir

    def refusing(path: Any = ".") -> Any:
        if Path(os.fspath(path)) == locked:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    try:
        _, said = read(name, root)
    except (UserError, PermissionError) as error:
        said = str(error)
    assert "Permission denied" in said or "was not found" in said
    assert str(locked) in said or str(root) in said


@each_reader
@pytest.mark.parametrize("kind", ["nowhere", "empty", "file"])
def test_no_data_set_is_a_sentence(tmp_path: Path, name: str, make: Make, kind: str) -> None:
    root = tmp_path / kind
    if kind == "empty":
        root.mkdir()
    if kind == "file":
        root.touch()
    with pytest.raises(UserError) as error:
        read(name, root)
    said = str(error.value)
    assert root.name in said
    assert len(said.encode()) < 2_000
    assert said.replace("\n", "").isprintable()


@each_reader
def test_an_empty_path_is_refused(name: str, make: Make) -> None:
    with pytest.raises(UserError, match=r"data\.root is empty"):
        getattr(datamodules, name)(root="")


@each_reader
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str, make: Make) -> None:
    root = make(tmp_path / "in")
    index, _ = read(name, root)
    file = first_file(index)
    file.unlink()
    os.mkfifo(file)
    index, named = read(name, root)
    # A name is all that an index knows of a picture; films are opened for their lengths.
    assert str(file) in set(index.all_files()) or f"{file}: is a folder, a pipe" in named
    with pytest.raises(BadSample, match="a pipe or a device"):
        read_image(file, colour=False)


@each_reader
def test_a_name_that_is_no_text_is_shown(tmp_path: Path, name: str, make: Make) -> None:
    root = make(tmp_path / "in")
    place = os.fsencode(root / "x")
    os.mkdir(place)  # noqa: PTH102  # a name of bytes
    with open(os.path.join(place, b"a\xff\x1b[31m.gif"), "w"):  # noqa: PTH118, PTH123
        pass
    (root / "x").rename(root / os.fsdecode(b"x\xff"))
    index, named = read(name, root)
    assert "1 .gif in x\\udcff" in named
    index.manifest_hash()
    assert named.isprintable()

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from datamodules import (
    ADFESDataModule,
    ADFESFacesDataModule,
    CKPlusDataModule,
    MMIDataModule,
    MMIFacesDataModule,
    OuluCASIADataModule,
    OuluCASIAFacesDataModule,
)
from datamodules.base import FERDataModule
from datamodules.errors import DatasetError, UserError
from datamodules.index import Index
from datamodules.labels import Expression
from tests.datamodules.trees import write_frames

ROWS = "subject;file;emotion;\nS001;001;1;\nS001;2;4;\nS002;001;0;\nS003;001;3"


def tree(root: Path, frames: int = 5) -> Path:
    """Frame folders of four people, and a list as they are handed around."""
    for number, place in enumerate(("S001/001", "S001/002", "S002/001", "S003/001", "S004/001")):
        write_frames(root / "DATA" / place, number, frames)
        (root / "DATA" / place / ".DS_Store").touch()
        (root / "DATA" / place / "._img_001.png").touch()
    (root / "label.csv").write_text(ROWS)
    return root


def read(made: type[FERDataModule], root: Path, **arguments: object) -> Index:
    data = made(labels_csv=str(root / "label.csv"), **arguments)  # type: ignore[call-arg]
    return data.read_index(root)


@pytest.mark.parametrize(
    ("made", "shown", "length"),
    [
        (OuluCASIADataModule, ("HAPPINESS", "ANGER", "SURPRISE"), 5),
        (ADFESDataModule, ("HAPPINESS", "ANGER", "SURPRISE"), 3),
        (CKPlusDataModule, ("HAPPINESS", "ANGER", "SURPRISE"), 5),
        # Its list is in MMI's own codes: 1 anger, 3 fear, 4 happiness.
        (MMIDataModule, ("ANGER", "HAPPINESS", "FEAR"), 3),
    ],
)
def test_each_data_set_has_its_codes(
    tmp_path: Path, made: type[FERDataModule], shown: tuple[str, ...], length: int
) -> None:
    index = read(made, tree(tmp_path))
    assert index.names == ["S001/001", "S001/002", "S003/001"]
    assert [Expression(e).name for e in index.expressions] == list(shown)
    assert index.lengths.tolist() == [length] * 3
    assert index.subjects == ["S001", "S001", "S003"]
    assert not index.problems
    assert "5 sequences found, 3 labelled" in index.notes[0]
    assert index.name_unread(tmp_path) is None


@pytest.mark.parametrize(
    "made", [OuluCASIAFacesDataModule, MMIFacesDataModule, ADFESFacesDataModule]
)
def test_stills_come_of_the_same_sequences(tmp_path: Path, made: type[FERDataModule]) -> None:
    index = read(made, tree(tmp_path), apex_frames=1)
    assert len(index) == 6
    assert index.expressions[0] == Expression.NEUTRAL
    last = "005" if made is OuluCASIAFacesDataModule else "003"
    assert index.files is not None
    assert index.files[1].name == f"img_{last}.png"
    assert index.names[1] == f"S001/001:{int(last)}"


def test_everything_wrong_is_named(tmp_path: Path) -> None:
    root = tree(tmp_path)
    (root / "label.csv").write_text(f"{ROWS}\nS009;001;1\nS004;001;9\nS001;001;2\n")
    for frame in (2, 3, 4, 5):
        (root / "DATA" / "S003" / "001" / f"img_{frame:03d}.png").unlink()
    shutil.copytree(root / "DATA" / "S001", root / "copy" / "S001")
    index = read(OuluCASIADataModule, root)
    assert index.names == ["S001/001", "S001/002"]
    said = {Path(path).name: reason for path, reason in index.problems}
    assert said["label.csv line 6"] == "there is no sequence S009/001"
    assert said["label.csv line 7"].startswith("label '9' is none of 1, 2, 3, 4, 5, 6")
    assert said["label.csv line 8"] == "contradicts line 2"
    assert [r for r in said.values() if r.startswith("is a second sequence beside")]
    assert [r for r in said.values() if r.startswith("has 1 frame(s)")]


def test_a_map_replaces_the_codes(tmp_path: Path) -> None:
    root = tree(tmp_path)
    index = read(MMIDataModule, root, label_map={"1": "fear", "3": "sad", "4": "joy"})
    shown = [Expression(e) for e in index.expressions]
    assert shown == [Expression.FEAR, Expression.HAPPINESS, Expression.SADNESS]
    with pytest.raises(UserError, match="label_map names 'x'"):
        read(MMIDataModule, root, label_map={"1": "x"})


def test_missing_frames_and_lists(tmp_path: Path) -> None:
    (tmp_path / "label.csv").write_text(ROWS)
    with pytest.raises(DatasetError, match=r"holds no sequence such as S001/001/img_001\.png"):
        read(OuluCASIADataModule, tmp_path)
    with pytest.raises(DatasetError, match="cannot be read"):
        OuluCASIADataModule(labels_csv="nowhere.csv").read_index(tree(tmp_path / "in"))


def test_a_list_of_nothing_usable_is_not_taken_for_none(tmp_path: Path) -> None:
    root = tree(tmp_path)
    (root / "label.csv").write_text("S009;001;1\n")
    for made in (OuluCASIADataModule, MMIDataModule, ADFESDataModule):
        index = read(made, root)
        assert len(index) == 0
        assert len(index.problems) == 1

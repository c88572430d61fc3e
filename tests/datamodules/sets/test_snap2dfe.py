from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from datamodules.errors import DatasetError
from datamodules.index import Index
from datamodules.labels import LILLE_CODES, Expression
from datamodules.sets.lists.lille import expression_codes
from datamodules.sets.snap2dfe import SNaP2DFeDataModule, read_frame_folders
from tests.datamodules.trees import snap_tree, write_frames

CODES = expression_codes(None)


def reasons(index: Index, root: Path) -> list[str]:
    return [f"{path}: {reason}".replace(f"{root}/", "") for path, reason in index.problems]


def test_sequences_cameras_and_labels(tmp_path: Path) -> None:
    index = read_frame_folders(snap_tree(tmp_path, subjects=2, codes=range(7)), CODES)
    assert not index.problems
    assert len(index) == 14
    assert index.expressions[:7].tolist() == [LILLE_CODES[c] for c in range(7)]
    assert (index.names[0], index.subjects[0], index.lengths[0]) == ("S001/001", "S001", 3)
    frontal, posed = index.recordings[0]
    assert frontal.files()[0] == tmp_path / "SNAPcam1" / "S001" / "001" / "img_001.png"
    assert posed.files()[2] == tmp_path / "SNAPcam2" / "S001" / "001" / "img_003.png"
    assert index.folds is None
    assert "2 and 14 (published: 15 and 630)" in index.notes[-1]


def test_order_is_numerical(tmp_path: Path) -> None:
    root = snap_tree(tmp_path, subjects=1, codes=(1,))
    for camera in ("SNAPcam1", "SNAPcam2"):
        for name in ("1000", "999", "20"):
            write_frames(root / camera / "S001" / name, person=1, frames=2)
    with (root / "emotions" / "SNAP_emotions.csv").open("a") as file:
        file.write("S001;1000;1\nS001;999;1\nS001;20;1\n")
    index = read_frame_folders(root, CODES)
    assert index.names == ["S001/001", "S001/20", "S001/999", "S001/1000"]


@pytest.mark.parametrize("wrapper", ["", "SNAP", "SNAP/datasets"])
def test_root_may_be_levels_above(tmp_path: Path, wrapper: str) -> None:
    snap_tree(tmp_path / wrapper, subjects=1)
    (tmp_path / "__MACOSX").mkdir()
    assert len(read_frame_folders(tmp_path, CODES)) == 2


def test_leavings_of_other_programs_are_not_read(tmp_path: Path) -> None:
    root = snap_tree(tmp_path, subjects=1)
    for place in ("", "SNAPcam1", "SNAPcam1/S001", "SNAPcam1/S001/001"):
        (root / place / ".DS_Store").touch()
        (root / place / "Thumbs.db").touch()
    (root / "SNAPcam1" / ".hidden").mkdir()
    index = read_frame_folders(root, CODES)
    assert not index.problems
    assert len(index) == 2


def test_header_stripped_zeros_and_trailing_semicolons(tmp_path: Path) -> None:
    root = snap_tree(tmp_path, subjects=1)
    csv = root / "emotions" / "SNAP_emotions.csv"
    csv.write_text("\ufeffsubject;file;emotion;\r\nS001;1;1;\r\nS001;2;2;")
    index = read_frame_folders(root, CODES)
    assert not index.problems
    assert index.expressions.tolist() == [Expression.HAPPINESS, Expression.FEAR]


def test_movements_are_counted(tmp_path: Path) -> None:
    root = snap_tree(tmp_path, subjects=1)
    (root / "movements.csv").write_text("sub_id;seq_id;movement\nS001;002;yaw\n")
    index = read_frame_folders(root, CODES)
    assert "head movements: None 1, yaw 1" in index.notes
    assert {name: mask.tolist() for name, mask in index.subsets.items()} == {
        "unknown": [True, False],
        "yaw": [False, True],
    }


def test_movements_have_one_name_whatever_the_list_calls_them(tmp_path: Path) -> None:
    root = snap_tree(tmp_path, subjects=1)
    (root / "movements.csv").write_text("S001;001;Tx\nS001;002;nothing\n")
    index = read_frame_folders(root, CODES)
    assert {n: m.tolist() for n, m in index.subsets.items()} == {
        "static": [False, True],
        "translation": [True, False],
    }


def test_everything_wrong_is_named(tmp_path: Path) -> None:
    root = snap_tree(tmp_path, subjects=1, codes=(1, 2, 3, 4, 5, 9, 1))
    cam1, cam2 = root / "SNAPcam1", root / "SNAPcam2"
    shutil.rmtree(cam2 / "S001" / "001")
    shutil.rmtree(cam1 / "S001" / "002")
    (cam2 / "S001" / "003" / "img_003.png").unlink()
    for camera in (cam1, cam2):
        for number in (2, 3):
            (camera / "S001" / "004" / f"img_{number:03d}.png").unlink()
        write_frames(camera / "S001" / "008", person=1, frames=2)
    for frame in (cam1 / "S001" / "005").iterdir():
        frame.unlink()
    (cam1 / "S002").mkdir()
    with (root / "emotions" / "SNAP_emotions.csv").open("a") as file:
        file.write("S009;001;1\nS001;007;2\n")
    index = read_frame_folders(root, CODES)
    csv = "emotions/SNAP_emotions.csv"
    assert sorted(reasons(index, root)) == sorted(
        [
            "SNAPcam1/S001/005: holds no frame img_001.png, img_002.png, ...",
            "SNAPcam1/S002: is empty",
            f"{csv} line 6: label '9' is none of 0, 1, 2, 3, 4, 5, 6; set data.label_map",
            f"{csv} line 9: contradicts line 7",
            "SNAPcam1/S001/001: has no counterpart in SNAPcam2",
            "SNAPcam2/S001/002: has no counterpart in SNAPcam1",
            "SNAPcam2/S001/003: has 2 frames, but SNAPcam1/S001/003 has 3",
            "SNAPcam1/S001/004: has one frame, but a flow needs two",
            "SNAPcam2/S001/005: has no counterpart in SNAPcam1",
            f"{csv} line 8: there is no S009/001",
        ]
    )
    # Of unequal recordings the common frames stay; the contradicted label keeps its first row.
    assert index.names == ["S001/003", "S001/007"]
    assert index.lengths.tolist() == [2, 3]


def test_missing_root_shows_the_tree_and_the_source(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="does not exist") as error:
        read_frame_folders(tmp_path / "no", CODES)
    for expected in ("SNAPcam1/<subject>/<sequence>/img_001.png", "ballaertphd.wp.imt.fr"):
        assert expected in str(error.value)
    with pytest.raises(DatasetError, match="is empty"):
        read_frame_folders(tmp_path, CODES)


@pytest.mark.parametrize("lost", ["SNAPcam1", "SNAPcam2", "emotions"])
def test_missing_parts_are_named(tmp_path: Path, lost: str) -> None:
    shutil.rmtree(snap_tree(tmp_path, subjects=1) / lost)
    with pytest.raises(DatasetError, match=f"lacks {lost}"):
        read_frame_folders(tmp_path, CODES)


def test_protocol_gives_the_folds(tmp_path: Path) -> None:
    root = snap_tree(tmp_path, subjects=4)
    (root / "protocols").mkdir()
    tested = {1: "1;0;0;0", 2: "0;0;2;0", 3: "0;1;0;0", 4: "0;0;0;1"}
    lines = [f"S{s:03d};{q};{q};{marks};" for s, marks in tested.items() for q in (1, 2)]
    (root / "protocols" / "SNAP_proto.csv").write_text("\n".join(lines[:-1]))
    index = read_frame_folders(root, CODES)
    assert index.folds.tolist() == [0, 0, 2, 2, 1, 1, 3, -1]
    assert re.search(r"lists 7 of 8 sequences", "".join(index.notes))


def test_label_map_of_the_user(tmp_path: Path) -> None:
    root = snap_tree(tmp_path, subjects=3, codes=(0, 1))
    data = SNaP2DFeDataModule(root=str(root), label_map={"0": "anger", "1": "fear"})
    index = data.read_index(root)
    assert set(index.expressions) == {Expression.ANGER, Expression.FEAR}


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="raw_apex must be above 0"):
        SNaP2DFeDataModule(raw_apex=0.0)
    with pytest.raises(ValueError, match="lacks the named groups movement, expression, camera"):
        SNaP2DFeDataModule(raw_pattern="(?P<subject>.*)")


def test_training_samples_are_mirrored_and_exchange_heads() -> None:
    flow, posed = torch.randn(3, 2, 8, 8), torch.randn(3, 2, 8, 8)
    face = torch.rand(3, 3, 8, 8)
    batch = {"flow": flow, "posed_flow": posed, "neutral": face, "apex": 1 - face}
    batch["sample_id"] = torch.arange(3)
    data = SNaP2DFeDataModule(mirror=1.0, exchange=1.0)
    for name, value in data.on_after_batch_transfer(dict(batch), 0).items():
        assert torch.equal(value, batch[name])  # nothing changes but in training
    data.trainer = SimpleNamespace(training=True, current_epoch=0)  # type: ignore[assignment]
    found = data.on_after_batch_transfer(dict(batch), 0)
    sign = torch.tensor([-1.0, 1.0]).view(2, 1, 1)
    torch.testing.assert_close(found["flow"], sign * flow.flip(-1))
    expected = sign * (flow + (posed - flow)[[2, 0, 1]]).flip(-1)
    torch.testing.assert_close(found["posed_flow"], expected)
    assert torch.equal(found["neutral"], face.flip(-1))
    assert torch.equal(found["apex"], 1 - face.flip(-1))
    with pytest.raises(ValueError, match=r"data\.exchange must lie from 0 to 1, but is 2"):
        SNaP2DFeDataModule(exchange=2)

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch

from datamodules.errors import BadSamples, DatasetError, UserError
from datamodules.sets.snap2dfe import SNaP2DFeDataModule
from tests.datamodules.runs import make
from tests.datamodules.trees import picture, snap_tree, write_frames, write_video


def first_test_batch(data: SNaP2DFeDataModule) -> dict[str, Any]:
    data.prepare_data()
    data.setup("test")
    return data.on_after_batch_transfer(next(iter(data.test_dataloader())), 0)


def test_frames_of_a_camera_give_the_row_of_that_camera(tmp_path: Path) -> None:
    root = snap_tree(tmp_path / "snap")
    # Frames between the first and the last are never looked at.
    shutil.copytree(root / "SNAPcam1", tmp_path / "out", ignore=lambda *_: ["img_002.png"])
    folders = {"perfect": str(tmp_path / "out"), "idle": str(root / "SNAPcam2")}
    data = make(root, tmp_path / "cache", frontalized=folders)
    assert data.rivals == ("perfect", "idle")
    batch = first_test_batch(data)
    assert torch.equal(batch["rival_flow_perfect"], batch["flow"])
    assert torch.equal(batch["rival_apex_perfect"], batch["apex"])
    assert torch.equal(batch["rival_flow_idle"], batch["posed_flow"])
    assert torch.equal(batch["rival_apex_idle"], batch["posed_apex"])
    assert not torch.equal(batch["posed_flow"], batch["flow"])
    assert not any("rival" in name for name in next(iter(data.val_dataloader())))
    # One cache a method, of all folds.
    assert len(list((tmp_path / "cache").glob("snap-2dfe-perfect-*.lock"))) == 1
    make(root, tmp_path / "cache", frontalized=folders, fold=1).prepare_data()
    assert len(list((tmp_path / "cache").glob("snap-2dfe-perfect-*.lock"))) == 1


def test_another_frame_is_another_cache(tmp_path: Path) -> None:
    root = snap_tree(tmp_path / "snap")
    shutil.copytree(root / "SNAPcam1", tmp_path / "out")
    data = make(root, tmp_path / "cache", frontalized={"other": str(tmp_path / "out")})
    first = first_test_batch(data)["rival_flow_other"]
    for frame in (tmp_path / "out").rglob("img_003.png"):
        assert cv2.imwrite(str(frame), picture(7, 0.5))
    data = make(root, tmp_path / "cache", frontalized={"other": str(tmp_path / "out")})
    assert not torch.equal(first_test_batch(data)["rival_flow_other"], first)


def test_missing_frames_are_counted_before_anything_is_computed(tmp_path: Path) -> None:
    root = snap_tree(tmp_path / "snap")
    out = tmp_path / "out"
    shutil.copytree(root / "SNAPcam2", out)
    shutil.rmtree(out / "S002")
    (out / "S003" / "002" / "img_003.png").unlink()
    data = make(root, tmp_path / "cache", frontalized={"glunet": str(out)})
    with pytest.raises(DatasetError) as error:
        data.setup("fit")
    assert str(error.value) == (
        f"data.frontalized: of the 12 files of glunet 5 are missing, the first of them "
        f"{out}/S002/001/img_001.png; expected is of each sequence the first frame and the one at "
        f"the apex, or the film, named as below {root}/SNAPcam2."
    )
    assert not (tmp_path / "cache").exists()


def test_frames_of_another_size_are_refused(tmp_path: Path) -> None:
    root = snap_tree(tmp_path / "snap")
    out = tmp_path / "out"
    shutil.copytree(root / "SNAPcam2", out)
    for frame in (out / "S002").rglob("*.png"):
        assert cv2.imwrite(str(frame), picture(2, 0.5)[:, :24])
    data = make(root, tmp_path / "cache", frontalized={"psp": str(out)})
    with pytest.raises(DatasetError, match=r"in 2 of 6 .* S?.*001/img_001.png of 24 x 32 pixels"):
        data.setup("fit")
    assert not (tmp_path / "cache").exists()


def test_a_frame_without_a_face_is_a_bad_sample_of_its_method(tmp_path: Path) -> None:
    root = snap_tree(tmp_path / "snap")
    out = tmp_path / "out"
    shutil.copytree(root / "SNAPcam2", out)
    broken = out / "S001" / "001" / "img_003.png"
    broken.write_text("no image")
    data = make(root, tmp_path / "cache", frontalized={"psp": str(out)})
    with pytest.raises(BadSamples, match=str(broken)):
        data.setup("fit")
    data = make(
        root, tmp_path / "cache", frontalized={"psp": str(out)}, on_bad_sample="skip", fold=0
    )
    assert [data.sample_name(i) for i in first_test_batch(data)["sample_id"].tolist()] == [
        "S001/002"
    ]


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        ({"glu_net": "."}, r"calls a method 'glu_net': expected are letters"),
        ({"glunet": "nowhere"}, r"the folder nowhere of glunet does not exist"),
        ({"glunet": " "}, r"data.frontalized.glunet is empty"),
        ("/data/glunet", r"must give folders by the names of methods, .* but is '/data/glunet'"),
    ],
)
def test_names_and_folders_are_checked(tmp_path: Path, folders: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        make(tmp_path, tmp_path / "cache", frontalized=folders)


def test_films_and_frames_of_the_raw_release(tmp_path: Path) -> None:
    pattern = r"(?P<subject>S\d+)_(?P<movement>yaw)_(?P<expression>\w+)_cam(?P<camera>[12])"
    root, out = tmp_path / "raw", tmp_path / "out"
    for person in (1, 2, 3):
        for camera, head in ((1, 0.0), (2, 2.0)):
            write_video(root / f"S{person}_yaw_happiness_cam{camera}.avi", person, 5, head)
            write_frames(root / f"S{person}_yaw_surprise_cam{camera}", person, 5, head)
        write_video(out / f"S{person}_yaw_happiness_cam2.avi", person, 5)
        write_frames(out / f"S{person}_yaw_surprise_cam2", person, 5)
    data = make(
        root, tmp_path / "cache", raw_pattern=rf"{pattern}(\.avi)?", frontalized={"a": str(out)}
    )
    batch = first_test_batch(data)
    assert len(batch["label"]) == 2
    assert torch.equal(batch["rival_flow_a"], batch["flow"])
    (out / "S2_yaw_happiness_cam2.avi").unlink()
    with pytest.raises(DatasetError, match=r"of the 9 files of a 1 are missing.*cam2.avi;"):
        make(
            root, tmp_path / "cache", raw_pattern=rf"{pattern}(\.avi)?", frontalized={"a": str(out)}
        ).setup("fit")

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from datamodules.errors import DatasetError
from datamodules.labels import Expression
from datamodules.recordings import FrameFolder, Video
from datamodules.sets.snap2dfe import SNaP2DFeDataModule
from datamodules.sets.snap2dfe_release import read_raw
from tests.datamodules.trees import write_frames, write_video

NAME = r"(?P<camera>F|NF)/(?P<subject>s\d+)_(?P<movement>\w+)_(?P<expression>\w+)"
TOKENS = [("nothing", "Happy"), ("Tx", "neutral")]


def release(root: Path, subjects: int = 2, frames: int = 5) -> Path:
    for subject in range(1, subjects + 1):
        for movement, expression in TOKENS:
            for camera, head in (("F", 0.0), ("NF", 2.0)):
                path = root / camera / f"s{subject}_{movement}_{expression}.avi"
                write_video(path, subject, frames, head)
    return root


def test_videos_are_paired_and_named_by_synonyms(tmp_path: Path) -> None:
    index = read_raw(release(tmp_path), NAME + r"\.avi", apex=0.5)
    assert not index.problems
    assert index.names == [
        "s1/static-happiness",
        "s1/translation-neutral",
        "s2/static-happiness",
        "s2/translation-neutral",
    ]
    assert (index.subjects[0], index.lengths[0]) == ("s1", 3)
    assert index.expressions[0] == Expression.HAPPINESS
    frontal, posed = index.recordings[0]
    assert isinstance(frontal, Video)
    assert frontal.path == tmp_path / "F" / "s1_nothing_Happy.avi"
    assert posed.files() == [tmp_path / "NF" / "s1_nothing_Happy.avi"]


def test_grid_shows_the_gaps(tmp_path: Path) -> None:
    release(tmp_path)
    (tmp_path / "F" / "s2_nothing_Happy.avi").unlink()
    (tmp_path / "NF" / "s2_nothing_Happy.avi").unlink()
    (tmp_path / "NF" / "s1_Tx_neutral.avi").unlink()
    shutil.copy(tmp_path / "F" / "s1_Tx_neutral.avi", tmp_path / "F" / "s1_Tx_bored.avi")
    index = read_raw(tmp_path, NAME + r"\.avi", apex=1.0)
    grid = index.notes[-1].splitlines()
    assert (
        "2 subjects x 2 movements x 2 expressions x 2 cameras = 16 recordings, 5 found" in grid[0]
    )
    assert grid[1].split() == ["static", "translation"]
    assert grid[2].split() == ["s1", "2/4", "1/4"]
    assert grid[3].split() == ["s2", "0/4", "2/4"]
    assert "missing: s1 translation: neutral cam2, happiness cam1, happiness cam2" in grid
    # A gap of both cameras is in the grid only; one camera without the other is a problem.
    assert [reason for _, reason in index.problems] == [
        "its expression 'bored' is unknown",
        "has no counterpart of camera 2 (s1/translation-neutral)",
    ]


def test_folders_of_frames(tmp_path: Path) -> None:
    for camera in ("F", "NF"):
        write_frames(tmp_path / camera / "s1_yaw_sad", person=1, frames=4)
    index = read_raw(tmp_path, NAME, apex=1.0)
    assert (index.names, index.lengths.tolist()) == (["s1/yaw-sadness"], [4])
    assert isinstance(index.recordings[0][0], FrameFolder)


def test_single_frames_by_their_group(tmp_path: Path) -> None:
    for camera in ("F", "NF"):
        write_frames(tmp_path / camera, person=1, frames=11, name=f"s1_roll_fear_{'{:d}'}.png")
    index = read_raw(tmp_path, NAME + r"_(?P<frame>\d+)\.png", apex=1.0)
    assert index.names == ["s1/roll-fear"]
    assert [path.name for path in index.recordings[0][0].files()[8:]] == [
        f"s1_roll_fear_{number}.png" for number in (9, 10, 11)
    ]


def test_bad_recordings_are_problems(tmp_path: Path) -> None:
    release(tmp_path, subjects=1)
    (tmp_path / "F" / "s1_Tx_neutral.avi").write_text("no video")
    shutil.copy(tmp_path / "NF" / "s1_Tx_neutral.avi", tmp_path / "NF" / "s1_x_neutral.avi")
    write_video(tmp_path / "NF" / "s1_nothing_Happy.avi", person=1, frames=4)
    index = read_raw(tmp_path, NAME + r"\.avi", apex=1.0)
    assert [(Path(path).name, reason.split(" (")[0]) for path, reason in index.problems] == [
        ("s1_Tx_neutral.avi", "the file cannot be read as a video"),
        ("s1_x_neutral.avi", f"is a second take beside {tmp_path}/NF/s1_Tx_neutral.avi"),
        ("s1_nothing_Happy.avi", f"has 4 frames, but {tmp_path}/F/s1_nothing_Happy.avi has 5"),
        ("s1_Tx_neutral.avi", "has no counterpart of camera 1"),
    ]
    assert (index.names, index.lengths.tolist()) == (["s1/static-happiness"], [4])


def test_a_pattern_that_matches_nothing_is_shown_what_is_there(tmp_path: Path) -> None:
    release(tmp_path, subjects=1)
    with pytest.raises(DatasetError, match=r"matches no .*for instance: F/s1_nothing_Happy\.avi"):
        read_raw(tmp_path, NAME + r"\.mp4", apex=1.0)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("(", "is not a regular expression"), (r"(?P<subject>s)", r"\(\?P<movement>\.\.\.\)")],
)
def test_unusable_patterns(tmp_path: Path, pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_raw(tmp_path, pattern, apex=1.0)


def test_data_module_reads_videos(tmp_path: Path) -> None:
    data = SNaP2DFeDataModule(
        root=str(release(tmp_path / "raw", subjects=3)),
        cache_dir=str(tmp_path / "cache"),
        raw_pattern=NAME + r"\.avi",
        crop="none",
        size=16,
        batch_size=2,
    )
    data.prepare_data()
    data.setup("fit")
    assert data.split_sizes == {"train": 6, "val": 2, "test": 2}
    batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    assert batch["posed_flow"].isfinite().all()
    missing = SNaP2DFeDataModule(root=str(tmp_path / "no"), raw_pattern=NAME)
    with pytest.raises(DatasetError, match="does not exist"):
        missing.prepare_data()

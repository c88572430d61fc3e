from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from datamodules.errors import DatasetError
from datamodules.index import Index
from datamodules.inputs.live import LiveStream
from datamodules.inputs.reading import InputOptions
from datamodules.inputs.report import InputReport
from datamodules.labels import Expression
from datamodules.motion.clips import Clip, MotionReading
from datamodules.motion.extraction import Extraction
from datamodules.motion.pairs import PairReader, make_pairs
from datamodules.recordings import frame_folder
from tests.datamodules.inputs.test_live import Camera
from tests.datamodules.test_faces import scene
from tests.datamodules.trees import picture, write_frames, write_video

WHOLE = Extraction(size=32, flow="farneback", crop="none", colour=True)
LOOSE = Extraction(size=32, flow="farneback", crop="loose", colour=False)


def find_clips(path: Path, reading: Extraction, report: InputReport) -> list[Clip]:
    return MotionReading(reading).find(path, InputOptions(), report)


def stream(
    clips: list[Clip], reading: Extraction, size: int, report: InputReport | None = None, **of: int
) -> Iterator[dict[str, Any]]:
    options = InputOptions(batch_size=size)
    return MotionReading(reading).stream(clips, options, report or InputReport(), **of)


def tree(root: Path) -> Path:
    write_frames(root / "b10", person=1, frames=3)
    write_frames(root / "b9" / "deeper", person=2, frames=2)
    write_video(root / "film.avi", person=3, frames=4)
    (root / ".hidden").mkdir()
    (root / "notes.txt").touch()
    return root


def test_a_folder_of_frames_is_one_recording_of_flows_from_its_first_frame(tmp_path: Path) -> None:
    write_frames(tmp_path / "smile", person=1, frames=6, head=2.0)
    clips = find_clips(tmp_path / "smile", WHOLE, InputReport())
    batches = list(stream(clips, WHOLE, 2))
    assert [batch["frame"].tolist() for batch in batches] == [[1, 2], [3, 4], [5]]
    assert batches[0]["sequence"] == ["smile", "smile"]
    assert batches[1]["neutral"].shape == (2, 3, 32, 32)
    np.testing.assert_array_equal(batches[1]["neutral"][0, 0], picture(1, 0.0))
    flow = WHOLE.estimate(picture(1, 0.0), picture(1, 0.8, 1.6), "flow")
    np.testing.assert_array_equal(batches[1]["posed_flow"][1], flow)


def test_folders_and_videos_below_a_folder_in_natural_order(tmp_path: Path) -> None:
    clips = find_clips(tree(tmp_path), WHOLE, InputReport())
    assert [clip.name for clip in clips] == ["film.avi", "b9/deeper", "b10"]
    batches = list(stream(clips, WHOLE, 2))
    assert [len(batch["sequence"]) for batch in batches] == [2, 1, 1, 2]
    ids = np.concatenate([batch["sample_id"] for batch in batches])
    assert len(set(ids.tolist())) == 6
    assert MotionReading(WHOLE).sample_name(clips, int(ids[2])) == "film.avi:4"
    assert MotionReading(WHOLE).sample_name(clips, int(ids[-1])) == "b10:3"


def test_a_video_is_read_to_its_end(tmp_path: Path) -> None:
    write_video(tmp_path / "film.avi", person=1, frames=5)
    clips = find_clips(tmp_path / "film.avi", WHOLE, InputReport())
    (batch,) = stream(clips, WHOLE, 8)
    assert batch["frame"].tolist() == [1, 2, 3, 4]
    assert batch["sequence"] == ["film.avi"] * 4


def test_processes_share_the_recordings(tmp_path: Path) -> None:
    clips = find_clips(tree(tmp_path), WHOLE, InputReport())
    seen = [
        {
            name
            for batch in stream(clips, WHOLE, 2, rank=rank, world=2)
            for name in batch["sequence"]
        }
        for rank in range(2)
    ]
    assert seen == [{"film.avi", "b10"}, {"b9/deeper"}]


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    peaks = []
    for frames in (6, 36):
        write_frames(tmp_path / str(frames), person=1, frames=frames)
        clips = find_clips(tmp_path / str(frames), WHOLE, InputReport())
        list(stream(clips, WHOLE, 3))  # what libraries allocate once
        tracemalloc.start()
        assert sum(len(batch["frame"]) for batch in stream(clips, WHOLE, 3)) == frames - 1
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    frame = 32 * 32 * 3
    assert peaks[0] > 3 * frame  # the frames are seen at all
    assert peaks[1] < peaks[0] + 10 * frame


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no", "There is no input .*no; expected a video"),
        ("one.png", "is one image"),
        ("empty", "has neither frames nor videos"),
    ],
)
def test_unusable_inputs_are_sentences(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty" / "below").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "one.png"), picture(1, 0.0))
    with pytest.raises(DatasetError, match=message):
        find_clips(tmp_path / name, WHOLE, InputReport())


def test_all_unusable_recordings_are_named(tmp_path: Path) -> None:
    write_frames(tmp_path / "blob", person=1, frames=3)
    write_frames(tmp_path / "single", person=1, frames=1)
    (tmp_path / "broken.avi").write_text("no video")
    for index in range(2):
        (tmp_path / "face").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "face" / f"{index}.png"), scene((150, 120, 50)))
    report = InputReport()
    assert [clip.name for clip in find_clips(tmp_path, LOOSE, report)] == ["face"]
    assert [(Path(path).name, reason) for path, reason in report.problems] == [
        ("broken.avi", "the file cannot be read as a video"),
        ("img_001.png", "no face was found in this first frame"),
        ("single", "has 1 usable frame(s), but a flow needs two"),
    ]
    with pytest.raises(DatasetError, match=r"Nothing is answered.*\n.*single: has 1 usable frame"):
        find_clips(tmp_path / "single", LOOSE, InputReport())


def test_damaged_frames_are_left_out_and_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_frames(tmp_path / name, person=1, frames=4)
    for number in (1, 3):
        frame = tmp_path / "a" / f"img_{number:03d}.png"
        frame.write_bytes(frame.read_bytes()[:100])
    report = InputReport()
    clips = find_clips(tmp_path, WHOLE, report)
    batches = list(stream(clips, WHOLE, 8, report))
    # The first frame that can be read is the one that the flows start from.
    assert [batch["frame"].tolist() for batch in batches] == [[3], [1, 2, 3]]
    assert {Path(path).name for path, _ in report.problems} == {"img_001.png", "img_003.png"}
    assert report.answers == 4
    with pytest.raises(DatasetError, match=r"The rest is answered, but 2 files or frames"):
        report.close("raise")
    report.close("skip")


def test_a_face_is_cut_out_as_it_was_in_training(tmp_path: Path) -> None:
    for side in (40, 50, 60):
        folder = tmp_path / str(side)
        folder.mkdir()
        for x in (150, 152):
            cv2.imwrite(str(folder / f"{x}.png"), scene((x, 120, side)))
        clips = find_clips(folder, LOOSE, InputReport())
        (batch,) = stream(clips, LOOSE, 4)
        index = Index(
            ["s"],
            np.array([Expression.FEAR], np.int8),
            recordings=[(frame_folder(folder),)],
            lengths=np.array([2]),
        )
        row = PairReader(index, make_pairs([2], []), LOOSE).row(0)
        np.testing.assert_array_equal(batch["neutral"][0], row["neutral"])
        np.testing.assert_array_equal(batch["posed_flow"][0].astype("f2"), row["flow"])


def options(**given: Any) -> InputOptions:
    return InputOptions(batch_size=8, **given)


def read(path: Path | LiveStream, reading: Extraction, given: InputOptions) -> dict[str, Any]:
    reader = MotionReading(reading)
    clips = reader.find(path, given, InputReport())
    (batch,) = reader.stream(clips, given, InputReport())
    return batch


def test_flows_may_start_from_another_frame(tmp_path: Path) -> None:
    write_frames(tmp_path / "smile", person=1, frames=6, head=2.0)
    batch = read(tmp_path / "smile", WHOLE, options(neutral=5))
    assert batch["frame"].tolist() == [0, 1, 2, 3, 4]
    flow = WHOLE.estimate(picture(1, 1.0, 2.0), picture(1, 0.2, 0.4), "flow")
    np.testing.assert_array_equal(batch["posed_flow"][1], flow)
    np.testing.assert_array_equal(batch["neutral"][0, 0], picture(1, 1.0, 2.0))
    with pytest.raises(DatasetError, match="smile: has no frame 6 to be the neutral one"):
        read(tmp_path / "smile", WHOLE, options(neutral=6))


def test_flows_may_start_from_a_picture_of_the_face(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    for x in (150, 152):
        cv2.imwrite(str(tmp_path / "clip" / f"{x}.png"), scene((x, 120, 50)))
    other = tmp_path / "neutral.png"
    # The same face, elsewhere and in another size.
    cv2.imwrite(str(other), cv2.resize(scene((150, 120, 50)), (640, 480))[:, 40:])
    batch = read(tmp_path / "clip", LOOSE, options(neutral=other))
    assert batch["frame"].tolist() == [0, 1]
    assert np.abs(batch["posed_flow"][0]).mean() < 0.2  # the same face, so hardly any motion
    assert np.abs(batch["neutral"][0].astype(int) - batch["neutral"][1]).max() == 0
    cv2.imwrite(str(other), scene())
    with pytest.raises(DatasetError, match=r"neutral\.png shows no face that haarcascade"):
        read(tmp_path / "clip", LOOSE, options(neutral=other))


def test_every_second_frame_with_its_time_person_and_box(tmp_path: Path) -> None:
    write_video(tmp_path / "film.avi", person=1, frames=6)
    batch = read(tmp_path / "film.avi", WHOLE, options(every=2))
    assert batch["frame"].tolist() == [2, 4]
    assert batch["seconds"] == [0.2, 0.4]
    assert batch["track"] == [1, 1]
    assert batch["box"].tolist() == [[0, 0, 32, 32]] * 2


def test_a_stream_starts_from_its_first_face(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [scene(), scene((150, 120, 50)), scene((152, 120, 50)), scene((154, 120, 50))]

    class Seen(Camera):
        def grab(self) -> bool:
            self.number += 1
            return self.number < len(frames)

        def retrieve(self) -> tuple[bool, Any]:
            return True, cv2.cvtColor(frames[self.number], cv2.COLOR_GRAY2BGR)

    monkeypatch.setattr(cv2, "VideoCapture", Seen)
    reader, given = MotionReading(LOOSE), options()
    clips = reader.find(LiveStream("0"), given, InputReport())
    batches = list(reader.stream(clips, given, InputReport()))
    assert [batch["frame"].tolist() for batch in batches] == [[2], [3]]  # one each, at once

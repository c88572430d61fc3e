from __future__ import annotations

import logging
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules.errors import DatasetError
from datamodules.index import Index
from datamodules.inputs.given import Input
from datamodules.inputs.reading import InputOptions
from datamodules.inputs.report import InputReport
from datamodules.stills.pictures import FaceReading, find_inputs
from datamodules.stills.reader import FaceCrop, open_face_cache
from datamodules.synthetic import write_ckplus
from tests.datamodules.fake_faces import face
from tests.datamodules.test_faces import scene
from tests.datamodules.trees import picture, write_video

TWO = scene((80, 120, 40), (230, 120, 45))


def stream_and_report(
    path: Input,
    *,
    size: int = 32,
    colour: bool = False,
    crop: FaceCrop = "detect",
    rank: int = 0,
    world: int = 1,
    **options: Any,
) -> tuple[Iterator[dict[str, Any]], InputReport]:
    report, reading = InputReport(), FaceReading(size, colour, crop)
    given = InputOptions(**{"batch_size": 4, **options})
    sources = reading.find(path, given, report)
    return reading.stream(sources, given, report, rank=rank, world=world), report


def stream(path: Input, **kwargs: Any) -> Iterator[dict[str, Any]]:
    return stream_and_report(path, **kwargs)[0]


def tree(root: Path) -> Path:
    """Two faces in b.png, none in a.png, one in deep/c.jpg, and a film of three faces."""
    (root / "deep" / "er").mkdir(parents=True)
    (root / ".hidden").mkdir()
    (root / "notes.txt").touch()
    cv2.imwrite(str(root / "a.png"), scene())
    cv2.imwrite(str(root / "b.png"), TWO)
    cv2.imwrite(str(root / ".hidden" / "d.png"), TWO)
    cv2.imwrite(str(root / "deep" / "c.jpg"), scene((150, 120, 50)))
    codec = cv2.VideoWriter_fourcc(*"FFV1")
    film = cv2.VideoWriter(str(root / "deep" / "er" / "film.avi"), codec, 10, (320, 240))
    for x in (140, 150, None, 170):
        frame = scene() if x is None else scene((x, 120, 50))
        film.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    film.release()
    return root


def test_a_tree_is_walked_and_frames_without_a_face_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    faces, report = stream_and_report(tree(tmp_path / "in"))
    with caplog.at_level(logging.WARNING):
        batches = list(faces)
        report.close("raise")
    assert [len(batch["source"]) for batch in batches] == [4, 2]
    rows = [
        (source, frame)
        for batch in batches
        for source, frame in zip(batch["source"], batch["frame"].tolist(), strict=True)
    ]
    film = "deep/er/film.avi"
    assert rows == [
        *[("b.png", 0)] * 2,
        ("deep/c.jpg", 0),
        *[(film, 0), (film, 1), (film, 3)],
    ]
    assert report.pictures == 7
    assert "in 2 of 7 pictures and frames (a.png, deep/er/film.avi:3)" in caplog.text
    ids = [number for batch in batches for number in batch["sample_id"].tolist()]
    files = find_inputs(tmp_path / "in")
    reading = FaceReading(32, False, "detect")
    names = [reading.sample_name(files, number) for number in ids]
    assert names == ["b.png#1", "b.png#2", "deep/c.jpg#1", *(f"{film}:{n}#1" for n in (1, 2, 4))]
    assert batches[0]["image"].shape == (4, 32, 32)


def test_a_box_is_what_was_cut_out(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "b.png"), TWO)
    (batch,) = stream(tmp_path / "b.png", colour=True)
    assert batch["source"] == ["b.png", "b.png"]
    for image, (x, y, width, height) in zip(batch["image"], batch["box"].tolist(), strict=True):
        assert width == height
        cut = cv2.resize(TWO[y : y + height, x : x + width], (32, 32), interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(image[..., 0], cut)


def test_pictures_may_be_faces_already(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), face(1, 32))
    write_video(tmp_path / "film.avi", person=3, frames=2)
    faces, report = stream_and_report(tmp_path, crop="none")
    (batch,) = faces
    np.testing.assert_array_equal(batch["image"][0], face(1, 32))
    np.testing.assert_array_equal(batch["image"][1], picture(3, 0.0))
    assert batch["frame"].tolist() == [0, 0, 1]
    assert batch["box"].tolist() == [[0, 0, 32, 32]] * 3
    assert report.without_face == 0


def test_files_are_dealt_out_to_processes(tmp_path: Path) -> None:
    for i in range(5):
        cv2.imwrite(str(tmp_path / f"{i}.png"), face(i))
    shares = [
        [s for batch in stream(tmp_path, crop="none", rank=r, world=2) for s in batch["source"]]
        for r in range(2)
    ]
    assert shares == [["0.png", "2.png", "4.png"], ["1.png", "3.png"]]


def test_one_bad_picture_does_not_keep_the_others_from_an_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), face(1))
    (tmp_path / "b.png").write_text("no image")
    (tmp_path / "c.mp4").write_text("no video")
    faces, report = stream_and_report(tmp_path, crop="none")
    (batch,) = faces
    assert batch["source"] == ["a.png"]
    with pytest.raises(DatasetError, match=r"The rest is answered, but 2 (.|\n)*b\.png: the file"):
        report.close("raise")
    report.close("skip")
    assert "b.png: the file is not an image" in caplog.text
    assert "c.mp4: the file cannot be read as a video" in caplog.text


def test_inputs_without_anything_are_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"There is no input .*nowhere; expected an image"):
        find_inputs(tmp_path / "nowhere")
    (tmp_path / "notes.txt").touch()
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(DatasetError, match="has neither images nor videos; expected an image"):
            find_inputs(path)


def test_memory_does_not_grow_with_the_input(tmp_path: Path) -> None:
    def peak(frames: int) -> int:
        write_video(tmp_path / "film.avi", person=1, frames=frames)
        batches = stream(tmp_path / "film.avi", crop="none", size=128)
        tracemalloc.start()
        for _ in batches:
            pass
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(4)
    assert peak(80) < 2 * peak(8)


def test_a_face_is_cut_out_as_it_was_in_training(tmp_path: Path) -> None:
    write_ckplus(tmp_path / "ck", subjects=1, frames=2)
    drawn = sorted((tmp_path / "ck" / "cohn-kanade-images").rglob("*_00000001.png"))[::3]
    (tmp_path / "in").mkdir()
    for number, file in enumerate(drawn):
        image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        for width in (320, 480, 640, 1000):
            size = (width, round(width * image.shape[0] / image.shape[1]))
            cv2.imwrite(str(tmp_path / "in" / f"{number}_{width}.png"), cv2.resize(image, size))
    files = sorted((tmp_path / "in").glob("*.png"))
    index = Index(
        names=[file.stem for file in files],
        files=files,
        pixels=None,
        expressions=np.zeros(len(files), np.int8),
    )
    cache = open_face_cache(
        index,
        tmp_path,
        tmp_path / "cache",
        name="Drawn",
        size=32,
        colour=False,
        crop="detect",
        on_bad_sample="raise",
    )
    predicted: dict[str, list[NDArray[np.uint8]]] = {file.name: [] for file in files}
    for batch in stream(tmp_path / "in"):
        for source, image in zip(batch["source"], batch["image"], strict=True):
            predicted[source].append(image)
    for file, trained in zip(files, cache.arrays["image"], strict=True):
        assert any((image == trained).all() for image in predicted[file.name]), file.name


def test_no_face_at_all_is_an_error_that_names_the_pictures(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), scene())
    faces, report = stream_and_report(tmp_path)
    assert list(faces) == []
    with pytest.raises(DatasetError, match=r"Nothing is answered.*1 of 1 .*\(a\.png\).*input_crop"):
        report.close("skip")


def test_what_is_no_format_of_ours_is_named_with_its_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cv2.imwrite(str(tmp_path / "a.webp"), face(1))
    for name in ("b.HEIC", "c.heic", "deep/d.gif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [source.name for source in find_inputs(tmp_path)] == ["a.webp"]
    assert "3 pictures or films" in caplog.text
    assert "2 .heic, 1 .gif in deep" in caplog.text


def test_people_of_a_film_keep_their_numbers_and_frames_their_time(tmp_path: Path) -> None:
    tree(tmp_path / "in")
    faces, report = stream_and_report(tmp_path / "in", batch_size=99)
    (batch,) = faces
    assert batch["track"] == [1, 2, 1, 1, 1, 1]  # of b.png, c.jpg and the film
    np.testing.assert_allclose(batch["seconds"], [np.nan, np.nan, np.nan, 0.0, 0.1, 0.3])
    assert report.share == 1.0
    assert report.progress().startswith("100%, 7 pictures, 6 answers, 0 min 0 s left")


def test_of_a_film_every_second_frame(tmp_path: Path) -> None:
    write_video(tmp_path / "film.avi", person=3, frames=5)
    (batch,) = stream(tmp_path / "film.avi", crop="none", every=2)
    assert batch["frame"].tolist() == [0, 2, 4]


def test_the_names_of_a_long_film_without_faces_are_not_all_kept(tmp_path: Path) -> None:
    write_video(tmp_path / "film.avi", person=3, frames=50)
    faces, report = stream_and_report(tmp_path / "film.avi")
    assert list(faces) == []
    assert (report.without_face, len(report.named)) == (50, 20)
    with pytest.raises(DatasetError, match=r"in 50 of 50 .*film\.avi:20 and 30 more"):
        report.close("skip")

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from datamodules.errors import BadSamples
from datamodules.faces import crop, detect_face, loose_box
from datamodules.images import resize
from datamodules.index import Index
from datamodules.stills.reader import is_coloured, open_face_cache
from datamodules.store.cache import Cache
from tests.datamodules.fake_faces import face
from tests.datamodules.test_faces import middle, scene


def index(files: list[Path] | None, **columns: Any) -> Index:
    count = len(columns["pixels"] if files is None else files)
    names = [str(i) for i in range(count)]
    given = {"names": names, "expressions": np.zeros(count, np.int8)}
    return Index(files=files, **{**given, **columns})


def write(folder: Path, *images: tuple[str, np.ndarray]) -> list[Path]:
    for name, image in images:
        assert cv2.imwrite(str(folder / name), image)
    return [folder / name for name, _ in images]


def build(found: Index, root: Path, **kwargs: Any) -> Cache:
    given = {"name": "Some", "size": 16, "colour": True, "crop": "none", "on_bad_sample": "raise"}
    return open_face_cache(found, root, root / "cache", **{**given, **kwargs})


def rgb(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB if image.ndim == 3 else cv2.COLOR_GRAY2RGB)


def test_formats_sizes_and_colours_may_be_mixed(tmp_path: Path) -> None:
    images = [face(1, 40, colour=True), face(2, 16), face(3, 8), face(4, 30, colour=True)[:20]]
    names = ["a.png", "b.tiff", "c.PNG", "d.jpg"]
    files = write(tmp_path, *zip(names, images, strict=True))
    found = index(files)
    stored = build(found, tmp_path).arrays["image"]
    assert stored.shape == (4, 16, 16, 3)
    shrunk = cv2.resize(rgb(images[0]), (16, 16), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(stored[0], shrunk)
    np.testing.assert_array_equal(stored[1], rgb(images[1]))
    grown = cv2.resize(rgb(images[2]), (16, 16), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(stored[2], grown)
    stretched = cv2.resize(rgb(images[3]), (16, 16), interpolation=cv2.INTER_AREA)
    assert np.abs(stored[3].astype(int) - stretched).mean() < 8  # JPEG loses some
    grey = build(found, tmp_path, colour=False).arrays["image"]
    assert grey.shape == (4, 16, 16)
    np.testing.assert_array_equal(grey[1], images[1])


def test_colour_is_seen_where_there_is_any(tmp_path: Path) -> None:
    files = write(tmp_path, ("a.png", face(1)), ("b.png", rgb(face(2))))
    assert not is_coloured(index(files))
    (tmp_path / "c.png").write_bytes(b"")
    (coloured,) = write(tmp_path, ("d.png", face(2, colour=True)))
    assert is_coloured(index([*files, tmp_path / "c.png", coloured]))
    assert not is_coloured(index(None, pixels=np.zeros((2, 8, 8), np.uint8)))


def test_a_box_is_cut_out_and_may_stick_out(tmp_path: Path) -> None:
    image = face(1, 40)
    files = write(tmp_path, ("a.png", image), ("b.png", image))
    boxes = np.array([[3, 5, 16, 16], [-8, 0, 16, 16]])
    stored = build(index(files, boxes=boxes), tmp_path, colour=False).arrays["image"]
    np.testing.assert_array_equal(stored[0], image[5:21, 3:19])
    np.testing.assert_array_equal(stored[1][:, 8:], image[:16, :8])
    np.testing.assert_array_equal(stored[1][:, :8], np.repeat(image[:16, :1], 8, axis=1))


def test_boxes_without_a_picture_are_named(tmp_path: Path) -> None:
    files = write(tmp_path, *((f"{i}.png", face(1, 20)) for i in range(3)))
    boxes = np.array([[20, 0, 5, 5], [0, 0, 0, 9], [0, 0, 20, 20]])
    with pytest.raises(BadSamples) as error:
        build(index(files, boxes=boxes), tmp_path)
    assert error.value.bad == [
        (str(files[0]), "its face box (20, 0, 5, 5) lies outside of the image"),
        (str(files[1]), "its face box (0, 0, 0, 9) is empty"),
    ]


def test_the_largest_face_is_cut_out_and_no_face_is_named(tmp_path: Path) -> None:
    picture = scene((70, 120, 25), (220, 120, 50))
    files = write(tmp_path, ("two.png", picture), ("none.png", scene()))
    with pytest.raises(BadSamples, match=r"none\.png: no face was found in this image"):
        build(index(files), tmp_path, crop="detect")
    cache = build(index(files), tmp_path, crop="detect", on_bad_sample="skip", colour=False)
    assert cache.valid.tolist() == [True, False]
    box = detect_face(picture)
    assert box is not None
    assert middle(box) == pytest.approx((220, 120), abs=15)
    cut = crop(picture, loose_box(box, 1.2, picture.shape))
    assert cut.shape == (round(1.2 * box.width),) * 2
    np.testing.assert_array_equal(
        cache.arrays["image"][0], cv2.resize(cut, (16, 16), interpolation=cv2.INTER_AREA)
    )


def test_a_face_that_is_not_found_lies_where_it_is_in_the_first_frame(tmp_path: Path) -> None:
    first = scene((220, 120, 50))
    apex = np.full_like(first, 90)
    apex[: first.shape[0] // 2] = 160
    small = np.full((20, 30), 90, np.uint8)
    files = write(tmp_path, ("first.png", first), ("apex.png", apex), ("small.png", small))
    found = index(files[:2], first_frames=[files[0], files[0]])
    stored = build(found, tmp_path, crop="detect", colour=False).arrays["image"]
    box = detect_face(first)
    assert box is not None
    cut = crop(apex, loose_box(box, 1.2, apex.shape))
    np.testing.assert_array_equal(stored[1], resize(cut, 16))
    other = index([files[2]], first_frames=[files[0]])
    with pytest.raises(BadSamples, match=r"small\.png: no face was found in this image"):
        build(other, tmp_path, crop="detect", colour=False)


def test_all_unusable_images_are_one_error(tmp_path: Path) -> None:
    files = write(tmp_path, *((f"{i}.png", face(i)) for i in range(4)))
    files[0].write_bytes(files[0].read_bytes()[:90])
    files[1].write_text("no image")
    files[2].unlink()
    found = index(files, problems=[(tmp_path / "list.txt", "line 3 has no label")])
    with pytest.raises(BadSamples) as error:
        build(found, tmp_path)
    assert [reason for _, reason in error.value.bad] == [
        "line 3 has no label",
        "the file is truncated",
        "the file is not an image that can be decoded",
        "No such file or directory",
    ]
    assert build(found, tmp_path, on_bad_sample="skip").valid.tolist() == [False] * 3 + [True]
    with pytest.raises(BadSamples, match="line 3 has no label"):
        build(index(files[3:], problems=found.problems), tmp_path)


def test_a_cache_is_shared_by_labels_and_belongs_to_images_and_size(tmp_path: Path) -> None:
    files = write(tmp_path, *((f"{i}.png", face(i)) for i in range(2)))
    path = build(index(files), tmp_path).path
    assert path.name.startswith("some-faces-")
    labels = {"expressions": np.ones(2, np.int8), "splits": ["train", "val"]}
    assert build(index(files, **labels), tmp_path).path == path
    boxes = np.array([[0, 0, 16, 16]] * 2)
    others = [
        build(index(files), tmp_path, size=8),
        build(index(files), tmp_path, colour=False),
        build(index(files, boxes=boxes), tmp_path),
        build(index(files, names=["a", "b"]), tmp_path),
        build(index(None, pixels=np.zeros((2, 4, 4), np.uint8)), tmp_path, colour=False),
        build(index(None, pixels=np.ones((2, 4, 4), np.uint8)), tmp_path, colour=False),
    ]
    write(tmp_path, ("1.png", face(7)))
    others.append(build(index(files), tmp_path))
    assert len({path, *(other.path for other in others)}) == 8


def test_a_face_becomes_a_square() -> None:
    assert resize(face(1, 30, colour=True)[:10], 12).shape == (12, 12, 3)
    np.testing.assert_array_equal(resize(face(2, 12), 12), face(2, 12))

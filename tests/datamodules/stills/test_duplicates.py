from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from datamodules.stills import duplicates
from datamodules.stills.duplicates import difference_hash, find_duplicates, open_duplicates
from datamodules.store.cache import Cache, build_cache
from datamodules.store.rows import ArraySpec
from tests.datamodules.fake_faces import face


def changed(image: np.ndarray, how: str) -> np.ndarray:
    if how == "compressed":
        return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 0)
    if how == "small":
        half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        return cv2.resize(half, image.shape)
    if how == "light":
        return cv2.convertScaleAbs(image, alpha=0.7, beta=30)
    return cv2.flip(image, 1)


def test_equal_images_are_of_one_group() -> None:
    images = np.stack([face(i) for i in (1, 2, 1, 3, 2, 1)])
    found = find_duplicates(images)
    assert [group.tolist() for group in found.groups(near=False)] == [[0, 2, 5], [1, 4]]
    assert [group.tolist() for group in found.groups()] == [[0, 2, 5], [1, 4]]
    images[2, 0, 0] += 1
    found = find_duplicates(images)
    assert [group.tolist() for group in found.groups(near=False)] == [[0, 5], [1, 4]]
    assert [group.tolist() for group in found.groups()] == [[0, 2, 5], [1, 4]]


@pytest.mark.parametrize("how", ["compressed", "small", "light"])
def test_what_differs_by_compression_size_or_light_is_nearly_equal(how: str) -> None:
    images = [face(i, 48) for i in range(20)]
    found = find_duplicates(np.stack([*images, *(changed(image, how) for image in images)]))
    assert not found.groups(near=False)
    assert [group.tolist() for group in found.groups()] == [[i, i + 20] for i in range(20)]


def test_other_pictures_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    images = [face(i, 48) for i in range(300)]
    mirrored = [changed(image, "mirrored") for image in images]
    assert not find_duplicates(np.stack([*images, *mirrored])).groups()
    # Not because of the hash alone: the thumbnails have the last word.
    monkeypatch.setattr(duplicates, "HASH_DISTANCE", 64)
    assert not find_duplicates(np.stack([*images[:50], *mirrored[:50]])).groups()


def test_the_pairs_are_those_of_a_plain_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    base = np.stack([face(i, 32) for i in range(40)]).astype(float)
    images = np.concatenate([base, base + rng.normal(0, 8, base.shape)]).clip(0, 255).astype("u1")
    monkeypatch.setattr(duplicates, "_CHUNK", 7)
    bits = np.array([[difference_hash(i) >> k & 1 for k in range(64)] for i in images])
    alike = squareform(pdist(bits, "hamming") * 64) <= duplicates.HASH_DISTANCE
    alike &= np.corrcoef(images.reshape(80, -1)) >= duplicates.CORRELATION
    near = find_duplicates(images).near
    together = near[:, None] == near
    assert 0 < np.triu(alike, 1).sum() < 40  # some of the 40 noisy twins, not all
    np.testing.assert_array_equal(together, alike | np.eye(80, dtype=bool))


def test_colour_counts_as_well() -> None:
    image = face(1, colour=True)
    swapped = image[..., ::-1]
    found = find_duplicates(np.stack([image, swapped, image]))
    assert [group.tolist() for group in found.groups(near=False)] == [[0, 2]]


def test_twins_of_training_images_are_told() -> None:
    images = np.stack([face(i, 48) for i in (1, 2, 3, 1, 4)])
    images[4] = changed(images[1], "light")
    found = find_duplicates(images)
    train = np.array([0, 1])
    assert found.twins(train).tolist() == [True, True, False, True, True]
    assert found.twins(train, near=False).tolist() == [True, True, False, True, False]
    assert not found.twins(train[:0]).any()


def test_rows_without_an_image_and_flat_images() -> None:
    images = np.zeros((5, 24, 24), np.uint8)
    images[3:] = 100
    found = find_duplicates(images, np.array([False, False, True, True, True]))
    assert [group.tolist() for group in found.groups(near=False)] == [[3, 4]]
    assert [group.tolist() for group in found.groups()] == [[3, 4]]


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    spec = {"image": ArraySpec((24, 24), "uint8")}
    return build_cache(tmp_path, {}, 4, spec, lambda row: {"image": face(row % 3)})


def test_what_was_found_is_kept_and_damage_is_repaired(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = open_duplicates(cache)
    assert [group.tolist() for group in found.groups()] == [[0, 3]]
    (file,) = cache.path.with_name(f"{cache.path.name}.report").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    np.testing.assert_array_equal(open_duplicates(cache).near, found.near)
    monkeypatch.setattr(duplicates, "find_duplicates", None)
    np.testing.assert_array_equal(open_duplicates(cache).exact, found.exact)
    assert list(file.parent.iterdir()) == [file]

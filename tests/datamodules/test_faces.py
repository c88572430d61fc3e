from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules.errors import UserError
from datamodules.faces import Box, crop, detect_face, detect_faces, face_of_landmarks, loose_box
from datamodules.synthetic import write_ckplus


def cartoon(image: NDArray[np.uint8], x: int, y: int, side: int) -> None:
    """Draw a face that the cascade takes for one: dark eyes and mouth, light cheeks and nose."""

    def spot(right: float, down: float, wide: float, high: float, grey: int) -> None:
        middle = (int(x + right * side), int(y + down * side))
        axes = (max(1, int(wide * side)), max(1, int(high * side)))
        cv2.ellipse(image, middle, axes, 0, 0, 360, grey, -1)

    spot(0, 0, 1, 1.3, 200)
    for sign in (-1, 1):
        spot(sign * 0.42, -0.25, 0.24, 0.12, 120)
        spot(sign * 0.42, -0.25, 0.12, 0.10, 40)
        spot(sign * 0.42, -0.48, 0.28, 0.05, 60)
    spot(0, 0.1, 0.1, 0.3, 215)
    spot(0, 0.33, 0.2, 0.07, 130)
    spot(0, 0.68, 0.38, 0.12, 110)
    cv2.GaussianBlur(image, (0, 0), 1.5, dst=image)


def scene(*faces: tuple[int, int, int], shape: tuple[int, int] = (240, 320)) -> NDArray[np.uint8]:
    image = np.full(shape, 90, np.uint8)
    for x, y, side in faces:
        cartoon(image, x, y, side)
    return image


def middle(box: Box) -> tuple[float, float]:
    return box.left + box.width / 2, box.top + box.height / 2


def test_the_largest_face_is_found() -> None:
    box = detect_face(scene((70, 120, 25), (220, 120, 50)))
    assert box is not None
    assert middle(box) == pytest.approx((220, 120), abs=15)
    assert 70 < box.width < 150


def test_a_large_picture_gives_the_same_face_in_its_own_pixels() -> None:
    image = scene((150, 120, 50))
    small, large = detect_face(image), detect_face(cv2.resize(image, (1280, 960)))
    assert small is not None
    assert large is not None
    assert large == pytest.approx([4 * value for value in small], abs=60)


def test_the_box_is_that_of_one_search_over_all_sizes(tmp_path: Path) -> None:
    write_ckplus(tmp_path / "ck", subjects=1, frames=2)
    file = min((tmp_path / "ck" / "cohn-kanade-images").rglob("*.png"))
    face = cv2.resize(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE), (320, 245))
    path = cv2.data.haarcascades + "haarcascade_frontalface_alt2.xml"
    for margin in range(0, 120, 5):  # from half of the picture's shorter side to a quarter
        image = cv2.copyMakeBorder(face, *[margin] * 4, cv2.BORDER_REPLICATE)
        image = image[:480, :480]
        smallest = round(0.12 * min(image.shape))
        found = cv2.CascadeClassifier(path).detectMultiScale(
            cv2.equalizeHist(image), 1.1, 3, minSize=(smallest, smallest)
        )
        assert detect_face(image) == Box(*max(found.tolist(), key=lambda box: box[2] * box[3]))


def test_no_face_is_none() -> None:
    assert detect_face(scene()) is None


def test_every_face_of_a_picture_is_found_from_left_to_right() -> None:
    two = scene((80, 120, 40), (230, 120, 45))
    boxes = detect_faces(two)
    centres = [(box.left + box.width / 2, box.top + box.height / 2) for box in boxes]
    assert len(centres) == 2
    assert centres[0] == pytest.approx((80, 120), abs=15)
    assert centres[1] == pytest.approx((230, 120), abs=15)
    large = detect_faces(cv2.resize(two, (1920, 1440)))
    for box, small in zip(large, boxes, strict=True):
        assert box == pytest.approx([6 * value for value in small], abs=90)
    assert detect_faces(scene()) == []


def test_an_opencv_without_cascades_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where other packages bring OpenCV 5, it may lie over the one that was asked for."""
    monkeypatch.delattr(cv2, "CascadeClassifier")
    with ThreadPoolExecutor() as pool, pytest.raises(UserError, match="opencv-contrib-python"):
        pool.submit(detect_face, scene()).result()  # a thread that has no cascade yet


def test_the_largest_of_all_faces_is_that_of_the_largest_face() -> None:
    for side in range(36, 60):
        image = scene((80, 120, 30), (230, 120, side))
        largest, boxes = detect_face(image), detect_faces(image)
        assert len(boxes) == 2
        assert boxes[1] == largest


def test_threads_do_not_disturb_each_other() -> None:
    images = [scene((100 + 10 * n, 120, 40 + 3 * n)) for n in range(4)]
    alone = [detect_face(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(detect_face, images * 3)) == alone * 3


@pytest.mark.parametrize(
    ("face", "expected"),
    [
        (Box(140, 80, 40, 40), Box(130, 70, 60, 60)),  # all around
        (Box(0, 0, 40, 40), Box(0, 0, 60, 60)),  # shifted from the left and the top
        (Box(280, 200, 40, 40), Box(260, 180, 60, 60)),  # from the right and the bottom
        (Box(60, 20, 200, 200), Box(10, -30, 300, 300)),  # taller than the picture
    ],
)
def test_the_loose_box_is_a_square_shifted_into_the_picture(face: Box, expected: Box) -> None:
    assert loose_box(face, 1.5, (240, 320)) == expected
    assert loose_box(face, 1.5, (240, 320, 3)) == expected


def test_a_crop_inside_is_a_view() -> None:
    image = scene()
    cut = crop(image, Box(10, 20, 30, 40))
    assert cut.shape == (40, 30)
    assert np.shares_memory(cut, image)


@pytest.mark.parametrize("channels", [(), (3,)])
def test_a_crop_that_sticks_out_repeats_the_border(channels: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (10, 12, *channels), dtype=np.uint8)
    cut = crop(image, Box(-2, -3, 17, 15))
    widths = [(3, 2), (2, 3)] + [(0, 0)] * len(channels)
    np.testing.assert_array_equal(cut, np.pad(image, widths, mode="edge"))


def test_landmarks_give_about_the_detected_box(tmp_path: Path) -> None:
    write_ckplus(tmp_path / "ckplus", subjects=2, frames=2)
    frames = sorted((tmp_path / "ckplus" / "cohn-kanade-images").rglob("*_00000001.png"))[::4]
    for frame in frames:
        image = np.asarray(cv2.imread(str(frame), cv2.IMREAD_GRAYSCALE), np.uint8)
        found = detect_face(image)
        assert found is not None
        place = tmp_path / "ckplus" / "Landmarks" / frame.parent.relative_to(frame.parents[2])
        points = np.loadtxt(place / f"{frame.stem}_landmarks.txt")
        expected = face_of_landmarks(points)
        assert expected.width == expected.height
        assert found.width == pytest.approx(expected.width, rel=0.15)
        middle = found.left + found.width / 2, found.top + found.height / 2
        assert middle == pytest.approx(
            (expected.left + expected.width / 2, expected.top + expected.height / 2),
            abs=0.08 * expected.width,
        )

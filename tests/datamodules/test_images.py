import os
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules import MOST_PIXELS
from datamodules.errors import BadSample
from datamodules.images import read_image


@pytest.fixture
def rgb() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)


def encoded(kind: str, rgb: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(kind, rgb[..., ::-1])[1].tobytes()


@pytest.mark.parametrize("kind", [".png", ".bmp", ".tiff"])
def test_colours_come_in_rgb_and_as_grey(tmp_path: Path, rgb: NDArray[np.uint8], kind: str) -> None:
    path = tmp_path / f"a{kind}"
    path.write_bytes(encoded(kind, rgb))
    np.testing.assert_array_equal(read_image(path, colour=True), rgb)
    grey = rgb @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(read_image(path, colour=False), grey, atol=1)


def test_grey_files_are_read_in_colour_too(tmp_path: Path, rgb: NDArray[np.uint8]) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(cv2.imencode(".png", rgb[..., 0])[1].tobytes())
    np.testing.assert_array_equal(read_image(path, colour=True), rgb[..., [0, 0, 0]])


def test_a_jpeg_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.JPG"
    ramp = np.repeat(np.arange(64, dtype=np.uint8)[:, None] * 3, 64, axis=1)
    path.write_bytes(cv2.imencode(".jpg", ramp)[1].tobytes())
    np.testing.assert_allclose(read_image(path, colour=False), ramp, atol=6)


def fails(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(BadSample) as caught:
        read_image(path, colour=False)
    assert caught.value.path == str(path)
    return caught.value.reason


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_png_is_found_and_silently(
    tmp_path: Path, rgb: NDArray[np.uint8], share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    data = encoded(".png", rgb)
    assert "truncated" in fails(tmp_path / "a.png", data[: int(len(data) * share)])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_flipped_byte_in_a_png_is_found(
    tmp_path: Path, rgb: NDArray[np.uint8], share: float
) -> None:
    data = bytearray(encoded(".png", rgb))
    data[int(len(data) * share)] ^= 1
    assert "checksum" in fails(tmp_path / "a.png", bytes(data))


@pytest.mark.parametrize("share", [0.05, 0.5, 0.8, 0.99])
def test_a_truncated_jpeg_is_found_though_its_thumbnail_is_whole(
    tmp_path: Path, rgb: NDArray[np.uint8], share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    data = encoded(".jpg", rgb)
    thumbnail = b"Exif\0\0" + data
    segment = b"\xff\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    whole = data[:2] + segment + data[2:]
    path = tmp_path / "a.jpg"
    path.write_bytes(whole + b"trailing bytes")
    assert read_image(path, colour=True).shape == rgb.shape
    cut = 2 + len(segment) + int(share * (len(data) - 2))
    assert "truncated" in fails(path, whole[:cut])
    assert capfd.readouterr() == ("", "")


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    assert "empty" in fails(tmp_path / "a.png", b"")
    assert "not an image" in fails(tmp_path / "a.png", b"sub_id;seq_id;label")


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSample, match=r"a\.png: No such file"):
        read_image(tmp_path / "a.png", colour=False)
    with pytest.raises(BadSample, match="is a folder, a pipe or a device"):
        read_image(tmp_path, colour=False)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("colour", [False, True])
def test_sixteen_bit_files_are_as_bright_as_what_was_written(
    tmp_path: Path, bits: int, colour: bool
) -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint16)[None], 32, axis=0)
    assert cv2.imwrite(str(tmp_path / "a.png"), ramp << (bits - 8))
    image = read_image(tmp_path / "a.png", colour=colour)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image[..., 0] if colour else image, ramp)


@pytest.mark.parametrize("shape", [(1, 64), (64, 1), (10, 330), (2, 2)])
def test_strips_and_dots_are_named(tmp_path: Path, shape: tuple[int, int]) -> None:
    data = cv2.imencode(".png", np.zeros(shape, np.uint8))[1].tobytes()
    assert f"is {shape[1]} x {shape[0]} pixels" in fails(tmp_path / "a.png", data)


def chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return len(data).to_bytes(4, "big") + kind + data + check.to_bytes(4, "big")


@pytest.mark.parametrize("side", [30_000, 60_000, 2_000_000_000])
def test_a_small_file_of_many_pixels_is_refused_before_it_takes_memory(
    tmp_path: Path, side: int
) -> None:
    header = side.to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    row = zlib.compress(bytes(30_001))
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", row), chunk(b"IEND", b""))
    reason = fails(tmp_path / "a.png", b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    assert "more than 200 million pixels" in reason or "not an image" in reason
    assert (MOST_PIXELS in reason) or side > 60_000


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(BadSample, match="a pipe or a device"):
        read_image(tmp_path / "a.png", colour=False)

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from callbacks.figures import faces
from callbacks.figures.faces import FacePictures, answer_texts
from callbacks.figures.pictures import LINE_HEIGHT, new_figure
from tests.callbacks.fakes import NAMES, FaceData, FaceModule, faces_of, trainer


def batch(numbers: list[int], sources: list[str], frames: list[int]) -> dict[str, Any]:
    count = len(numbers)
    return {
        **faces_of(numbers),
        "source": sources,
        "frame": torch.tensor(frames),
        "box": torch.tensor([[20 + 40 * i, 30, 32, 32] for i in range(count)]),
    }


def predict(folder: Path, batches: list[dict[str, Any]], **options: Any) -> Path:
    data = FaceData(folder / "input", batches)
    callback = FacePictures(**{"layer": "maps", **options})
    trainer(folder, callback).predict(FaceModule(), datamodule=data, return_predictions=False)
    return next((folder / "figures" / "predict").iterdir())


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "input"
    (folder / "party").mkdir(parents=True)
    for name, level in (("a.png", 100), ("party/b.png", 60)):
        cv2.imwrite(str(folder / name), np.full((480, 640, 3), level, np.uint8))
    film = cv2.VideoWriter(
        str(folder / "film.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (640, 480)
    )
    for level in range(0, 200, 20):
        film.write(np.full((480, 640, 3), level, np.uint8))
    film.release()
    return folder


def test_every_picture_is_written_once_with_all_its_faces(tmp_path: Path, pictures: Path) -> None:
    # The faces of the second picture come in two batches.
    batches = [
        batch([0, 1, 2], ["a.png", "party/b.png", "party/b.png"], [0, 0, 0]),
        batch([3], ["party/b.png"], [0]),
    ]
    written = predict(tmp_path, batches)
    names = sorted(path.name for path in written.iterdir())
    assert len(names) == 2
    assert names[0] == "a.png"
    drawn = cv2.imread(str(written / names[1]))
    assert drawn.shape[0] == 480 + LINE_HEIGHT
    assert drawn.shape[1] > 2 * 640  # the plain picture, the heat, its scale
    # Left edges of the boxes of its three faces: the second and third of one batch, then one alone.
    assert all((drawn[50, x] != 60).any() for x in (60, 100, 20))
    assert (drawn[400, 600] == 60).all()
    assert (drawn[480:] < 128).any()  # the caption


def test_heat_lies_within_the_box_where_the_class_was_read(tmp_path: Path, pictures: Path) -> None:
    one = batch([0], ["a.png"], [0])  # the face lights up in its rows 0 to 5 and columns 4 to 9
    drawn = cv2.imread(str(predict(tmp_path, [one]) / "a.png")).astype(int)
    beside = drawn[:, 640 + 8 :]
    hot, cold = beside[36, 34], beside[57, 46]
    assert hot[2] > hot[0] + 30  # the hot end of the scale is yellow
    assert abs(cold - 100).max() < 30
    assert (drawn[36, 34] == 100).all()  # the plain face
    bare = cv2.imread(str(predict(tmp_path, [one], layer=None) / "a.png"))
    assert bare.shape[1] == 640
    assert (bare[40, 34] == 100).all()


def test_a_film_shows_the_surest_frame_of_each_expression(tmp_path: Path, pictures: Path) -> None:
    frames = batch([0, 3, 1], ["film.avi"] * 3, [2, 5, 7])
    frames["image"][1] *= 1.1  # surer of the same class than frame 2
    later = batch([0], ["film.avi"], [9])
    written = predict(tmp_path, [frames, later])
    assert sorted(path.name for path in written.iterdir()) == [
        "film.avi_happiness.png",
        "film.avi_neutral.png",
    ]
    assert abs(int(cv2.imread(str(written / "film.avi_neutral.png"))[400, 600, 0]) - 100) < 6
    assert abs(int(cv2.imread(str(written / "film.avi_happiness.png"))[400, 600, 0]) - 140) < 6


def test_heat_is_computed_for_no_more_faces_than_are_drawn(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []

    def counted(model: Any, layer: str, image: torch.Tensor, classes: torch.Tensor) -> Any:
        counts.append(len(image))
        return torch.zeros(image[:, 0].shape)

    monkeypatch.setattr(faces, "heat_maps", counted)
    first = batch([0], ["film.avi"], [0])
    predict(tmp_path, [first, batch([0, 0], ["film.avi"] * 2, [1, 2])])
    assert counts == [1]


def test_a_test_ends_with_faces_of_each_class(tmp_path: Path) -> None:
    callback = FacePictures("maps", per_class=3)
    trainer(tmp_path, callback).test(FaceModule(), datamodule=FaceData(), verbose=False)
    picture = cv2.imread(str(tmp_path / "figures" / "faces.png"))
    assert picture.shape[1] > picture.shape[0] > 500
    assert picture.std() > 20


@pytest.mark.parametrize(("layer", "pictures"), [("maps", 2), (None, 1)])
def test_answers_are_marked_and_many_faces_take_more_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layer: str | None, pictures: int
) -> None:
    drawn: list[tuple[Any, ...]] = []
    monkeypatch.setattr(faces, "draw_grid", lambda *args: drawn.append(args) or new_figure(1, 1))
    callback = FacePictures(layer, per_class=10)
    trainer(tmp_path, callback).test(FaceModule(), datamodule=FaceData(), verbose=False)
    title, columns, rows, legend = drawn[0]
    assert title.startswith("FaceModule, test")
    assert title.endswith("data: synthetic, fold 0, seed 7")
    assert len(columns) == 8
    assert (legend is None) == (layer is None)
    for name in NAMES:
        mine = [row for row in rows if row.label == name]
        assert len(mine) == 1
    marks = [cell.right for row in rows for cell in row.cells if cell.caption]
    assert len(marks) == 30
    assert marks.count(False) == 3  # faces 9, 19 and 29 are read wrongly
    assert sum(len(row.cells) for row in rows) == 30 * pictures
    assert all(
        cell.caption[0] == "✓✗"[not cell.right] for r in rows for cell in r.cells[::pictures]
    )


def test_each_face_stands_beside_its_own_heat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[Any, ...]] = []
    monkeypatch.setattr(faces, "draw_grid", lambda *args: drawn.append(args) or new_figure(1, 1))
    callback = FacePictures("maps", per_class=10)
    trainer(tmp_path, callback).test(FaceModule(), datamodule=FaceData(), verbose=False)
    cells = [cell.image.astype(int) for row in drawn[0][2] for cell in row.cells]
    for plain, hot in zip(cells[::2], cells[1::2], strict=True):
        lit = plain.max(axis=2) > 200  # each face lights up in a place of its own
        assert ((abs(hot - plain).max(axis=2) > 60) == lit).mean() > 0.95


def test_a_layer_that_is_not_there_is_named_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"FaceModule has no layer map; did you mean maps\?"):
        trainer(tmp_path, FacePictures("map")).test(
            FaceModule(), datamodule=FaceData(), verbose=False
        )


def test_the_answer_is_said_with_its_probability() -> None:
    assert answer_texts(torch.tensor([[0.0, 0.0, 1.0]]), NAMES) == ["surprise 100%"]

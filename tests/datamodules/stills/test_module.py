from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from datamodules.errors import BadSamples, DatasetError
from datamodules.labels import ACTION_UNITS
from datamodules.stills.augmentation import Augmentation
from tests.datamodules.fake_faces import FakeFaces, face, make, ready, write_faces
from tests.datamodules.runs import Recorder, Saver, trainer


def order(data: FakeFaces) -> list[list[int]]:
    return [batch["sample_id"].tolist() for batch in data.train_dataloader()]


def test_batches_are_as_promised(tree: Path, cache: Path) -> None:
    data = ready(make(tree, cache))
    assert data.class_names[:2] == ("neutral", "happiness")
    assert data.source == "faces"
    assert len(data.manifest_hash) == len(data.folds_hash) == 64
    assert data.split_sizes == {"train": 24, "val": 12, "test": 12}
    assert data.class_counts == (8, 8, 0, 0, 8, 0, 0)
    assert data.train_subjects == ["S00", "S01", "S02", "S03"]
    assert data.test_subjects == ["S08", "S09", "S10", "S11"]
    assert data.num_folds == 1
    seen = []
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        for stored in loader:
            batch = data.on_after_batch_transfer(stored, 0)
            assert batch["image"].shape == (len(batch["label"]), 3, 16, 16)
            assert batch["image"].dtype == torch.float32
            assert batch["label"].dtype == batch["sample_id"].dtype == torch.int64
            seen += batch["sample_id"].tolist()
            for image, label, number in zip(
                batch["image"], batch["label"], batch["sample_id"].tolist(), strict=True
            ):
                name = data.sample_name(number)
                file = cv2.imread(str(tree / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
                small = cv2.resize(file, (16, 16), interpolation=cv2.INTER_AREA)
                for channel in image:
                    np.testing.assert_allclose(channel.numpy() * 255, small, atol=1e-3)
                assert data.class_names[label] == name.split("_")[1]
    assert sorted(seen) == list(range(48))


def test_colours_are_rgb(tmp_path: Path) -> None:
    root = write_faces(tmp_path / "faces", {"train": 2, "val": 1, "test": 1}, colour=True)
    data = ready(make(root, tmp_path))
    batch = data.on_after_batch_transfer(next(iter(data.test_dataloader())), 0)
    file = cv2.imread(str(root / f"{data.sample_name(int(batch['sample_id'][0]))}.png"))
    small = cv2.resize(file, (16, 16), interpolation=cv2.INTER_AREA)
    expected = cv2.cvtColor(small, cv2.COLOR_BGR2RGB).transpose(2, 0, 1)
    np.testing.assert_allclose(batch["image"][0].numpy() * 255, expected, atol=1e-3)
    assert batch["image"].is_contiguous()
    images, rows = data.faces("train")
    assert images.shape == (8, 16, 16, 3)
    assert rows.tolist() == [0, 1, 2, 3]


def test_votes_and_action_units_come_with_the_batch(tree: Path, cache: Path) -> None:
    data = make(tree, cache, expressions="basic6")
    votes = np.zeros((48, 8), np.float32)
    votes[:, 0], votes[:, 1], votes[:, 4] = 0.5, 0.3, 0.2
    votes[47, [1, 4]], votes[47, 0] = 0, 1
    units = np.random.default_rng(0).integers(0, 2, (48, len(ACTION_UNITS))).astype(np.int8)
    listed = np.arange(48) % 3 == 0
    data.more = {"votes": votes, "action_units": units, "subsets": {"pose30": listed}}
    ready(data)
    # The classes are happiness, surprise, sadness, anger, disgust, fear.
    assert data.class_counts == (8, 0, 0, 8, 0, 0)
    assert data.subset_names == ("pose30", "without_duplicates")
    for batch in data.test_dataloader():
        ids = batch["sample_id"]
        np.testing.assert_array_equal(batch["action_units"].numpy(), units[ids])
        np.testing.assert_array_equal(batch["subsets"][:, 0].numpy(), listed[ids])
        torch.testing.assert_close(batch["votes"].sum(1), torch.ones(len(ids)))
        for vote, label, number in zip(batch["votes"], batch["label"], ids.tolist(), strict=True):
            # Shares of the classes only; where nobody voted for one, the label alone counts.
            expected = [0.6, 0, 0, 0.4, 0, 0]
            if votes[number, 0] == 1:
                expected = np.eye(6)[label].tolist()
            assert vote.tolist() == pytest.approx(expected)
    assert "subsets" not in next(iter(data.train_dataloader()))


def test_everything_bad_is_one_error_or_skipped_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_faces(tmp_path / "faces", {"train": 4, "val": 2, "test": 2})
    broken = sorted((root / "train").iterdir())[0]
    broken.write_bytes(broken.read_bytes()[:80])
    problems = [(root / "list.txt", "names train_9, which is not there")]
    data = make(root, tmp_path / "cache")
    data.more = {"problems": problems}
    with pytest.raises(BadSamples) as error:
        data.prepare_data()
    bad = {str(broken): "the file is truncated", str(problems[0][0]): problems[0][1]}
    assert dict(error.value.bad) == bad

    data = make(root, tmp_path / "cache", on_bad_sample="skip")
    data.more = {"problems": problems, "notes": ["16 images (published: 17)"]}
    with caplog.at_level(logging.INFO):
        ready(data)
        data.setup("fit")
    assert data.split_sizes == {"train": 7, "val": 4, "test": 4}
    title = "Fake, source faces: 16 images of 8 people; 1 problems, 1 unusable"
    assert caplog.text.count(title) == 1
    text = data.description
    assert title in text
    assert "list.txt: names train_9, which is not there" in text
    assert "the images are cached grey" in text
    assert "16 images (published: 17)" in text
    assert "train: 7 images of 4 people: neutral 4, happiness 3" in text
    assert "people of train: S00, S01, S02, S03" in text


def test_duplicates_are_reported_and_left_out_of_a_subset(tmp_path: Path) -> None:
    root = write_faces(tmp_path / "faces", {"train": 4, "val": 2, "test": 2})
    trained = sorted((root / "train").iterdir())
    tested = sorted((root / "test").iterdir())
    tested[1].write_bytes(trained[0].read_bytes())
    brighter = cv2.imread(str(trained[3]), cv2.IMREAD_GRAYSCALE) * 0.9 + 20
    cv2.imwrite(str(tested[2]), brighter)
    data = ready(make(root, tmp_path / "cache"), "test")
    assert "0 of val exactly and 0 nearly, 1 of test exactly and 1 nearly" in data.description
    (batch,) = data.test_dataloader()
    assert data.subset_names == ("without_duplicates",)
    assert batch["subsets"].tolist() == [[True], [False], [False], [True]]


def test_the_sampler_balances_classes(tmp_path: Path, cache: Path) -> None:
    root = write_faces(tmp_path / "faces", {"train": 2, "val": 2, "test": 2})
    write_faces(root, {"train": 10}, classes=("anger",))
    data = ready(make(root, cache, class_balance="sampler", batch_size=14))
    assert data.class_counts == (2, 2, 0, 0, 10, 0, 0)
    total = np.zeros(7)
    for epoch in range(6):
        data._position = (epoch, 0)
        (batch,) = data.train_dataloader()
        total += np.bincount(batch["label"].numpy(), minlength=7)
    assert total.sum() == 6 * 14
    assert total[[0, 1, 4]] == pytest.approx(28, abs=5)


@pytest.mark.parametrize("balance", ["none", "sampler"])
def test_a_resumed_run_sees_what_the_uninterrupted_one_would(
    tmp_path: Path, tree: Path, cache: Path, balance: str
) -> None:
    """From the checkpoint after each batch, at the ends of epochs too, the rest is the same."""

    def data() -> FakeFaces:
        return make(tree, cache, class_balance=balance, batch_size=10)

    whole = Recorder("image")
    fit = trainer(tmp_path, max_epochs=2, callbacks=[Saver(tmp_path)])
    fit.fit(whole, datamodule=data())
    assert [len(seen) - 1 for seen in whole.seen] == [10, 10, 4] * 2
    for name, done in (("step=1", 1), ("step=3", 3), ("step=5", 5), ("epoch=0", 3)):
        rest = Recorder("image")
        file = tmp_path / f"{name}.ckpt"
        trainer(tmp_path, max_epochs=2).fit(rest, datamodule=data(), ckpt_path=str(file))
        assert rest.seen == whole.seen[done:]
        assert rest.sums == whole.sums[done:]


def test_processes_share_the_images(tree: Path, cache: Path) -> None:
    class Shard(FakeFaces):
        rank = 0

        def _rank(self) -> tuple[int, int]:
            return self.rank, 2

    for balance in ("none", "sampler"):
        trained, tested = [], []
        for rank in range(2):
            kwargs = {"class_balance": balance, "root": str(tree), "cache_dir": str(cache)}
            data = Shard(**kwargs)
            data.rank = rank
            ready(data, None)
            trained.append(order(data))
            tested += [i for b in data.test_dataloader() for i in b["sample_id"].tolist()]
        assert [len(batch) for batch in trained[0]] == [len(batch) for batch in trained[1]]
        both = [i for batches in trained for batch in batches for i in batch]
        # The classes are equally large: to balance them, each image comes once, too.
        assert sorted(both) == list(range(24))
        assert sorted(tested) == list(range(36, 48))


def test_a_checkpoint_trained_on_who_is_held_out_is_refused(
    tmp_path: Path, tree: Path, cache: Path
) -> None:
    def save(**kwargs: Any) -> str:
        callbacks = [Saver(tmp_path)]
        trainer(tmp_path, callbacks=callbacks).fit(Recorder("image"), datamodule=make(**kwargs))
        return str(tmp_path / "epoch=0.ckpt")

    def test(file: str, **kwargs: Any) -> None:
        trainer(tmp_path).test(Recorder("image"), datamodule=make(**kwargs), ckpt_path=file)

    where = {"tree": tree, "cache": cache, "official": False, "folds": 4}
    file = save(**where)
    test(file, **where)
    with pytest.raises(DatasetError, match=r"was trained on S\d\d.* of faces, who are in the test"):
        test(file, **where, fold=2)
    # Where nobody knows the people, images are compared.
    where["known"] = False
    file = save(**where)
    test(file, **where)
    with pytest.raises(DatasetError, match="was trained on 12 of the 12 samples of the test part"):
        test(file, **where, fold=2)


def test_augmentation_is_for_training_only(tmp_path: Path, tree: Path, cache: Path) -> None:
    def sums(augmentation: Augmentation | None, state: int = 3) -> tuple[list[float], float]:
        recorder = Recorder("image")
        data = make(tree, cache, augmentation=augmentation)
        torch.manual_seed(state)
        fit = trainer(tmp_path)
        fit.fit(recorder, datamodule=data)
        return recorder.sums, float(fit.callback_metrics["val/x"])

    plain, value = sums(None)
    changed, same = sums(Augmentation(erasing_p=1.0))
    # Whatever state the generator was left in: a resumed run has another.
    again, _ = sums(Augmentation(erasing_p=1.0), state=4)
    assert value == same
    assert changed == again
    assert all(a != b for a, b in zip(plain, changed, strict=True))


def test_embedded_faces_are_drawn_in_the_cache_and_called_synthetic(tmp_path: Path) -> None:
    data = ready(FakeFaces(cache_dir=str(tmp_path)))
    assert data.source == "synthetic"
    assert (tmp_path / "synthetic" / "fake").is_dir()
    assert data.split_sizes == {"train": 8, "val": 4, "test": 4}
    copy = ready(make(tmp_path / "synthetic" / "fake", tmp_path))
    assert copy.source == "synthetic"


def test_pixels_need_no_files(tmp_path: Path) -> None:
    data = FakeFaces(root=str(tmp_path), cache_dir=str(tmp_path / "cache"), size=24)
    pixels = np.stack([face(i) for i in range(6)])
    data.more = {
        "names": [str(i) for i in range(6)],
        "files": None,
        "pixels": pixels,
        "expressions": np.array([0, 1, 0, 1, 0, 1], np.int8),
        "splits": ["train", "train", "val", "val", "test", "test"],
        "subjects": None,
    }
    ready(data, "test")
    np.testing.assert_array_equal(data.faces("test")[0], pixels)
    assert data.sample_name(5) == "5"


def test_prediction_needs_no_data_set(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), face(1, colour=True))
    data = FakeFaces(
        root=str(tmp_path / "nowhere"),
        cache_dir=str(tmp_path / "cache"),
        input=str(tmp_path / "a.png"),
        input_crop="none",
    )
    (batch,) = trainer(tmp_path).predict(Recorder("image"), datamodule=data)
    assert not (tmp_path / "cache").exists()
    assert batch["image"].shape == (1, 3, 16, 16)
    assert 0 < batch["image"].max() <= 1
    assert batch["box"].tolist() == [[0, 0, 24, 24]]
    assert data.sample_name(int(batch["sample_id"][0])) == "a.png#1"
    assert data.source == "a.png"
    with pytest.raises(ValueError, match=r"Prediction needs data\.input"):
        trainer(tmp_path).predict(Recorder("image"), datamodule=FakeFaces())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "data.size must be at least 1, but is 0"),
        ({"val_share": 1.0}, "data.val_share must be between 0 and 1, but is 1"),
        ({"train_limit": 0}, "data.train_limit must be at least 1, but is 0"),
        ({"expressions": "seven"}, "expressions must be one of basic7"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FakeFaces(**arguments)

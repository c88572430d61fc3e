"""Every study of the project, run from end to end at a tiny size on data that are drawn here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from datamodules.synthetic.ferplus import write_ferplus
from datamodules.synthetic.rafdb import write_rafdb
from experiments.cli import main
from experiments.command.usage import PACKAGE
from experiments.study.study_file import read_study
from tests.datamodules.fake_faces import face
from tests.datamodules.sets.test_ckplus_faces import coded_tree, write_facs
from tests.datamodules.sets.test_fer2013 import kaggle
from tests.datamodules.sets.test_jaffe import tree as jaffe_tree
from tests.datamodules.still_trees import celeba_tree, kdef_tree, rafd_tree, sfew_tree, touch

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),  # of eMotion-GAN five data sets are drawn, once
    pytest.mark.filterwarnings("ignore:.* are usable, published are"),
]

STUDIES = sorted(PACKAGE.glob("studies/*.yaml"))
MIXED = ("SNaP2DFe", "CKPlus", "ADFES", "MMI", "OuluCASIA")
# What makes the methods of a paper small; a study's rows decide the rest.
SMALL = {
    "vae_ssim": [
        *("--data.labels_csv=null", "--data.synthetic_subjects=10"),
        "--trainer.limit_train_batches=2",
    ],
    "ssim_vae": ["--data.synthetic_subjects=10", "--trainer.limit_train_batches=2"],
    "ckplus": ["--data.synthetic_subjects=10", "--trainer.limit_train_batches=2"],
    "emotion_gan": [
        *("--model.size=32", "--model.width=2", "--model.perceptual=e_fer"),
        *("--model.e_fer_epochs=1", "--trainer.limit_train_batches=2"),
        *(f"--data.sets.{name}DataModule.synthetic_subjects=10" for name in MIXED),
    ],
    "pcnn": [
        *("--model.size=64", "--model.width=4", "--model.weights=null", "--data.crop=none"),
        "--data.batch_size=8",
    ],
    "dcgan_svm": [
        *("--model.size=16", "--model.width=4", "--model.search_folds=2"),
        *("--model.search_trials=1", "--model.quality_samples=8", "--data.crop=none"),
        "--data.batch_size=8",
    ],
}


def drawn(root: Path) -> Path:
    """Fill the empty pictures of a tree with faces of noise."""
    files = (f for f in sorted(root.rglob("*")) if f.suffix.lower() in (".jpg", ".png", ".tiff"))
    for seed, file in enumerate(files):
        if file.stat().st_size == 0 and "__MACOSX" not in file.parts:
            assert cv2.imwrite(str(file), face(seed, 32, colour=True))
    return root


def six_expressions(root: Path) -> Path:
    coded_tree(root, subjects=12, codes=(1, 3, 4, 5, 6, 7))
    for subject in range(1, 13):
        for sequence in (4, 5, 6):
            write_facs(root, subject, sequence, 5, {4: 1.0})
    return root


def twelve_films(root: Path) -> Path:
    sfew_tree(root)
    folders = sorted((root / "Train" / "Train_Aligned_Faces").iterdir())
    for number, folder in enumerate(folders):
        touch(*(folder / f"Film{letter}_00000{number:04d}_00000005.png" for letter in "ABCDEFGHIJ"))
    return drawn(root)


TREES: dict[str, Callable[[Path], object]] = {
    "rafdb": lambda root: write_rafdb(root, train=42, test=14, workers=1),
    "ferplus": lambda root: write_ferplus(root, train=48, val=16, test=16, workers=1),
    "fer2013": lambda root: kaggle(root / "fer2013.csv"),
    "jaffe": lambda root: drawn(jaffe_tree(root)),
    "rafd": lambda root: drawn(rafd_tree(root, models=range(1, 11), gazes=("frontal",))),
    "rafd_multiview": lambda root: drawn(rafd_tree(root, models=range(1, 11), gazes=("frontal",))),
    "kdef": lambda root: drawn(kdef_tree(root, [f"F{n:02d}" for n in range(1, 11)])),
    "sfew": twelve_films,
    "celeba": lambda root: drawn(celeba_tree(root, faces=40)),
    "ckplus": six_expressions,
}


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which each data set is drawn once."""
    return tmp_path_factory.mktemp("trees")


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of all studies: what two of them share is run once."""
    return tmp_path_factory.mktemp("runs")


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_a_study_runs_from_end_to_end(
    file: Path, trees: Path, runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    study = read_study(file)
    paper = next(paper for paper in SMALL if file.stem.startswith(paper))
    # Faces that a detector finds are drawn by the data modules themselves.
    named = list(study.data) if paper in ("pcnn", "dcgan_svm") else []
    for name in named:
        if not (trees / name).exists():
            TREES[name](trees / name)
    small = [*SMALL[paper], "--trainer.max_epochs=1", "--trainer.accelerator=cpu"]
    small += [f"--data.cache_dir={trees / 'cache'}"]  # what two studies draw is drawn once
    roots = ["--roots", *(f"{name}={trees / name}" for name in named)] if named else []
    command = ["study", str(file), "--fold", "0", "--seeds", "1", "--jobs", "2", *roots]
    main([*command, f"--runs_dir={runs_dir}", *small, "--trainer.enable_progress_bar=false"])
    summary = json.loads((runs_dir / "studies" / file.stem / "study.json").read_text())
    assert [row["missing"] for row in summary["rows"]] == [[] for _ in study.places()]
    measured = [value for row in summary["rows"] for value in row["cells"].values()]
    assert any(value is not None for value in measured)

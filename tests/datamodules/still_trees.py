"""Trees of still images in the layouts of their data sets, with all that lies about in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def touch(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def rafd_tree(
    root: Path,
    models: Sequence[int] = (1, 2, 4, 72),
    angles: Sequence[int] = (0, 45, 90, 135, 180),
    gazes: Sequence[str] = ("frontal", "left", "right"),
) -> Path:
    """Numbers of models have gaps and go past 67."""
    words = ("neutral", "happy", "surprised", "sad", "angry", "disgusted", "fearful")
    for model in models:
        for word in (*words, "contemptuous"):
            for angle in angles:
                for gaze in gazes:
                    name = f"Rafd{angle:03d}_{model:02d}_Caucasian_female_{word}_{gaze}.jpg"
                    touch(root / name)
    touch(root / ".DS_Store", root / "readme.txt", root / "__MACOSX" / f"._{name}")
    return root


def kdef_tree(root: Path, people: Sequence[str] = ("F01", "M01")) -> Path:
    for person in people:
        for session in "AB":
            for code in ("AF", "AN", "DI", "HA", "NE", "SA", "SU"):
                for view in ("FL", "HL", "S", "HR", "FR"):
                    folder = f"{session}{person}"
                    touch(root / "KDEF" / folder / f"{folder}{code}{view}.JPG")
    touch(root / "KDEF" / ".DS_Store", root / "KDEF" / "Thumbs.db", root / "KDEF.txt")
    touch(root / "AKDEF" / "FAFFL.JPG")
    return root


def sfew_tree(root: Path, val: str = "Val_Aligned_Faces_new/Val_Aligned_Faces") -> Path:
    """Two films to train on, one to test on; a name with underscores; neighbours not aligned."""
    words = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
    for number, word in enumerate(words):
        train, test = root / "Train" / "Train_Aligned_Faces" / word, root / "Val" / val / word
        time = f"{519 + number:06d}240_00000005.png"
        touch(train / f"Airheads_{time}", train / f"Pretty_in_Pink_{time}")
        touch(test / f"Hangover_{time}")
        touch(train / ".DS_Store", train / "note.txt")
        touch(root / "Train" / word / "Airheads_000000001_00000001.png")
    touch(root / "Test" / "Test_Aligned_Faces" / "Nobody_000000001_00000001.png")
    return root


def celeba_tree(root: Path, faces: int = 10, *, kaggle: bool = False) -> Path:
    """Attributes: every second face has Eyeglasses; parts: 6 of 10 train, 2 and 2."""
    names = [f"{number:06d}.jpg" for number in range(1, faces + 1)]
    parts = [0 if i % 10 < 6 else 1 if i % 10 < 8 else 2 for i in range(faces)]
    glasses = [1 if i % 2 else -1 for i in range(faces)]
    folder = root / "img_align_celeba"
    folder = folder / "img_align_celeba" if kaggle else folder
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()
    rows = list(zip(names, parts, glasses, strict=True))
    if kaggle:
        table = {
            "list_eval_partition.csv": ["image_id,partition", *(f"{n},{p}" for n, p, _ in rows)],
            "list_attr_celeba.csv": [
                "image_id,Eyeglasses,Smiling",
                *(f"{n},{g},1" for n, _, g in rows),
            ],
        }
    else:
        table = {
            "list_eval_partition.txt": [f"{n} {p}" for n, p, _ in rows],
            "list_attr_celeba.txt": [
                str(faces),
                "Eyeglasses Smiling ",
                *(f"{n} {g:2d}  1" for n, _, g in rows),
            ],
            "identity_CelebA.txt": [f"{n} {2880 + i // 2}" for i, n in enumerate(names)],
        }
    for file, lines in table.items():
        # The lists come with either kind of line end, and without a last one.
        (root / file).write_bytes("\r\n".join(lines).encode())
    return root

"""CK+, the Extended Cohn-Kanade data set, posed by small in-plane motions on the device."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.errors import BadSample, DatasetError, missing_root
from datamodules.files import (
    Problems,
    find_folder,
    folders,
    given_path,
    natural_key,
    nested,
    read_text,
    visible,
)
from datamodules.index import Index
from datamodules.labels import CKPLUS_CODES, Expression, refuse_shift, whole_number
from datamodules.loaders import Batch
from datamodules.motion.module import FlowDataModule
from datamodules.motion.pairs import PairReader
from datamodules.motion.posing import PoseRange, draw_noise, draw_poses, pose_flow
from datamodules.recordings import frame_folder
from datamodules.sets.lists.lille import expression_codes, key, read_labels
from datamodules.synthetic import write_ckplus

_IMAGES = ("cohn-kanade-images",)
_LABELS = ("Emotion", "emotions", "Emotion_labels")
_SUBJECT = re.compile(r"S\d{3}", re.IGNORECASE)
_SEQUENCE = re.compile(r"\d{3}")
_FRAME = re.compile(r"S\d{3}_\d{3}_\d{8}\.png", re.IGNORECASE)
_LABEL = re.compile(r"S\d{3}_\d{3}_\d{8}_emotion\.txt", re.IGNORECASE)


class _Published(NamedTuple):
    """What a set of labels was published with."""

    labels: str
    subjects: int
    sequences: dict[Expression, int]


_OFFICIAL = _Published(
    "the Emotion folder",
    118,
    {
        Expression.ANGER: 45,
        Expression.CONTEMPT: 18,
        Expression.DISGUST: 59,
        Expression.FEAR: 25,
        Expression.HAPPINESS: 69,
        Expression.SADNESS: 28,
        Expression.SURPRISE: 83,
    },
)
_LILLE = _Published(
    "the list of the eMotion-GAN and SSIM-VAE papers",
    99,
    {
        Expression.ANGER: 37,
        Expression.DISGUST: 41,
        Expression.FEAR: 53,
        Expression.HAPPINESS: 95,
        Expression.SADNESS: 65,
        Expression.SURPRISE: 83,
    },
)

_Key = tuple[str, str]


class FrontalCKPlus(FlowDataModule):
    """What the data modules of CK+ share: its sequences from the neutral face to the apex.

    593 sequences of 123 subjects, 327 of them (118 subjects) labelled in the Emotion folder. The
    papers' list is no part of these: 143 of its 374 sequences have no official label.

    Args:
        labels_csv: List `subject;file;emotion` that replaces the Emotion folder, in the codes of
            the Lille group (0: not used). The 374 sequences of the eMotion-GAN and SSIM-VAE papers
            are such a list, with whose counts it is compared.
        label_map: Expression of each code in `labels_csv`; null takes the codes of the Lille
            group.
        synthetic_subjects: Number of embedded faces, where there is no root.
        **kwargs: See `FlowDataModule`.

    Reference:
        Lucey et al., The extended Cohn-Kanade dataset (CK+), CVPR workshops 2010.

    Deviation:
        A sequence without a label file has no label; it is not neutral.
    """

    name = "CK+"
    tree = """
cohn-kanade-images/S005/001/S005_001_00000001.png ...
Emotion/S005/001/S005_001_00000011_emotion.txt
"""
    origin = "jeffcohn.net/Resources, under a signed agreement, for non-commercial research"

    def __init__(
        self,
        labels_csv: str | None = None,
        label_map: dict[str, str] | None = None,
        synthetic_subjects: int = 20,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._labels_csv = given_path("labels_csv", labels_csv)
        self._codes = expression_codes(label_map)
        if label_map is None:
            del self._codes["0"]  # a sequence to a peak is not neutral: these lists mean "unused"
        self._synthetic_subjects = synthetic_subjects

    def write_embedded(self, folder: Path) -> Path:
        """Draw the embedded faces, once."""
        root = folder / f"ckplus-{self._synthetic_subjects}"
        write_ckplus(root, subjects=self._synthetic_subjects)
        return root

    def read_index(self, root: Path) -> Index:
        """Find the labelled sequences, see `read_ckplus`."""
        return read_ckplus(root, self._labels_csv, self._codes)


class CKPlusDataModule(FrontalCKPlus):
    """CK+, posed by motions drawn here.

    A second camera does not exist: `posed_flow` is the frontal flow with a small in-plane motion
    of the second frame and noise, see `posing`. Training draws a new motion for each sample in
    each epoch; validation and test always the same one.

    Args:
        rotation: Largest rotation to either side, in degrees.
        translation: Largest shift along each axis, in pixels of the grid.
        scale: Largest relative change of size.
        noise: Standard deviation of the noise on each flow component, in pixels of the grid.
        **kwargs: See `FrontalCKPlus`.

    Reference:
        eMotion-GAN, IV.A.

    Deviation:
        `expressions` stays at basic7, so that a model of SNaP-2DFe meets the same classes: of the
        327 labelled sequences 309 are used, contempt is left out and counted, and the class
        neutral has no sequence. `ck7` takes all 327, `basic6` the classes of the authors. The
        paper turns images and estimates the flow again; see `pose_flow`. It gives no ranges: these
        move a face by about as much as the paper's clip of 10 px.
    """

    def __init__(
        self,
        rotation: float = 10.0,
        translation: float = 4.0,
        scale: float = 0.05,
        noise: float = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._limits = PoseRange(rotation, translation, scale, noise)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Turn stored types into float32 and add `posed_flow`, on the device."""
        batch = super().on_after_batch_transfer(batch, dataloader_idx)
        if "posed_flow" in batch:  # a batch to predict on
            return batch
        trainer = self.trainer
        epoch = trainer.current_epoch + 1 if trainer is not None and trainer.training else 0
        batch["posed_flow"] = self._pose(batch["flow"], batch["sample_id"], epoch)
        return batch

    def posed_flows(
        self, arrays: Mapping[str, NDArray[Any]], rows: NDArray[np.int64]
    ) -> Iterator[NDArray[np.floating[Any]]]:
        """Yield posed flows as the first epoch draws them, for the report of magnitudes."""
        for row in rows:
            flow = torch.from_numpy(np.array(arrays["flow"][row])[None]).float()
            yield self._pose(flow, torch.tensor([int(row)]), epoch=1)[0].numpy()

    def compute_registered(self, reader: PairReader, row: int) -> dict[str, NDArray[Any]]:
        """Register frames of which the second was turned as the sample's flow is in test."""
        return reader.registered_after_turn(row, self.seed, self._limits)

    def posing_parameters(self) -> dict[str, Any]:
        """Return what the turns depend on."""
        return {"seed": self.seed, **asdict(self._limits)}

    def _pose(self, flow: torch.Tensor, sample_id: torch.Tensor, epoch: int) -> torch.Tensor:
        seed, limits = self.seed, self._limits
        motion = draw_poses(sample_id, seed=seed, epoch=epoch, limits=limits)
        noise = draw_noise(
            sample_id, seed=seed, epoch=epoch, size=flow.shape[-1], noise=limits.noise
        )
        return pose_flow(flow, motion) + noise


def read_ckplus(root: Path, labels_csv: Path | None, codes: dict[str, Expression]) -> Index:
    """Find the labelled sequences of CK+.

    Args:
        root: Folder of the data set, or one or two levels above it.
        labels_csv: List of labels that replaces the Emotion folder.
        codes: Expression of each code in that list; others are left out.

    Returns:
        The labelled sequences, each from its first frame (neutral) to its last (apex).

    Raises:
        DatasetError: If the data set is not there, or the list cannot be read.
    """
    images = find_folder(root, _IMAGES)
    if images is None:
        raise missing_root(FrontalCKPlus, root)
    problems: Problems = []
    recordings = {
        key(subject.name, sequence.name): frame_folder(sequence, _FRAME, problems)
        for subject in folders(images)
        if _SUBJECT.fullmatch(subject.name)
        for sequence in folders(subject)
        if _SEQUENCE.fullmatch(sequence.name)
    }
    notes: list[str] = []
    if labels_csv is None:
        labels = _official_labels(root, problems)
    else:
        listed = read_labels(labels_csv, codes, problems, unused="0")
        labels = {k: (label.where, label.expression) for k, label in listed.items()}
        notes.append(f"{labels_csv}: {len(labels)} labels")
    kept: list[_Key] = []
    for k in sorted(labels, key=lambda k: (natural_key(k[0]), natural_key(k[1]))):
        if k not in recordings:
            problems.append((labels[k][0], f"labels a sequence that is not in {images}"))
        elif len(recordings[k]) < 2:
            count = len(recordings[k])
            problems.append((recordings[k].path, f"has {count} frame(s), but a flow needs two"))
        else:
            kept.append(k)
    found = [recordings[k] for k in kept]
    subjects = [recording.path.parent.name for recording in found]
    expressions = [labels[k][1] for k in kept]
    notes.append(f"{len(recordings)} sequences found, {len(labels)} labelled")
    notes.append(_compare(expressions, subjects, _OFFICIAL if labels_csv is None else _LILLE))
    return Index(
        names=[f"{recording.path.parent.name}/{recording.path.name}" for recording in found],
        expressions=np.array(expressions, np.int8),
        recordings=[(recording,) for recording in found],
        lengths=np.array([len(recording) for recording in found], np.int64),
        subjects=subjects,
        problems=problems,
        left_out=[recording.path for recording in recordings.values()],
        notes=notes,
    )


def _official_labels(root: Path, problems: Problems) -> dict[_Key, tuple[str, Expression]]:
    """Read the Emotion folder; what cannot be read is a problem."""
    found = find_folder(root, _LABELS)
    if found is None:
        raise DatasetError(
            f"CK+ at {root} has no folder Emotion with the labels; unpack Emotion_labels.zip "
            "there, or give a list as data.labels_csv."
        )
    labels = {}
    codes: set[int | None] = set()
    for subject in folders(nested(found, "Emotion")):
        for sequence in folders(subject):
            files = [path for path in visible(sequence) if _LABEL.fullmatch(path.name)]
            if len(files) > 1:
                problems.append((sequence, f"holds {len(files)} labels"))
            elif files:
                code = _code(files[0], problems)
                codes.add(code)
                if code in CKPLUS_CODES:
                    labels[key(subject.name, sequence.name)] = (str(files[0]), CKPLUS_CODES[code])
                elif code is not None:
                    problems.append((files[0], f"holds the label {code}, not 0 to 7"))
    refuse_shift(found, codes, set(CKPLUS_CODES) - {0})  # 0 is documented and in no label file
    return labels


def _code(path: Path, problems: Problems) -> int | None:
    """Read the one number of a label file; None where it is a problem."""
    try:
        code = whole_number(read_text(path))
    except BadSample as error:
        problems.append((path, error.reason))
        return None
    if code is None:
        problems.append((path, "holds no label from 0 to 7, and nothing else"))
    return code


def _compare(expressions: list[Expression], subjects: list[str], published: _Published) -> str:
    """Compare counts with those of the publication."""
    counts, people = Counter(expressions), len(set(subjects))
    expected = published.sequences
    labels, total = published.labels, sum(expected.values())
    if counts == expected and people == published.subjects:
        return f"{total} labelled sequences of {people} subjects, each class as in {labels}"
    kinds = sorted(expected.keys() | counts.keys(), key=lambda e: e.name)
    found = ", ".join(f"{e.name.lower()} {counts[e]} (of {expected.get(e, 0)})" for e in kinds)
    return (
        f"{len(expressions)} labelled sequences of {people} subjects are usable, {labels} has "
        f"{total} of {published.subjects}: {found}"
    )

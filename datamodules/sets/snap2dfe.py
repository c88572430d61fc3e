"""SNaP-2DFe: faces seen at once from a helmet (frontal) and from in front of a moving head."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.errors import DatasetError, UserError, missing_root
from datamodules.files import Problems, file_name, find_folder, folders, natural_key
from datamodules.folds.protocol import read_protocol
from datamodules.index import Index
from datamodules.labels import Expression
from datamodules.loaders import Batch
from datamodules.motion.frontalized import frontalized_index, given_frontalized
from datamodules.motion.module import FlowDataModule
from datamodules.motion.posing import draw_share, exchanged, mirrored
from datamodules.recordings import FrameFolder, frame_folder
from datamodules.sets.lists.lille import expression_codes, key, read_labels, read_rows
from datamodules.sets.snap2dfe_release import MOVEMENT_OF, by_movement, compile_pattern, read_raw
from datamodules.synthetic import write_snap2dfe

_CAMERAS = ("SNAPcam1", "SNAPcam2")
_FRAME = re.compile(r"img_(\d{3,})\.(png|jpe?g|bmp|tiff?)", re.IGNORECASE)
_PUBLISHED = (15, 630)

_Key = tuple[str, str]


class SNaP2DFeDataModule(FlowDataModule):
    """SNaP-2DFe in the frame folders of the Lille group, or as released, by a pattern.

    15 subjects x 6 head movements x 7 expressions, each filmed by two synchronous cameras.

    Args:
        label_map: Expression of each code in SNAP_emotions.csv, e.g. `{"0": happiness}`; null
            takes the codes of the Lille group (0 neutral, 1 happiness, 2 fear, 3 surprise,
            4 anger, 5 disgust, 6 sadness).
        raw_pattern: Reads the raw release instead of frame folders: a regular expression over
            paths below the root, with the named groups subject, movement, expression, camera and,
            where the frames are single images, frame.
        raw_apex: Position of the apex in a raw recording, from 0 (first frame) to 1 (last).
        synthetic_subjects: Number of embedded faces, where there is no root.
        mirror: Share of the training samples that are shown mirrored, anew in each epoch.
        exchange: Share of them that get the head motion of another sample of their batch.
        frontalized: Folders of frames that other methods frontalised, by names of letters, digits
            and hyphens, e.g. `{glunet: /data/glunet}`. A folder holds what SNAPcam2 holds (of the
            raw release what root holds), under the same names and in the same size, of each
            sequence the first and the last frame at least: `/data/glunet/S001/001/img_001.png`. In
            test each is a row of flows and faces, computed as those of the moving head are; frames
            of SNAPcam1 that a method was given, as `glunet-frontal`, tell what it does to them.
        **kwargs: See `FlowDataModule`.

    Reference:
        Allaert, Mennesson, Bilasco, Djeraba, Impact of the face registration techniques on facial
        expressions recognition, Signal Processing: Image Communication 2018.

    Deviation:
        The authors' eMotion-GAN code drops the neutral recordings (6 classes): `basic6` does
        that, while the default keeps all 7. Raw recordings go from neutral to apex and back, and
        the form of their stage files is not public: the apex is taken at `raw_apex` of each. A
        protocol file need not list all sequences: those that it leaves out are left out here.
        The paper neither mirrors nor exchanges; 0 is the paper.
    """

    name = "SNaP-2DFe"
    tree = """
SNAPcam1/<subject>/<sequence>/img_001.png ...   (helmet camera, frontal)
SNAPcam2/<subject>/<sequence>/img_001.png ...   (fixed camera, head motion; the same frames)
emotions/SNAP_emotions.csv                      (sub_id;seq_id;label)
protocols/SNAP_proto.csv                        (optional: sub_id;seq_id;label;Fold 1;...)
movements.csv                                   (optional: sub_id;seq_id;movement)
"""
    origin = (
        "its authors (Allaert, Mennesson, Bilasco, Djeraba) on request, for non-commercial "
        "research: ballaertphd.wp.imt.fr/datasets/snap-2dfe"
    )

    def __init__(
        self,
        label_map: dict[str, str] | None = None,
        raw_pattern: str | None = None,
        raw_apex: float = 0.5,
        synthetic_subjects: int = 20,
        mirror: float = 0.0,
        exchange: float = 0.0,
        frontalized: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, share in (("mirror", mirror), ("exchange", exchange)):
            if not 0 <= share <= 1:
                raise UserError(f"data.{name} must lie from 0 to 1, but is {share}.")
        if not 0.0 < raw_apex <= 1.0:
            raise UserError(f"data.raw_apex must be above 0 and at most 1, but is {raw_apex}.")
        if raw_pattern is not None:
            compile_pattern(raw_pattern)
        self._codes = expression_codes(label_map)
        self._raw_pattern = raw_pattern
        self._raw_apex = raw_apex
        self._synthetic_subjects = synthetic_subjects
        self._mirror = mirror
        self._exchange = exchange
        self._frontalized = given_frontalized(frontalized)
        self.rivals = tuple(self._frontalized)

    def write_embedded(self, folder: Path) -> Path:
        """Draw the embedded faces: 6 head movements x 7 expressions of each subject, once."""
        root = folder / f"snap2dfe-{self._synthetic_subjects}"
        write_snap2dfe(root, subjects=self._synthetic_subjects)
        return root

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Turn stored types into float32; mirror samples and exchange heads in training."""
        batch = super().on_after_batch_transfer(batch, dataloader_idx)
        if self.trainer is None or not self.trainer.training:
            return batch
        samples = batch["sample_id"]
        drawing = {"seed": self.seed, "epoch": self.trainer.current_epoch}
        # Streams 2 and 3 choose other things.
        heads = draw_share(samples, share=self._exchange, stream=4, **drawing)
        posed = exchanged(batch["flow"], batch["posed_flow"], heads)
        chosen = draw_share(samples, share=self._mirror, **drawing)
        batch["flow"] = mirrored(batch["flow"], chosen)
        batch["posed_flow"] = mirrored(posed, chosen)
        for face in ("neutral", "apex"):
            batch[face] = torch.where(chosen.view(-1, 1, 1, 1), batch[face].flip(-1), batch[face])
        return batch

    def read_index(self, root: Path) -> Index:
        """Find the sequences, see `read_frame_folders` and `read_raw`."""
        if self._raw_pattern is None:
            return read_frame_folders(root, self._codes)
        if not root.is_dir():
            raise missing_root(type(self), root, tree="what raw_pattern describes")
        return read_raw(root, self._raw_pattern, self._raw_apex)

    def frontalized_by_others(self, index: Index, root: Path) -> dict[str, tuple[Index, Path]]:
        """Return the sequences with the frames that `data.frontalized` names."""
        camera = None if self._raw_pattern else find_folder(root, [_CAMERAS[1]])
        return {
            name: (frontalized_index(index, name, folder, camera or root), folder)
            for name, folder in self._frontalized.items()
        }


def read_frame_folders(root: Path, codes: dict[str, Expression]) -> Index:
    """Find the sequences in the frame folders of the Lille group.

    Args:
        root: Folder of the data set, or one or two levels above it.
        codes: Expression of each code in the list of emotions.

    Returns:
        The sequences of which both cameras and the label are there, in numerical order. Of
        unequal recordings the frames that both have are taken, and the fact is a problem.

    Raises:
        DatasetError: If the data set is not there, or a list cannot be read.
    """
    cameras = [find_folder(root, [name]) for name in _CAMERAS]
    present = [camera for camera in cameras if camera is not None]
    if not present:
        raise missing_root(SNaP2DFeDataModule, root)
    base = present[0].parent
    emotions = base / "emotions" / "SNAP_emotions.csv"
    missing = [name for name, camera in zip(_CAMERAS, cameras, strict=True) if camera is None]
    if not emotions.is_file():
        missing.append("emotions/SNAP_emotions.csv")
    if missing:
        raise DatasetError(
            f"SNaP-2DFe at {base} lacks {' and '.join(missing)}. Expected there:"
            f"{SNaP2DFeDataModule.tree.rstrip()}"
        )
    problems: Problems = []
    notes: list[str] = []
    frontal, posed = (_recordings(camera, problems) for camera in present)
    labels = read_labels(emotions, codes, problems)
    kept: list[_Key] = []
    for k in sorted(frontal | posed, key=lambda k: (natural_key(k[0]), natural_key(k[1]))):
        if k not in frontal or k not in posed:
            lacking = _CAMERAS[k in frontal]
            problems.append(((frontal | posed)[k].path, f"has no counterpart in {lacking}"))
        elif k in labels and _is_usable(frontal[k], posed[k], problems):
            kept.append(k)
    for k, label in labels.items():
        if k not in frontal and k not in posed:
            problems.append((label.where, f"there is no {label.name}"))
    folds = _protocol_folds(base / "protocols" / "SNAP_proto.csv", kept, notes)
    movements = base / "movements.csv"
    subsets = {}
    if movements.is_file():
        moves = {key(row.subject, row.sequence): row.value for row in read_rows(movements)}
        counts = Counter(moves.get(k) for k in kept)
        notes.append("head movements: " + ", ".join(f"{m} {n}" for m, n in counts.items()))
        words = [(moves.get(k) or "unknown").lower() for k in kept]
        subsets = by_movement([MOVEMENT_OF.get(word, file_name(word)) for word in words])
    subjects = [frontal[k].path.parent.name for k in kept]
    found = (len(set(subjects)), len(kept))
    verdict = "as published" if found == _PUBLISHED else "published: {} and {}".format(*_PUBLISHED)
    notes.append(f"subjects and sequences found: {found[0]} and {found[1]} ({verdict})")
    return Index(
        names=[f"{frontal[k].path.parent.name}/{frontal[k].path.name}" for k in kept],
        expressions=np.array([labels[k].expression for k in kept], np.int8),
        recordings=[(frontal[k], posed[k]) for k in kept],
        lengths=np.array([min(len(frontal[k]), len(posed[k])) for k in kept], np.int64),
        subjects=subjects,
        folds=folds,
        subsets=subsets,
        problems=problems,
        notes=notes,
    )


def _recordings(camera: Path, problems: Problems) -> dict[_Key, FrameFolder]:
    """List the recordings of a camera; empty folders are problems."""
    found = {}
    for subject in folders(camera):
        sequences = folders(subject)
        if not sequences:
            problems.append((subject, "is empty"))
        for sequence in sequences:
            recording = frame_folder(sequence, _FRAME, problems)
            if len(recording):
                found[key(subject.name, sequence.name)] = recording
            else:
                problems.append((sequence, "holds no frame img_001.png, img_002.png, ..."))
    return found


def _is_usable(frontal: FrameFolder, posed: FrameFolder, problems: Problems) -> bool:
    """Tell whether two recordings have two frames; that they are unequal is a problem as well."""
    if len(frontal) != len(posed):
        reason = f"has {len(posed)} frames, but {frontal.path} has {len(frontal)}"
        problems.append((posed.path, reason))
    shorter = min(frontal, posed, key=len)
    if len(shorter) < 2:
        problems.append((shorter.path, "has one frame, but a flow needs two"))
    return len(shorter) >= 2


def _protocol_folds(path: Path, kept: list[_Key], notes: list[str]) -> NDArray[np.int64] | None:
    """Find the fold of each sequence in the protocol; None without a protocol, -1 if left out."""
    if not path.is_file():
        return None
    fold_of = {key(who, what): fold for who, what, _, fold in read_protocol(path)}
    folds = np.array([fold_of.get(k, -1) for k in kept], np.int64)
    listed = int((folds >= 0).sum())
    notes.append(f"{path} lists {listed} of {len(kept)} sequences")
    return folds if listed else None

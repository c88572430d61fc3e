"""Oulu-CASIA NIR&VIS: six expressions from neutral to apex, by two cameras in three lights."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from datamodules.errors import missing_root, some_of
from datamodules.files import Problems, folders, natural_key, walk
from datamodules.index import Index
from datamodules.labels import EXPRESSION_WORDS, OULU_CODES, Expression
from datamodules.motion.turned import TurnedFlowDataModule
from datamodules.recordings import FrameFolder, frame_folder
from datamodules.sets.counts import compare_counts
from datamodules.sets.lists.listed import ListedSequences
from datamodules.sets.sequence_stills import check_apex_frames, stills_of
from datamodules.stills.module import FaceDataModule
from datamodules.synthetic import write_oulu

SPECTRA = ("VL", "NI")
"""Visible light and near infrared."""
LIGHTS = ("Strong", "Weak", "Dark")

Images = Literal["original", "cropped"]

# What lies above the folder of a camera is spelled in many ways; the folder itself is not.
_CAMERA = re.compile(r"(VL|VIS|NI|NIR)([ _-]*A?[ _-]?cropped)?", re.IGNORECASE)
_SPECTRUM = {"VL": "VL", "VIS": "VL", "NI": "NI", "NIR": "NI"}
_DEPTH = 5  # of the folders of lights below the root
_SUBJECT = re.compile(r"P(\d{1,3})", re.IGNORECASE)
_FRAME = re.compile(r"\d+\.(jpe?g|png|bmp|tiff?)", re.IGNORECASE)
_EXPRESSIONS = {w: e for w, e in EXPRESSION_WORDS.items() if e in OULU_CODES.values()}
_FOLDER_OF = {expression: word for word, expression in OULU_CODES.items()}
_PEOPLE = 80


class OuluCASIA(ListedSequences):
    """What the data modules of Oulu-CASIA share: which of its sequences are taken.

    80 people show six expressions, each filmed by a camera of visible light and one of near
    infrared in three illuminations: 480 sequences for each camera and light, from the neutral face
    to the apex. The usual protocol is VL and Strong, in ten folds that share nobody (`fold_mode`
    stride).

    Args:
        spectra: Cameras: VL (visible light), NI (near infrared).
        lights: Illuminations: Strong, Weak, Dark.
        images: original, or cropped (PreProcess_Img: faces already, so set `crop` to none); null
            for original pictures, and for cropped ones where those are not there.
        strict_counts: Whether other counts than the published ones are an error.
        **kwargs: See `ListedSequences`.

    Raises:
        UserError: If there is no such camera or light.

    Reference:
        Zhao, Huang, Taini, Li and Pietikaeinen, Facial expression recognition from near-infrared
        videos, Image and Vision Computing 2011.
    """

    name = "Oulu-CASIA"
    tree = """
OriginalImg/VL/Strong/P001/Anger/000.jpeg ...          (also NI; Weak, Dark)
PreProcess_Img/VL_Acropped/Strong/P001/Anger/000.jpeg ...
  or S001/001/img_001.png ... with a list, see data.labels_csv
"""
    origin = "the CMVS of the University of Oulu, under a signed agreement, for research"
    embedded = ("oulu", write_oulu)

    def __init__(
        self,
        spectra: Sequence[str] = ("VL",),
        lights: Sequence[str] = ("Strong",),
        images: Images | None = None,
        strict_counts: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._spectra = some_of("spectra", spectra, SPECTRA)
        self._lights = some_of("lights", lights, LIGHTS)
        self._images = images
        self._strict = strict_counts

    def read_index(self, root: Path) -> Index:
        """Find the sequences, see `read_oulu`."""
        if (listed := self.read_listed(root)) is not None:
            return listed
        return read_oulu(root, self._spectra, self._lights, self._images, strict=self._strict)


class OuluCASIADataModule(OuluCASIA, TurnedFlowDataModule):
    """Oulu-CASIA in motion, posed by motions drawn here, see `TurnedFlowDataModule`.

    The class neutral has no sequence.
    """


class OuluCASIAFacesDataModule(OuluCASIA, FaceDataModule):
    """Still faces of Oulu-CASIA: the last frames of each sequence, and its neutral first one.

    Args:
        apex_frames: How many of the last frames of a sequence show its expression; three are the
            usual protocol.
        first_as_neutral: Whether the first frame is a neutral face, see `stills_of`.
        **kwargs: See `OuluCASIA` and `FaceDataModule`.
    """

    def __init__(self, apex_frames: int = 3, first_as_neutral: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._apex_frames = check_apex_frames(apex_frames)
        self._first_as_neutral = first_as_neutral

    def read_index(self, root: Path) -> Index:
        """Find the faces, see `read_oulu` and `stills_of`."""
        return stills_of(super().read_index(root), self._apex_frames, self._first_as_neutral)


class _Sequence(NamedTuple):
    subject: str
    spectrum: str
    light: str
    expression: Expression

    @property
    def name(self) -> str:
        return f"{self.subject}/{self.spectrum}/{self.light}/{_FOLDER_OF[self.expression]}"


def read_oulu(
    root: Path,
    spectra: Sequence[str],
    lights: Sequence[str],
    images: Images | None,
    *,
    strict: bool = False,
) -> Index:
    """Find the sequences of Oulu-CASIA.

    Args:
        root: Folder of the data set, or some levels above it.
        spectra: Cameras, some of `SPECTRA`.
        lights: Illuminations, some of `LIGHTS`.
        images: Which pictures; None for original ones, and for cropped ones where those are not
            there.
        strict: Whether other counts than the published ones are an error.

    Returns:
        The sequences in the order of people, cameras, lights and expressions, each from its first
        frame (neutral) to its last (apex). A folder without frames is left out and said: some
        copies have one.

    Raises:
        DatasetError: If the data set is not there.
    """
    problems: Problems = []
    cameras = _find_cameras(root, problems)
    if images is None:
        found_original = any(("original", spectrum) in cameras for spectrum in spectra)
        images = "original" if found_original else "cropped"
    chosen = {s: cameras[images, s] for s in spectra if (images, s) in cameras}
    if not chosen:
        raise missing_root(OuluCASIA, root)
    found: dict[_Sequence, FrameFolder] = {}
    left_out = [folder for folder in cameras.values() if folder not in chosen.values()]
    empty: list[Path] = []
    for spectrum, camera in chosen.items():
        for light in folders(camera):
            spelled = light.name.capitalize()
            if spelled in lights:
                _read_light(light, spectrum, spelled, found, empty, problems)
            elif spelled in LIGHTS:
                left_out.append(light)
    order = sorted(found, key=lambda s: (natural_key(s.subject), s[1:3], s.expression))
    notes = [
        f"the {images} pictures of {', '.join(chosen)} in light {', '.join(lights)}",
        f"{len({s.subject for s in found})} people (of {_PEOPLE})",
    ]
    if empty:
        notes.append(f"{len(empty)} folders without frames: {', '.join(map(str, empty))}")
    counts = Counter(_FOLDER_OF[s.expression] for s in found)
    each = _PEOPLE * len(spectra) * len(lights)
    published = dict.fromkeys(OULU_CODES, each)
    name = OuluCASIA.name
    notes.append(compare_counts(name, root, counts, published, strict=strict, kind="sequence"))
    return Index(
        names=[sequence.name for sequence in order],
        expressions=np.array([sequence.expression for sequence in order], np.int8),
        recordings=[(found[sequence],) for sequence in order],
        lengths=np.array([len(found[sequence]) for sequence in order], np.int64),
        subjects=[sequence.subject for sequence in order],
        problems=problems,
        left_out=left_out,
        notes=notes,
    )


def _find_cameras(root: Path, problems: Problems) -> dict[tuple[str, str], Path]:
    """Find the folders of cameras, by their kind of pictures and their spectrum."""
    cameras: dict[tuple[str, str], Path] = {}
    for folder, below, _ in walk(root, _DEPTH, problems):
        camera = _CAMERA.fullmatch(folder.name)
        if camera is None or not {name.capitalize() for name in below} & set(LIGHTS):
            continue
        below.clear()
        kind = "cropped" if camera[2] else "original"
        cameras.setdefault((kind, _SPECTRUM[camera[1].upper()]), folder)
    return cameras


def _read_light(
    light: Path,
    spectrum: str,
    spelled: str,
    found: dict[_Sequence, FrameFolder],
    empty: list[Path],
    problems: Problems,
) -> None:
    """Add the sequences of a camera in a light."""
    for person in folders(light):
        number = _SUBJECT.fullmatch(person.name)
        if number is None:
            continue
        subject = f"P{int(number[1]):03d}"
        for folder in folders(person):
            expression = _EXPRESSIONS.get(folder.name.lower())
            if expression is None:
                continue  # what lies there is said to be not read
            recording = frame_folder(folder, _FRAME, problems)
            sequence = _Sequence(subject, spectrum, spelled, expression)
            if not len(recording):
                empty.append(folder)
            elif len(recording) < 2:
                problems.append((folder, "has 1 frame, but a flow needs two"))
            elif sequence in found:
                first = found[sequence].path
                problems.append((folder, f"is a second sequence {sequence.name}, beside {first}"))
            else:
                found[sequence] = recording

"""ADFES, the Amsterdam Dynamic Facial Expression Set: films and pictures of 22 people."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from datamodules.errors import BadSample, DatasetError, missing_root, some_of
from datamodules.files import MatchingFile, Problems, matching_files, natural_key
from datamodules.index import Index
from datamodules.labels import EXPRESSION_WORDS, Expression
from datamodules.motion.turned import TurnedFlowDataModule
from datamodules.recordings import Video, open_video
from datamodules.sets.counts import compare_counts
from datamodules.sets.lists.frame_sequences import apex_length, check_apex
from datamodules.sets.lists.listed import ListedSequences
from datamodules.sets.sequence_stills import check_apex_frames, stills_of
from datamodules.stills.module import FaceDataModule
from datamodules.synthetic import write_adfes

VERSIONS = ("forward", "toward", "away")
"""How the head moves in a film: not, towards the camera, away from it."""

# Copies differ in hyphens, blanks and letter case.
_GAP = r"[-_ ]+"
_PERSON = rf"([FM])(\d{{1,2}}){_GAP}"
_FILM = re.compile(
    rf"{_PERSON}([A-Za-z]+){_GAP}([A-Za-z][^.]*)\.(?:mpe?g|mp4|avi|mov|mkv)", re.IGNORECASE
)
_PICTURE = re.compile(
    rf"{_PERSON}(?:([A-Za-z]+){_GAP}Apex|(Neutral)(?:{_GAP}Apex)?)\.(?:jpe?g|png|bmp|tiff?)",
    re.IGNORECASE,
)
# Beginnings, for something may follow; letters alone.
_VERSION_OF = {
    **dict.fromkeys(("faceforward", "forward", "front"), "forward"),
    **dict.fromkeys(("turnto", "toward"), "toward"),
    **dict.fromkeys(("turnaway", "away"), "away"),
}
_INTENSITIES = frozenset({"low", "med", "medium", "high"})  # of ADFES-BIV, another data set
_NOT_BASIC = frozenset({"pride", "proud", "embarrassment", "embarrass", "embarrassed"})
_PEOPLE = 22
_MIDDLE = 0.5


class ADFES(ListedSequences):
    """What the data modules of ADFES share.

    22 people show nine expressions and a neutral face in three versions: facing the camera, turning
    towards it and turning away. Pride and embarrassment are left out and counted.

    Args:
        strict_counts: Whether other counts than the published ones are an error.
        **kwargs: See `ListedSequences`.

    Reference:
        Van der Schalk, Hawk, Fischer and Doosje, Moving faces, looking places: validation of the
        Amsterdam Dynamic Facial Expression Set (ADFES), Emotion 2011.

    Deviation:
        A film shows a neutral face for half a second, the onset, and the apex for five seconds:
        its middle is at the apex, and is there even where the header of an MPEG file announces more
        frames than there are, as these do.
    """

    name = "ADFES"
    tree = """
F01-Joy-Face Forward.mpg, F01-Joy-Turn Toward.mpg, ...   (films, in any folders)
F01-Joy-Apex.jpg, F01-Neutral.jpg, ...                   (pictures, in any folders)
  or S001/001/img_001.png ... with a list, see data.labels_csv
"""
    origin = "aice.uva.nl, by a request form, for research"
    embedded = ("adfes", write_adfes)

    def __init__(self, strict_counts: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._strict = strict_counts


class ADFESDataModule(ADFES, TurnedFlowDataModule):
    """ADFES in motion, posed by motions drawn here, see `TurnedFlowDataModule`.

    Args:
        versions: Films to take: forward, toward, away. Only in the first the head is still, so
            that the flow is the face's alone.
        apex: Position of the apex in a film, from 0 (first frame) to 1 (last).
        **kwargs: See `ADFES` and `TurnedFlowDataModule`.

    Raises:
        UserError: If there is no such version, or the apex lies outside of the film.
    """

    def __init__(
        self, versions: Sequence[str] = ("forward",), apex: float = 0.5, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._versions = some_of("versions", versions, VERSIONS)
        self._apex = check_apex(apex)

    def read_index(self, root: Path) -> Index:
        """Find the films, see `read_films`."""
        if (listed := self.read_listed(root, self._apex)) is not None:
            return listed
        return read_films(root, self._versions, self._apex, strict=self._strict)


class ADFESFacesDataModule(ADFES, FaceDataModule):
    """The pictures of ADFES: the apex of each expression, and a neutral face of each person.

    Where there are no pictures but films that face the camera, their frames at the apex and their
    first ones are taken.

    Args:
        apex_frames: How many frames at the apex of a film are taken, where there are no pictures.
        **kwargs: See `ADFES` and `FaceDataModule`.
    """

    def __init__(self, apex_frames: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._apex_frames = check_apex_frames(apex_frames)

    def read_index(self, root: Path) -> Index:
        """Find the pictures.

        Returns:
            The pictures in the order of people and expressions.

        Raises:
            DatasetError: If there is neither a picture nor a film.
        """
        if (listed := self.read_listed(root, _MIDDLE)) is not None:
            return stills_of(listed, self._apex_frames, first_as_neutral=True)
        problems: Problems = []
        pictures = matching_files(root, _PICTURE, depth=None, problems=problems)
        if not pictures:
            films = read_films(root, ("forward",), _MIDDLE, strict=self._strict)
            return stills_of(films, self._apex_frames, first_as_neutral=True)
        chosen = _sort_out(pictures, problems)
        others = [film.path for film in matching_files(root, _FILM, depth=None, problems=problems)]
        return Index(
            names=[key.name for key in chosen.kept],
            files=list(chosen.kept.values()),
            expressions=np.array([key.expression for key in chosen.kept], np.int8),
            subjects=[key.subject for key in chosen.kept],
            problems=problems,
            left_out=[*chosen.left_out, *others],
            notes=[*chosen.notes, *_count(root, list(chosen.kept), 1, self._strict, "image")],
        )


class _Key(NamedTuple):
    """What a film or picture shows."""

    subject: str
    expression: Expression
    version: str  # empty for a picture

    @property
    def name(self) -> str:
        shown = self.expression.name.capitalize()
        return f"{self.subject}/{shown}" + (f"-{self.version}" if self.version else "")


class _Chosen(NamedTuple):
    kept: dict[_Key, Path]
    left_out: list[Path]
    notes: list[str]


def read_films(root: Path, versions: Sequence[str], apex: float, *, strict: bool = False) -> Index:
    """Find the films of ADFES, wherever they lie.

    Args:
        root: Folder of the data set, or any above it.
        versions: Which are taken, some of `VERSIONS`.
        apex: Position of the apex in a film, from 0 (first frame) to 1 (last).
        strict: Whether other counts than the published ones are an error.

    Returns:
        The films in the order of people, expressions and versions, each from its first frame to
        its apex.

    Raises:
        DatasetError: If there is no film, or only those of ADFES-BIV.
    """
    problems: Problems = []
    found = matching_files(root, _FILM, depth=None, problems=problems)
    if not found:
        raise missing_root(ADFES, root)
    chosen = _sort_out(found, problems, versions)
    films: dict[_Key, Video] = {}
    for key, path in chosen.kept.items():
        try:
            film = open_video(path)
        except BadSample as bad:
            problems.append((bad.path, bad.reason))
            continue
        if apex_length(len(film), apex) < 2:
            problems.append((path, f"has {len(film)} frame(s) up to the apex; 2 are needed"))
        else:
            films[key] = film
    # The pictures of the data set are no films, and known.
    pictures = [picture.path for picture in matching_files(root, _PICTURE, depth=None)]
    return Index(
        names=[key.name for key in films],
        expressions=np.array([key.expression for key in films], np.int8),
        recordings=[(film,) for film in films.values()],
        lengths=np.array([apex_length(len(film), apex) for film in films.values()], np.int64),
        subjects=[key.subject for key in films],
        problems=problems,
        left_out=[*chosen.left_out, *pictures],
        notes=[
            f"{len(found)} films of ADFES, of which the versions {', '.join(versions)} are taken",
            *chosen.notes,
            *_count(root, list(films), len(versions), strict, "sequence"),
        ],
    )


def _sort_out(
    files: Sequence[MatchingFile], problems: Problems, versions: Sequence[str] = ("",)
) -> _Chosen:
    """Choose the files of the eight expressions and of some versions, each once."""
    kept: dict[_Key, Path] = {}
    left_out: list[Path] = []
    others: Counter[str] = Counter()
    graded = 0
    for path, fields in files:
        sex, number, word, version = fields.groups()
        is_picture = versions == ("",)
        shown = (word or version).lower()
        spelled = "" if is_picture else re.sub(r"[^a-z]", "", version.lower())
        if spelled in _INTENSITIES:
            graded += 1
            left_out.append(path)
            continue
        if shown in _NOT_BASIC:
            others[shown] += 1
            left_out.append(path)
            continue
        begun = (v for start, v in _VERSION_OF.items() if spelled.startswith(start))
        known = "" if is_picture else next(begun, None)
        expression = EXPRESSION_WORDS.get(shown)
        if expression is None:
            problems.append((path, f"its name has {word!r}, which is no expression of ADFES"))
        elif known is None:
            reason = f"its version {version!r} is none of Face Forward, Turn Toward and Turn Away"
            problems.append((path, reason))
        elif known not in versions:
            left_out.append(path)
        else:
            key = _Key(f"{sex.upper()}{int(number):02d}", expression, known)
            if (first := kept.setdefault(key, path)) != path:
                problems.append((path, f"is a second {key.name}, beside {first}"))
    if graded == len(files):
        raise DatasetError(
            f"{files[0].path.parent} has the films of ADFES-BIV, which show an expression in three "
            "strengths; expected those of ADFES, such as F01-Joy-Face Forward.mpg."
        )
    notes = []
    if others:
        counted = ", ".join(f"{word} {count}" for word, count in sorted(others.items()))
        notes.append(f"left out as none of the eight expressions: {counted}")
    if graded:
        notes.append(f"left out as of ADFES-BIV: {graded}")
    order = sorted(kept, key=lambda k: (natural_key(k.subject), k.expression, k.version))
    return _Chosen({key: kept[key] for key in order}, left_out, notes)


def _count(root: Path, keys: list[_Key], versions: int, strict: bool, kind: str) -> list[str]:
    counts = Counter(key.expression.name.lower() for key in keys)
    published = {expression.name.lower(): _PEOPLE * versions for expression in Expression}
    name = ADFES.name
    return [
        f"{len({key.subject for key in keys})} people (of {_PEOPLE})",
        compare_counts(name, root, counts, published, strict=strict, kind=kind),
    ]

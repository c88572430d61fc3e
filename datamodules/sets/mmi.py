"""MMI: films from a neutral face to an expression and back, in sessions that a search returned."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from datamodules.errors import BadSample, missing_root, some_of
from datamodules.files import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    Problems,
    find_folder,
    natural_key,
    open_file,
    walk,
)
from datamodules.index import Index
from datamodules.labels import MMI_CODES, Expression, refuse_shift, whole_number
from datamodules.motion.turned import TurnedFlowDataModule
from datamodules.recordings import Video, open_video
from datamodules.sets.lists.frame_sequences import apex_length, check_apex
from datamodules.sets.lists.listed import ListedSequences
from datamodules.sets.sequence_stills import check_apex_frames, stills_of
from datamodules.stills.module import FaceDataModule
from datamodules.stills.reader import FaceCrop
from datamodules.synthetic import write_mmi

VIEWS = (0, 1, 2)
"""Tracks of a session: from the front, from the side, both in one picture."""

_SUFFIXES = VIDEO_SUFFIXES | {".mpg", ".mpeg", ".wmv"}
_STEM = re.compile(r"(S)(\d{1,3})-(\d+)", re.IGNORECASE)
_BOTH = 2
_LITERATURE = "the literature has 205 to 208 of 30 or 31 people"


class MMI(ListedSequences):
    """What the data modules of MMI share: its films of the six expressions.

    By code they are 1 anger, 2 disgust, 3 fear, 4 happiness, 5 sadness, 6 surprise; the codes
    beyond are other states. Films without an expression, and sessions of pictures, are left out and
    counted.

    Args:
        views: Tracks to take: 0 (from the front), 1 (from the side), 2 (both in one picture, of
            which the detector finds the face that looks at it: not with `crop` none).
        apex: Position of the apex in a film, from 0 (first frame) to 1 (last).
        **kwargs: See `ListedSequences`.

    Raises:
        UserError: If there is no such view, or the apex lies outside of the film.

    Reference:
        Pantic, Valstar, Rademaker and Maat, Web-based database for facial expression analysis, ICME
        2005.

    Deviation:
        Which sessions there are depends on the search, so counts are named but never compared. A
        film goes from neutral to apex and back: the apex is taken at `apex` of each, since the form
        of its coding in time (`*-oao_aucs.xml`) is not public. A film that lies on its side shows
        no face to the detector and is named as unusable.
    """

    name = "MMI"
    tree = """
Sessions/1/S001-001.avi
Sessions/1/S001-001.xml   (Metatag Emotion: 1 to 6)
Sessions/1/session.xml    (track view: 0, 1 or 2)
  or S001/001/img_001.png ... with a list, see data.labels_csv
"""
    origin = "mmifacedb.eu, with an account, under a licence for research"
    embedded = ("mmi", write_mmi)
    list_codes = MMI_CODES  # the group's list of MMI alone has the codes of the data set
    crop: Any  # of the subclass

    def __init__(self, views: Sequence[int] = (0, 2), apex: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._views = some_of("views", views, VIEWS)
        self._apex = check_apex(apex)

    def read_index(self, root: Path) -> Index:
        """Find the films, see `read_mmi`."""
        if (listed := self.read_listed(root, self._apex)) is not None:
            return listed
        return read_mmi(root, self._views, self._apex, detected=self.crop != "none")


class MMIDataModule(MMI, TurnedFlowDataModule):
    """MMI in motion, posed by motions drawn here, see `TurnedFlowDataModule`.

    The class neutral has no film.
    """


class MMIFacesDataModule(MMI, FaceDataModule):
    """Still faces of MMI: frames around the apex of each film, and its neutral first one.

    Args:
        apex_frames: How many frames around the apex show the expression; three are the usual
            protocol.
        first_as_neutral: Whether the first frame is a neutral face, see `stills_of`.
        crop: detect (the face that the detector finds in a frame) or none (the frames are faces
            already).
        **kwargs: See `MMI` and `FaceDataModule`.
    """

    def __init__(
        self,
        apex_frames: int = 3,
        first_as_neutral: bool = True,
        crop: FaceCrop = "detect",
        **kwargs: Any,
    ) -> None:
        super().__init__(crop=crop, **kwargs)
        self._apex_frames = check_apex_frames(apex_frames)
        self._first_as_neutral = first_as_neutral

    def read_index(self, root: Path) -> Index:
        """Find the faces, see `read_mmi` and `stills_of`."""
        return stills_of(super().read_index(root), self._apex_frames, self._first_as_neutral)


@dataclass(frozen=True)
class _Film:
    """A film, and what its session says of it."""

    path: Path
    subject: str
    number: int
    code: int | None  # None for a film without an expression
    view: int | None

    @property
    def name(self) -> str:
        return f"{self.subject}/{self.number:03d}"


def read_mmi(root: Path, views: Sequence[int], apex: float, *, detected: bool) -> Index:
    """Find the films of MMI that have an expression.

    Args:
        root: Folder of the data set, or one or two levels above it.
        views: Tracks that are taken, some of `VIEWS`; a film of which no session says its view is
            taken, too.
        apex: Position of the apex in a film, from 0 (first frame) to 1 (last).
        detected: Whether a detector looks for the face: in a picture of both views it has to.

    Returns:
        The films in the order of people and numbers, each from its first frame to its apex.

    Raises:
        DatasetError: If the data set is not there, or all its codes are shifted.
    """
    is_root = root.name.lower() == "sessions" and root.is_dir()
    sessions = root if is_root else find_folder(root, ("Sessions",))
    if sessions is None:
        raise missing_root(MMI, root)
    problems: Problems = []
    films, pictures = _films(sessions, problems)
    refuse_shift(sessions, {f.code for f in films if f.code is None or f.code <= 6}, MMI_CODES)
    usable = [view for view in views if detected or view != _BOTH]
    left_out = [*pictures]
    counts: Counter[str] = Counter({"in sessions of pictures": len(pictures)})
    kept: dict[str, tuple[_Film, Video, Expression]] = {}
    for film in films:
        if film.code is None:
            why = "without an expression"
        elif film.code > max(MMI_CODES):
            why = f"of the state {film.code}"
        elif film.view is not None and film.view not in usable:
            why = f"of view {film.view}"
        else:
            _keep(film, apex, kept, problems)
            continue
        counts[why] += 1
        left_out.append(film.path)
    order = sorted(kept, key=natural_key)
    expressions = [kept[name][2] for name in order]
    classes = Counter(expression.name.lower() for expression in expressions)
    subjects = [kept[name][0].subject for name in order]
    found = ", ".join(f"{word} {classes[word]}" for word in sorted(classes))
    notes = [
        f"{len(kept)} films of {len(set(subjects))} people: {found or 'none'}; {_LITERATURE}",
        *(f"left out {why}: {count}" for why, count in sorted(counts.items()) if count),
    ]
    unknown = sum(kept[name][0].view is None for name in order)
    if unknown:
        notes.append(f"{unknown} films of which no session.xml tells the view are taken")
    return Index(
        names=order,
        expressions=np.array(expressions, np.int8),
        recordings=[(kept[name][1],) for name in order],
        lengths=np.array([apex_length(len(kept[name][1]), apex) for name in order], np.int64),
        subjects=subjects,
        problems=problems,
        left_out=left_out,
        notes=notes,
    )


def _films(sessions: Path, problems: Problems) -> tuple[list[_Film], list[Path]]:
    """Read the sessions: their films, and the pictures of those that have no film."""
    films: list[_Film] = []
    pictures: list[Path] = []
    for folder, _, names in walk(sessions, problems=problems):
        by_stem = {name.lower(): folder / name for name in names}
        found = [folder / name for name in names if Path(name).suffix.lower() in _SUFFIXES]
        matched = [(path, _STEM.fullmatch(path.stem)) for path in found]
        if not any(match for _, match in matched):
            stills = (folder / n for n in names if Path(n).suffix.lower() in IMAGE_SUFFIXES)
            pictures += [path for path in stills if _STEM.match(path.stem)]
            continue
        views = _views(by_stem.get("session.xml"), problems)
        for path, match in matched:
            if match is None:
                continue
            label = by_stem.get(f"{path.stem.lower()}.xml")
            try:
                code = None if label is None else _code(label)
            except BadSample as bad:
                problems.append((bad.path, bad.reason))
                continue
            view = views.get(path.stem.lower(), views.get(""))
            subject = f"S{int(match[2]):03d}"
            films.append(_Film(path, subject, int(match[3]), code, view))
    return films, pictures


def _keep(
    film: _Film, apex: float, kept: dict[str, tuple[_Film, Video, Expression]], problems: Problems
) -> None:
    """Add a film of an expression, unless it is unusable or there already."""
    expression = MMI_CODES.get(film.code or 0)
    if expression is None:
        problems.append((film.path, f"has the label {film.code}, not 1 to 6"))
        return
    try:
        video = open_video(film.path)
    except BadSample as bad:
        problems.append((bad.path, bad.reason))
        return
    if apex_length(len(video), apex) < 2:
        problems.append((film.path, f"has {len(video)} frame(s) up to the apex; 2 are needed"))
    elif film.name in kept:
        problems.append(
            (film.path, f"is a second film {film.name}, beside {kept[film.name][1].path}")
        )
    else:
        kept[film.name] = (film, video, expression)


def _code(label: Path) -> int | None:
    """Read the emotion of a film; None where none is given.

    Raises:
        BadSample: If the file cannot be read, or gives no number, or two.
    """
    values = {
        _attribute(tag, "value").strip()
        for tag in _elements(label, "metatag")
        if _attribute(tag, "name").strip().lower() == "emotion"
    }
    if not values:
        return None
    if len(values) > 1:
        raise BadSample(label, f"gives the emotions {' and '.join(sorted(values))}")
    (value,) = values
    code = whole_number(value)
    if code is None:
        raise BadSample(label, f"gives the emotion {value!r}, which is no number")
    return code


def _views(session: Path | None, problems: Problems) -> dict[str, int]:
    """Read the view of each track by the stem of its file; by "" where all tracks have one."""
    views: dict[str, int] = {}
    shown: set[int] = set()
    if session is None:
        return views
    try:
        tracks = _elements(session, "track")
    except BadSample as bad:
        problems.append((bad.path, bad.reason))
        return views
    for track in tracks:
        view = whole_number(_attribute(track, "view"))
        if view is not None:
            shown.add(view)
            views[Path(_attribute(track, "filename")).stem.lower()] = view
    views.pop("", None)  # of a track that names no file
    if len(shown) == 1:
        views[""] = next(iter(shown))
    return views


def _elements(path: Path, name: str) -> list[ElementTree.Element]:
    """List the elements of a name, whatever its case and namespace.

    Raises:
        BadSample: If the file cannot be read, or is no XML.
    """
    try:
        with open_file(path) as file:
            tree = ElementTree.fromstring(file.read())
    except (OSError, ElementTree.ParseError, ValueError, LookupError) as error:
        raise BadSample(path, f"cannot be read as XML ({error})") from error
    return [e for e in tree.iter() if str(e.tag).rpartition("}")[2].lower() == name]


def _attribute(element: ElementTree.Element, name: str) -> str:
    """Return an attribute whatever the case of its name; empty where there is none."""
    found = (value for key, value in element.items() if key.rpartition("}")[2].lower() == name)
    return next(found, "")

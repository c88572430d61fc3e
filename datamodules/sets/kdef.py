"""KDEF, the Karolinska Directed Emotional Faces: 70 people, photographed twice from five sides."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.errors import missing_root, some_of
from datamodules.files import Problems, matching_files
from datamodules.index import Index
from datamodules.labels import KDEF_CODES
from datamodules.sets.counts import compare_counts
from datamodules.stills.module import FaceDataModule

VIEWS = ("FL", "HL", "S", "HR", "FR")
"""Full left, half left, straight, half right and full right profile."""

# Session, sex, number of the person, expression (AF is afraid), view. The averaged faces of the
# archive (FAFFL.JPG) have neither session nor person and do not match.
_CODE = re.compile(r"([AB])([FM])(\d{2})(AF|AN|DI|HA|NE|SA|SU)(FL|HL|HR|FR|S)")
_NAME = re.compile(r"([AB][FM]\d{2}[A-Z]+)\.jpe?g", re.IGNORECASE)
_MISNAMED = {"AF31V": "AF31SAHL", "AM31H": "AM31SUHR"}
# fmt: off
_UNUSABLE = frozenset((
    "AF01SUFR", "AF10AFFR", "AF11NEHL", "AF20DIHL", "AM25DIFL",
    "AM34DIFR", "BF13NEHR", "BM21DIFL", "BM22DIHL", "BM24DIFL",
))
# fmt: on
_PEOPLE, _SESSIONS = 70, 2
_SEX = {"F": "female", "M": "male"}


class KDEFDataModule(FaceDataModule):
    """KDEF: 70 people, 7 expressions, 2 sessions and 5 views, 4,900 pictures.

    A person has a folder for each session (AF01 and BF01 are one woman), so folds go by sex and
    number. The data set has no split of its own.

    Args:
        views: Views to take: S (straight), HL and HR (half profile), FL and FR (full profile).
        unusable: Whether to take the ten pictures that are known to be spoilt; all are profiles.
        strict_counts: Whether another number of pictures than published is an error.
        **kwargs: See `FaceDataModule`.

    Raises:
        UserError: If a view does not exist.

    Reference:
        Lundqvist, Flykt and Oehman, The Karolinska Directed Emotional Faces, 1998.

    Deviation:
        Two files of the archive are misnamed (AF31V, AM31H); they are read as AF31SAHL and
        AM31SUHR.
    """

    name = "KDEF"
    tree = """
KDEF/AF01/AF01AFS.JPG ...
"""
    origin = "kdef.se, for non-commercial research"

    def __init__(
        self,
        views: Sequence[str] = ("S",),
        unusable: bool = False,
        strict_counts: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._views = some_of("views", views, VIEWS)
        self._unusable, self._strict = unusable, strict_counts

    def groups(self, sample_ids: Sequence[int]) -> dict[str, list[str]]:
        """Return the sex of the people, the second letter of a name."""
        return {"sex": [_SEX[self.row_name(number)[1]] for number in sample_ids]}

    def read_index(self, root: Path) -> Index:
        """Find the pictures of KDEF.

        Returns:
            One row a picture, in natural order of the names.

        Raises:
            DatasetError: If there is no picture.
        """
        problems: Problems = []
        everything = matching_files(root, _NAME, depth=3, problems=problems)
        if not everything:
            raise missing_root(KDEFDataModule, root)
        rows: dict[str, tuple[Path, re.Match[str]]] = {}
        left_out = renamed = 0
        known: list[Path] = []
        for path, fields in everything:
            stem = fields[1].upper()
            name = _MISNAMED.get(stem, stem)
            renamed += name != stem
            code = _CODE.fullmatch(name)
            if code is None:
                continue
            known.append(path)
            if code[5] in self._views:
                if name in _UNUSABLE and not self._unusable:
                    left_out += 1
                elif name in rows:
                    problems.append((path, f"is a second picture {name}, beside {rows[name][0]}"))
                else:
                    rows[name] = (path, code)
        codes = [code for _, code in rows.values()]
        subjects = [code[2] + code[3] for code in codes]
        counts = Counter(code[5] for code in codes)
        each = _PEOPLE * len(KDEF_CODES) * _SESSIONS
        spoilt = Counter() if self._unusable else Counter(name[6:] for name in _UNUSABLE)
        return Index(
            names=list(rows),
            files=[path for path, _ in rows.values()],
            expressions=np.array([KDEF_CODES[code[4]] for code in codes], np.int8),
            subjects=subjects,
            problems=problems,
            left_out=known,
            notes=[
                f"{len(known)} pictures of KDEF, of which the views "
                f"{', '.join(self._views)} are taken; {renamed} misnamed files read by their right "
                f"names, {left_out} spoilt ones left out",
                f"{len(set(subjects))} people (of {_PEOPLE})",
                compare_counts(
                    "KDEF",
                    root,
                    counts,
                    {view: each - spoilt[view] for view in self._views},
                    strict=self._strict,
                ),
            ],
        )

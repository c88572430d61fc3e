"""What the data modules share that also read a data set as the Lille group prepares it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from datamodules.base import FERDataModule
from datamodules.files import given_path
from datamodules.index import Index
from datamodules.labels import LILLE_CODES, Expression
from datamodules.sets.lists.frame_sequences import read_frame_sequences
from datamodules.sets.lists.lille import expression_codes


class ListedSequences(FERDataModule):
    """A data set of sequences that may be prepared as folders of frames with a list of labels.

    Args:
        labels_csv: List `subject;file;emotion` of the folders `<subject>/<file>/img_001.png`, in
            which the Lille group keeps the data set, or of CK+'s own; null reads it as it was
            released.
        label_map: Expression of each code in `labels_csv`, e.g. `{"1": anger}`; null takes the
            codes of that group's list of this data set (0: not used).
        synthetic_subjects: Number of embedded people, where there is no root.
        **kwargs: See `FERDataModule`.
    """

    list_codes: Mapping[int, Expression] = LILLE_CODES
    """The codes of the group's list."""
    embedded: tuple[str, Callable[..., object]]
    """Beginning of the folder's name of the embedded faces, and what draws them into it."""

    def __init__(
        self,
        labels_csv: str | None = None,
        label_map: dict[str, str] | None = None,
        synthetic_subjects: int = 20,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._labels_csv = given_path("labels_csv", labels_csv)
        own = {str(code): e for code, e in self.list_codes.items() if code}
        self._synthetic_subjects = synthetic_subjects
        self._codes = own if label_map is None else expression_codes(label_map)

    def write_embedded(self, folder: Path) -> Path:
        """Draw the embedded faces, once."""
        name, draw = self.embedded
        root = folder / f"{name}-{self._synthetic_subjects}"
        draw(root, subjects=self._synthetic_subjects)
        return root

    def read_listed(self, root: Path, apex: float = 1.0) -> Index | None:
        """Find the sequences of the list, see `read_frame_sequences`; None where none is given."""
        if self._labels_csv is None:
            return None
        return read_frame_sequences(root, self._labels_csv, self._codes, apex)

"""Faces of data sets that are not drawn here."""

from __future__ import annotations

from pathlib import Path

from datamodules.errors import DatasetError
from datamodules.stills.module import FaceDataModule


class OfficialFaceDataModule(FaceDataModule):
    """A data set without embedded faces: it takes a root.

    A subclass names the data set and gives the tree and the origin that the error shows.

    Attributes:
        tree: The expected folder tree, one entry a line.
        origin: Where the data set can be had.
    """

    tree: str
    origin: str

    def write_embedded(self, folder: Path) -> Path:
        """Refuse to go on without a root.

        Args:
            folder: Where embedded faces live.

        Raises:
            DatasetError: Always.
        """
        indented = "\n".join(f"  {line}" for line in self.tree.strip("\n").splitlines())
        raise DatasetError(
            f"{self.name} has no embedded faces: give its folder as --data.root. Expected there:\n"
            f"{indented}\n{self.name} comes from {self.origin}."
        )

"""Which experiment of the DCGAN paper a cell of a transfer is the counterpart of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.published import figures

TABLES = {"emotions": "Table II", "action_units": "Table IV"}
"""The tables of the DCGAN paper."""
_READERS = {
    "CKPlusFacesDataModule": "CK+",
    "CelebADataModule": "CelebA",
    "KDEFDataModule": "KDEF",
    "RAFDBDataModule": "RAF-DB",
    "SFEWDataModule": "SFEW",
}
_VIEWS = {(90,): "RaFD frontal", (0, 45, 90, 135, 180): "RaFD multi-view"}
_ENHANCED = {"CK+": "enhanced CK"}


def paper_name(data: Mapping[str, Any]) -> str | None:
    """Name a data set, by `class_path` and `init_args`, as the paper does; None if not there."""
    reader = str(data["class_path"]).rsplit(".", 1)[-1]
    if reader == "RaFDDataModule":
        return _VIEWS.get(tuple(sorted(data["init_args"]["angles"])))
    return _READERS.get(reader)


def counterpart(task: str, pretrain: str | None, train: str | None, test: str | None) -> list[str]:
    """Say which experiment has the data sets that `paper_name` names, and what differs from it.

    The paper's areas stand beside none of them: its confusion matrices (Figure 6) are of all
    pictures of RaFD, where a transfer tests one part of them. The studies of dcgan_svm
    cross-validate, as the paper does.

    Returns:
        A phrase, or two where CK+ is there for the enhanced CK; none where the paper has no such
        experiment.
    """
    names = [_ENHANCED.get(str(name), str(name)) for name in (pretrain, train, test)]
    if task == "emotions":
        condition = f"pretrain={names[0]}; SVM on {names[1]};" if names[1] == names[2] else None
    else:
        frontal = [name.replace("RaFD frontal", "RaFD") for name in names]
        condition = "pretrain={}; SVM train={}; test={};".format(*frontal)
    found = [
        row["method"].removeprefix("DCGAN+SVM ")
        for row in figures()
        if (row["paper"], row["table"]) == ("dcgan_svm", TABLES.get(task))
        and condition is not None
        and f"{row['condition']};".startswith(condition)
    ]
    if not found:
        return []
    phrases = [f"counterpart of {found[0]} ({TABLES[task]}), which tested other samples"]
    if "CK+" in (pretrain, train, test):
        phrases.append("the paper has the enhanced CK, 8,422 frames, where this has CK+")
    return phrases

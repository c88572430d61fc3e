"""Whom a checkpoint was trained on, by the content of their files and not by any folder's name.

The state of a data module in a checkpoint holds a record of its training samples, and the records
of the checkpoints that its training started from. Before a score is measured, they are compared
with the samples held out.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.errors import BadSample, DatasetError
from datamodules.files import open_file
from datamodules.folds.parts import Parts
from datamodules.index import Index
from datamodules.store.cache import Cache
from datamodules.store.threads import for_each

Contents = NDArray[np.int64]
Record = dict[str, Any]
"""Of plain types: ``source`` and ``people`` by name, ``contents`` int64 [N] of training samples."""

_SKETCH = 64  # contents


class LeakGuard:
    """Compares what checkpoints were trained on with the parts of a data set.

    Samples are compared by their files. Where two data sets share any file, they are selections of
    one, and people of the same name are the same as well. A held-out sample of which a copy is in
    the training part of this very split says nothing about another split: such duplicates are
    counted in the report of the data set.
    """

    def __init__(self, parts: Parts, source: str) -> None:
        self._parts = parts
        self._source = source
        self._contents = open_contents(parts.index, parts.cache)
        self._inherited: list[Record] = []

    def refuse(self, checkpoint: Mapping[str, Any], tested: Sequence[str], what: str) -> None:
        """Make sure that a checkpoint was trained on nobody and nothing that is held out.

        What it was trained on belongs to `trained_on` afterwards.

        Args:
            checkpoint: Its whole content, whichever data modules wrote into it; one of another
                project holds no records and passes.
            tested: Names of the parts that are held out.
            what: What the checkpoint is, as the beginning of a sentence.

        Raises:
            DatasetError: If it was trained on someone or something held out.
        """
        states = [state for state in checkpoint.values() if isinstance(state, Mapping)]
        records = [record for state in states for record in state.get("trained_on", ())]
        for record in records:
            seen = record["contents"].numpy()
            if np.isin(seen, self._contents).any():
                for part in tested:
                    self._refuse_part(record, seen, part, what)
        self._inherited = distinct([*self._inherited, *records])

    def trained_on(self) -> list[Record]:
        """List what this run trains on, and what it started from was trained on."""
        own = {
            "source": self._source,
            "people": list(self._parts.subjects["train"]),
            "contents": torch.from_numpy(np.unique(self._of_part("train"))),
        }
        return distinct([own, *self._inherited])

    def sketch(self) -> list[str]:
        """Choose some files by which two selections of one data set are recognised.

        Returns:
            The smallest contents in hexadecimal: of two selections that share a good part of their
            files some are the same, of others none.
        """
        smallest = np.unique(self._contents.view(np.uint64))[:_SKETCH]
        return [f"{value:016x}" for value in smallest.tolist()]

    def _of_part(self, part: str) -> Contents:
        return self._contents[self._parts.sample_of[self._parts.rows[part]]]

    def _refuse_part(self, record: Record, seen: Contents, part: str, what: str) -> None:
        held_out = self._of_part(part)
        leaked = np.isin(held_out, seen) & ~np.isin(held_out, self._of_part("train"))
        index, people = self._parts.index, self._parts.subjects[part]
        if people:
            samples = self._parts.sample_of[self._parts.rows[part]][leaked]
            shared = {*index.people_in(samples), *record["people"]}
            if names := [name for name in people if name in shared]:
                raise DatasetError(
                    f"{what} was trained on {', '.join(names)} of {record['source']}, who are in "
                    f"the {part} part here: a score would not be of unseen people. Set data.fold, "
                    "data.folds, data.fold_mode and data.seed as they were in training "
                    "(config.yaml in the folder of that run)."
                )
        elif leaked.any():
            raise DatasetError(
                f"{what} was trained on {int(leaked.sum())} of the {len(held_out)} samples of the "
                f"{part} part here: a score would not be of unseen samples. Set data.fold, "
                "data.folds, data.fold_mode, data.val_share and data.seed as they were in training "
                "(config.yaml in the folder of that run)."
            )


def open_contents(index: Index, cache: Cache) -> Contents:
    """Hash the content of each sample, or read what was found before, beside the cache.

    The content of a sequence is that of its apex frame, or of its film: whichever other frames a
    data set takes of it, as stills or as pairs, that one is among them. Equal files have equal
    values int64 [N], under whatever names and in whatever folders.
    """

    def read_all() -> Contents:
        contents = np.zeros(len(index), np.int64)

        def read(row: int) -> None:
            digest = hashlib.blake2b(_content(index, row), digest_size=8).digest()
            contents[row] = int.from_bytes(digest, "little", signed=True)

        for_each(range(len(index)), read, "fingerprints of files", delay=2.0)
        return contents

    return cache.read_or_compute(f"contents_{index.names_hash()[:12]}.npy", read_all)


def _content(index: Index, row: int) -> bytes:
    if index.pixels is not None:
        return np.ascontiguousarray(index.pixels[row]).tobytes()
    path = index.files_of(row)[0]
    if index.recordings is not None and index.lengths is not None:
        path = index.recordings[row][0].files()[: int(index.lengths[row])][-1]
    try:
        with open_file(path) as file:
            return file.read()
    except (OSError, BadSample):
        return os.fsencode(path)  # a bad sample, which is in no part


def distinct(records: Iterable[Record]) -> list[Record]:
    """Drop records of the same samples; the first of them stays."""
    kept: list[Record] = []
    for record in records:
        if not any(torch.equal(record["contents"], other["contents"]) for other in kept):
            kept.append(record)
    return kept

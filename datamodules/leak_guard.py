"""What a checkpoint says about the data: how far training came, and who was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from lightning.pytorch import Trainer
from numpy.typing import NDArray

from datamodules.errors import DatasetError


def next_batch(trainer: Trainer | None) -> tuple[int, int]:
    """Tell which batch comes next.

    Lightning's loaders do not know: they are asked for batches ahead of time. The loops do; of
    their counters, `ready` rises as an epoch starts and `processed` once a batch was trained on,
    before any callback writes a checkpoint.

    Args:
        trainer: The trainer, if there is one.

    Returns:
        Its epoch, and its number within that, both from 0.
    """
    if trainer is None:
        return 0, 0
    epochs: int = trainer.fit_loop.epoch_progress.current.ready
    # Lightning declares a base class that lacks this counter.
    batches: int = trainer.fit_loop.epoch_loop.batch_progress.current.processed  # type: ignore[attr-defined]
    if batches >= trainer.num_training_batches:
        return epochs, 0
    return max(epochs - 1, 0), batches


def refuse_leak(
    state: Mapping[str, Any], source: str, held_out: Mapping[str, Sequence[str]]
) -> None:
    """Make sure that nobody who is held out was trained on.

    Args:
        state: State of the DataModule in the checkpoint.
        source: Name of the data set now; another one has other people.
        held_out: Names of the people of each part that is held out.

    Raises:
        DatasetError: If the checkpoint was trained on one of them.
    """
    if state["source"] != source:
        return
    for part, people in held_out.items():
        if leaked := [who for who in people if who in state["train_subjects"]]:
            raise DatasetError(
                f"The checkpoint was trained on {', '.join(leaked)} of {source}, who are in the "
                f"{part} part here: a score would not be of unseen people. Set data.fold, "
                "data.folds, data.fold_mode and data.seed as they were in training (config.yaml "
                "in the folder of that run)."
            )


def pack_rows(rows: NDArray[np.int64], length: int) -> str:
    """Write row numbers down as one bit a row, in hexadecimal: small and of a plain type.

    Args:
        rows: int64, numbers below `length`.
        length: Number of all rows.
    """
    mask = np.zeros(length, np.bool_)
    mask[rows] = True
    return np.packbits(mask).tobytes().hex()


def refuse_rows(
    state: Mapping[str, Any], names_hash: str, held_out: Mapping[str, NDArray[np.int64]]
) -> None:
    """Make sure that no sample that is held out was trained on, where nobody knows the people.

    Args:
        state: State of the DataModule in the checkpoint.
        names_hash: Fingerprint of which row is which sample; with another one the rows of the
            checkpoint mean other samples.
        held_out: Rows of each part that is held out.

    Raises:
        DatasetError: If the checkpoint was trained on one of them.
    """
    if state.get("names_hash") != names_hash:
        return
    trained = np.unpackbits(np.frombuffer(bytes.fromhex(state["train_rows"]), np.uint8)) > 0
    for part, rows in held_out.items():
        if leaked := int(trained[rows].sum()):
            raise DatasetError(
                f"The checkpoint was trained on {leaked} of the {len(rows)} samples of the {part} "
                "part here: a score would not be of unseen samples. Set data.fold, data.folds, "
                "data.fold_mode, data.val_share and data.seed as they were in training "
                "(config.yaml in the folder of that run)."
            )

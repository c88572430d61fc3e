"""What callbacks may ask of a step: the outputs that it returns, by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as pl

from datamodules.errors import UserError


def read(outputs: Mapping[str, Any], name: str) -> Any:
    """Return an output of a step, None where there is none.

    Args:
        outputs: What the step returned.
        name: Of the output. ``scores`` [B, K], of which the highest is the answer, are a network's
            ``logits``, and ``probabilities`` [B, K] are the softmax of these in double precision,
            on the CPU, unless the step returns them under their own names.
    """
    if name not in outputs and "logits" in outputs:
        if name == "scores":
            return outputs["logits"]
        if name == "probabilities":
            return outputs["logits"].detach().cpu().double().softmax(dim=1)
    return outputs.get(name)


def require(
    callback: pl.Callback,
    pl_module: pl.LightningModule,
    outputs: Mapping[str, Any] | None,
    names: Sequence[str],
) -> dict[str, Any]:
    """Read the outputs that a callback cannot do without.

    Args:
        callback: What needs them.
        pl_module: The method.
        outputs: What its step returned.
        names: As `read` takes them.

    Returns:
        The outputs by these names.

    Raises:
        UserError: If something is missing.
    """
    found = {name: read(outputs or {}, name) for name in names}
    missing = [name for name, value in found.items() if value is None]
    if missing:
        raise UserError(
            f"{type(callback).__name__} needs {' and '.join(missing)} of a step, which "
            f"{type(pl_module).__name__} does not return: take it out of the callbacks."
        )
    return found

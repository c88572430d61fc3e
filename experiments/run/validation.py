"""What the validation of a run came to in the epoch whose weights are tested."""

from __future__ import annotations

from pathlib import Path

from datamodules.errors import UserError
from experiments.run.folder import RunFolder


def chosen_validation(run: Path) -> dict[str, float]:
    """Read the validation of the epoch that `checkpoint.monitor` chose; of the last without one.

    It is what `fit` noted when it finished. metrics.csv would not do: whatever is validated later
    in the same folder, such as the test part as the validation part of another fold, is there too.

    Args:
        run: Folder of a run of `fit`, or of a fold.

    Returns:
        Finite values that the validation logged, such as `val/accuracy`, by their names.

    Raises:
        UserError: If there is none.
    """
    found = RunFolder(run).status.get("validation")
    if not found:
        raise UserError(f"No training with a validation has finished in {run}.")
    return {str(name): float(value) for name, value in found.items()}

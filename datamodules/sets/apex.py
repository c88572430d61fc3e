"""Where the apex of a film lies that does not say so."""

from __future__ import annotations

from datamodules.errors import UserError


def check_apex(apex: float) -> float:
    """Return the position of the apex in a film, from 0 (first frame) to 1 (last).

    Raises:
        UserError: If that is outside of the film.
    """
    if not 0.0 < apex <= 1.0:
        raise UserError(f"data.apex must be above 0 and at most 1, but is {apex:g}.")
    return apex


def apex_length(frames: int, apex: float) -> int:
    """Count the frames of a film of so many up to its apex, that one included."""
    return 1 + round(apex * (frames - 1)) if frames > 0 else 0

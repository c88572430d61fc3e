"""The table that a test of eMotion-GAN ends with."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl

from callbacks.tables.base import TestTable, TextTable, number, said
from datamodules.errors import UserError

ROWS = {
    "posed": "posed flow as it is",
    "registration": "registered frames, then flow",
    "emotion_gan": "eMotion-GAN",
    "frontal": "true frontal flow (ceiling)",
}
MEASURES = {"epe_px": "{:.2f}", "accuracy": "{:.1f}", "ssim": "{:.4f}", "rmse": "{:.2f}"}


class FrontalizationTable(TestTable):
    """Prints what frontalization gains on the test subjects and writes ``summary.json``.

    Each row is a flow: as the moving head gives it, after a classical registration of the frames,
    frontalized, and the true frontal one. Its measures are the endpoint error in pixels of a
    128x128 grid, the accuracy of the Flow-CNN on it, and SSIM and RMSE (grey levels, 0 to 255) of
    the neutral face warped by it against the true apex. They are read from what the test logged as
    ``test/<row>_<measure>``; a row that the data does not have (no registered frames) is empty.

    ``summary.json`` holds ``rows`` with ``epe_px, accuracy, ssim, rmse`` of ``posed, registration,
    emotion_gan, frontal``, and ``neutral_face`` with ``ssim, rmse`` of the face left as it is.
    Accuracies are shares from 0 to 1; what was not measured or is not a number is null.
    """

    title = "Frontalization"

    def measures(self, trainer: pl.Trainer, logged: dict[str, float]) -> dict[str, Any]:
        """Read the rows.

        Raises:
            UserError: If none was logged.
        """
        if not any(f"test/{row}_{measure}" in logged for row in ROWS for measure in MEASURES):
            raise UserError(
                "FrontalizationTable found no test/<row>_<measure> among the logged values: it is "
                "for eMotion-GAN; take it out of the callbacks of another method."
            )
        rows = {
            row: {measure: number(logged, f"test/{row}_{measure}") for measure in MEASURES}
            for row in ROWS
        }
        neutral = {
            measure: number(logged, f"test/neutral_{measure}") for measure in ("ssim", "rmse")
        }
        return {"rows": rows, "neutral_face": neutral}

    def tables(self, summary: dict[str, Any]) -> list[TextTable]:
        """Lay out the flows in the rows."""
        numbers = {title: summary["rows"][row] for row, title in ROWS.items()}
        unmoved = {"epe_px": None, "accuracy": None, **summary["neutral_face"]}
        rows = [
            [
                title,
                *(
                    said(values[measure], form, 100 if measure == "accuracy" else 1)
                    for measure, form in MEASURES.items()
                ),
            ]
            for title, values in {**numbers, "neutral face, not warped": unmoved}.items()
        ]
        columns = ("flow", "EPE px", "accuracy %", "SSIM", "RMSE")
        return [TextTable("frontalization", columns, rows, emphasized=ROWS["emotion_gan"])]

    def notes(self, summary: dict[str, Any]) -> list[str]:
        """Say what the columns are and what frontalization changed, as far as it was measured."""
        return [
            "EPE to the true frontal flow; accuracy of the Flow-CNN; SSIM and RMSE (grey levels) "
            "of the neutral face warped by the flow, to the true apex",
            *_gains(summary),
        ]


def _gains(summary: dict[str, Any]) -> list[str]:
    """Say what frontalization changed, as far as it was measured."""
    posed, ours, ceiling = (summary["rows"][row] for row in ("posed", "emotion_gan", "frontal"))
    lines = []
    if posed["epe_px"] and ours["epe_px"] is not None:
        lines.append(f"EPE: {ours['epe_px'] / posed['epe_px']:.2f} of the posed flow's")
    if None not in (posed["accuracy"], ours["accuracy"], ceiling["accuracy"]):
        over = 100 * (ours["accuracy"] - posed["accuracy"])
        to_ceiling = 100 * (ours["accuracy"] - ceiling["accuracy"])
        lines.append(
            f"accuracy: {over:+.1f} points to the posed flow, {to_ceiling:+.1f} to the ceiling"
        )
    if None not in (ours["ssim"], summary["neutral_face"]["ssim"]):
        nearer = ours["ssim"] - summary["neutral_face"]["ssim"]
        lines.append(f"SSIM: {nearer:+.4f} to the neutral face")
    return lines

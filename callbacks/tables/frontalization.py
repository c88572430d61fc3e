"""The table that a test of eMotion-GAN ends with."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from callbacks.records.test_summary import TestSummary, number, said
from datamodules.errors import UserError

ROWS = {
    "posed": "posed flow as it is",
    "registration": "registered frames, then flow",
    "emotion_gan": "eMotion-GAN",
    "frontal": "true frontal flow (ceiling)",
}
MEASURES = ("epe_px", "accuracy", "ssim", "rmse")


class FrontalizationTable(TestSummary):
    """Prints what frontalization gains on the test subjects and writes ``summary.json``.

    Each row is a flow: as the moving head gives it, after a classical registration of the frames,
    frontalized, and the true frontal one. Its measures are the endpoint error in pixels of the
    flow's grid, the accuracy of the Flow-CNN on it, and SSIM and RMSE (grey levels, 0 to 255) of
    the neutral face warped by it against the true apex. They are read from what the test logged as
    ``test/<row>_<measure>``; a row that the data does not have (no registered frames) is empty.

    ``summary.json`` holds ``rows`` with ``epe_px, accuracy, ssim, rmse`` of ``posed, registration,
    emotion_gan, frontal``, and ``neutral_face`` with ``ssim, rmse`` of the face left as it is.
    Accuracies are shares from 0 to 1; what was not measured or is not a number is null.
    """

    def measures(self, trainer: pl.Trainer) -> dict[str, Any]:
        """Read the rows.

        Raises:
            UserError: If none was logged.
        """
        logged = {key: float(value) for key, value in trainer.callback_metrics.items()}
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

    def show(self, summary: dict[str, Any], console: Console) -> None:
        """Print the table with what it stands on."""
        table = Table(
            title=(
                f"Frontalization, data: {escape(summary['data'])}\n"
                f"fold {summary['fold']}, seed {summary['seed']}, "
                f"{summary['n_test']} test samples of {summary['n_test_subjects']} people"
            ),
            caption=(
                "EPE to the true frontal flow; accuracy of the Flow-CNN; SSIM and RMSE (grey "
                "levels) of the neutral face warped by the flow, to the true apex"
            ),
            caption_justify="left",
        )
        table.add_column("", no_wrap=True)
        for name in ("EPE px", "accuracy %", "SSIM", "RMSE"):
            table.add_column(name, justify="right", no_wrap=True)
        for row, title in ROWS.items():
            numbers = summary["rows"][row]
            table.add_row(
                title,
                said(numbers["epe_px"], "{:.2f}"),
                said(numbers["accuracy"], "{:.1f}", 100),
                said(numbers["ssim"], "{:.4f}"),
                said(numbers["rmse"], "{:.2f}"),
                style="bold" if row == "emotion_gan" else None,
            )
        neutral = summary["neutral_face"]
        table.add_section()
        unmoved = (said(neutral["ssim"], "{:.4f}"), said(neutral["rmse"], "{:.2f}"))
        table.add_row("neutral face, not warped", "", "", *unmoved)
        console.print(table)
        for line in _gains(summary):
            console.print(line, highlight=False)


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

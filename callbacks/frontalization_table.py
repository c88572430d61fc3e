"""The table that a test of eMotion-GAN ends with, and the same numbers in summary.json."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from callbacks.atomic import replacing
from callbacks.distributed import gather

ROWS = {
    "posed": "posed flow as it is",
    "registration": "registered frames, then flow",
    "emotion_gan": "eMotion-GAN",
    "frontal": "true frontal flow (ceiling)",
}
MEASURES = ("epe_px", "accuracy", "ssim", "rmse")

Numbers = dict[str, float | None]


class FrontalizationTable(pl.Callback):
    """Prints what frontalization gains on the test subjects and writes ``summary.json``.

    Each row is a flow: as the moving head gives it, after a classical registration of the frames,
    frontalized, and the true frontal one. Its measures are the endpoint error in pixels of the
    flow's grid, the accuracy of the Flow-CNN on it, and SSIM and RMSE (grey levels, 0 to 255) of
    the neutral face warped by it against the true apex. They are read from what the test logged as
    ``test/<row>_<measure>``; a row that the data does not have (no registered frames) is empty.

    ``summary.json`` holds ``data`` (``synthetic`` for the embedded faces), ``rows`` with
    ``epe_px, accuracy, ssim, rmse`` of ``posed, registration, emotion_gan, frontal``,
    ``neutral_face`` with ``ssim, rmse`` of the face left as it is, ``seed, fold, n_test,
    n_test_subjects, checkpoint``. Accuracies are shares from 0 to 1; what was not measured or is
    not a number is null. The file appears whole or not at all.
    """

    def __init__(self) -> None:
        self._samples: set[int] = set()
        self._subjects: set[int] = set()

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count from zero."""
        self._samples.clear()
        self._subjects.clear()

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count samples and people, so that the table says what it stands on."""
        self._samples.update(outputs["sample_id"].tolist())
        self._subjects.update(batch["subject"].tolist())

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write and print the summary."""
        samples = set().union(*gather(self._samples))
        subjects = set().union(*gather(self._subjects))
        if not trainer.is_global_zero:
            return
        data = trainer.datamodule  # type: ignore[attr-defined]
        summary = {
            "data": data.source,
            **_measures(trainer),
            "seed": data.seed,
            "fold": data.fold,
            "n_test": len(samples),
            "n_test_subjects": len(subjects),
            "checkpoint": None if trainer.ckpt_path is None else str(trainer.ckpt_path),
        }
        folder = Path(trainer.default_root_dir)
        with replacing(folder / "summary.json") as aside:
            aside.write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n", "utf-8")
        print_summary(summary, folder)


def print_summary(summary: dict[str, Any], folder: Path, console: Console | None = None) -> None:
    """Print the table with what it stands on and where the run's files are.

    Args:
        summary: What ``summary.json`` holds.
        folder: Folder of the run.
        console: Where to print; the standard output by default.
    """
    console = console or Console()
    table = Table(
        title=(
            f"Frontalization, data: {escape(summary['data'])}\n"
            f"fold {summary['fold']}, seed {summary['seed']}, "
            f"{summary['n_test']} test samples of {summary['n_test_subjects']} people"
        ),
        caption=(
            "EPE to the true frontal flow; accuracy of the Flow-CNN; SSIM and RMSE (grey levels) "
            "of the neutral face warped by the flow, to the true apex"
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
            _said(numbers["epe_px"], "{:.2f}"),
            _said(numbers["accuracy"], "{:.1f}", 100),
            _said(numbers["ssim"], "{:.4f}"),
            _said(numbers["rmse"], "{:.2f}"),
            style="bold" if row == "emotion_gan" else None,
        )
    neutral = summary["neutral_face"]
    table.add_section()
    unmoved = (_said(neutral["ssim"], "{:.4f}"), _said(neutral["rmse"], "{:.2f}"))
    table.add_row("neutral face, not warped", "", "", *unmoved)
    console.print(table)
    for line in _gains(summary):
        console.print(line, highlight=False)
    # Paths are printed on one line each, however narrow the terminal, to be copied.
    for name, path in _files(folder):
        console.print(f"{name}: {path}", soft_wrap=True, highlight=False, markup=False)


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


def _files(folder: Path) -> list[tuple[str, Path]]:
    pictures = [("picture", path) for path in sorted((folder / "figures").glob("*.png"))]
    return [*pictures, ("numbers", folder / "summary.json"), ("run folder", folder)]


def _measures(trainer: pl.Trainer) -> dict[str, Any]:
    logged = {key: float(value) for key, value in trainer.callback_metrics.items()}
    if not any(f"test/{row}_{measure}" in logged for row in ROWS for measure in MEASURES):
        raise ValueError(
            "FrontalizationTable found no test/<row>_<measure> among the logged values: it is for "
            "eMotion-GAN; take it out of the callbacks of another method."
        )

    def number(key: str) -> float | None:
        value = logged.get(f"test/{key}", math.nan)
        # Logged in single precision: further digits would be noise.
        return float(f"{value:.6g}") if math.isfinite(value) else None

    rows = {row: {measure: number(f"{row}_{measure}") for measure in MEASURES} for row in ROWS}
    neutral = {measure: number(f"neutral_{measure}") for measure in ("ssim", "rmse")}
    return {"rows": rows, "neutral_face": neutral}


def _said(value: float | None, form: str, factor: float = 1) -> str:
    return "-" if value is None else form.format(factor * value)

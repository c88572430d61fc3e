"""How the rows of `benchmarks.gpu` are printed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from benchmarks.against import RECORDED
from benchmarks.measuring import Result

Row = dict[str, Any]


def line(row: Row) -> str:
    """Say all of a row but what is long."""
    long = ("deviations", "cpu_with_other_kernels", "traceback")
    return ", ".join(f"{key} {value}" for key, value in row.items() if key not in long)


def table(rows: list[Row]) -> Table:
    """Set rows below each other."""
    shown = Table(
        "kind",
        "method",
        "setting",
        "variant",
        "ms a step",
        "samples/s",
        "of peak",
        "GB",
        "measured",
    )
    for row in rows:
        shown.add_row(
            row["kind"],
            row["method"],
            row["setting"],
            row.get("variant", ""),
            f"{row['step_ms']:.2f}" if "step_ms" in row else "",
            f"{row['samples_a_second']:.0f}" if "samples_a_second" in row else "",
            f"{row['share_of_peak']:.1%}" if "share_of_peak" in row else "",
            f"{row['peak_gb']:.2f}" if "peak_gb" in row else "",
            _measured(row),
        )
    return shown


def _measured(row: Row) -> str:
    """Say what is particular to a kind of rows."""
    if "error" in row or "skipped" in row:
        return str(row.get("error") or row["skipped"])[:80]
    if "authors" in row:
        ratios = (
            " ".join((key, *(f"{ratio:.2f}" for ratio in _ratios(result))))
            for key, result in row["authors"].items()
        )
        return f"ours / theirs: {', '.join(ratios)} ({row['bound']})"
    if "ratio" in row:
        low, high = row["interval"]
        return f"fit / bare {row['ratio']:.3f} [{low:.3f}, {high:.3f}] ({row['bound']})"
    if "wait_share" in row:
        return f"waits {row['wait_share']:.1%} of its time ({row['bound']})"
    if "largest_deviation" in row:
        said = f"deviation {row['first_deviation']:.1e} in step 1"
        return f"{said}, {row['largest_deviation']:.1e} in {row['steps']} ({row['bound']})"
    low, high = row["interval_ms"]
    return f"[{low:.2f}, {high:.2f}] ms; warm-up {row['warm_up_seconds']:.1f} s"


def _ratios(result: Result) -> Iterator[float]:
    """Yield the ratios of all variants that were measured."""
    for variant in ("ours", "bfloat16", *RECORDED):
        ratio = result["details"].get(f"{variant}_ratio")
        if ratio is not None:
            yield ratio

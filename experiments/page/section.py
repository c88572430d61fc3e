"""A study on a page: its tables and charts, and the same tables for a paper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from experiments.page.charts import curves, leaderboard, reliability, trade
from experiments.page.evidence import Curve, Evidence, evidence_of
from experiments.page.latex import booktabs
from experiments.page.tables import (
    Table,
    main_table,
    pair_tables,
    published_table,
    recall_tables,
    run_table,
    sample_table,
)
from experiments.report.markdown import is_share
from experiments.study.summary import Row
from experiments.study.table import as_markdown, as_rows


class Section:
    """What a page shows of a study.

    Args:
        summary: What `summary_of` says of it.
        rows: Its rows.

    Attributes:
        measure: Title of the first column, which charts and tests are about.
        percent: Whether that is a share.
        evidence: What stands behind each row that was run, by its name.
    """

    def __init__(self, summary: Mapping[str, Any], rows: Sequence[Row]) -> None:
        self.summary = summary
        self.measure: str = summary["columns"][0]
        several = len({row.data for row in rows}) > 1
        names = [f"{row.name}, {row.data}" if several else row.name for row in rows]
        self._rows = {name: row for name, row in zip(names, rows, strict=True) if row.runs}
        self._cells = dict(zip(names, summary["rows"], strict=True))
        self.evidence: dict[str, Evidence] = {
            name: evidence_of(row, row.measures[self.measure]) for name, row in self._rows.items()
        }
        self._places = {name: place for place, name in enumerate(self.evidence)}
        first = next(iter(self._rows.values()))
        self.percent = is_share(first.measures[self.measure])

    @property
    def synthetic(self) -> bool:
        """Whether a row was run on drawn faces."""
        runs = (run for row in self.summary["rows"] for run in row["runs"])
        return any(run["source"] == "synthetic" for run in runs)

    @property
    def missing(self) -> list[str]:
        """What is not there, a phrase each."""
        return [f"{name}: {p}" for name, row in self._cells.items() for p in row["missing"]]

    @cached_property
    def main(self) -> Table:
        """The table of the study itself."""
        return main_table(self.summary)

    @cached_property
    def published(self) -> Table | None:
        """The papers' figures beside what was measured."""
        return published_table(self.summary)

    @cached_property
    def pairs(self) -> list[Table]:
        """Tests of every row against every other."""
        return list(pair_tables(list(self._rows), list(self._rows.values())))

    @cached_property
    def recall(self) -> list[Table]:
        """Recall by class."""
        return list(recall_tables(self.evidence))

    @cached_property
    def samples(self) -> Table | None:
        """The same samples under every method."""
        return sample_table(self.evidence)

    @cached_property
    def runs(self) -> Table:
        """What was run on what."""
        return run_table(self.summary, self.evidence)

    def leaderboard(self) -> str:
        """Draw mean, interval and folds of every row."""
        board = [
            (name, self._cells[name]["cells"][self.measure], tuple(e.folds.values()))
            for name, e in self.evidence.items()
        ]
        return leaderboard(board, percent=self.percent)

    def curves(self) -> dict[str, str]:
        """Draw the learning curves, a chart for each monitored value.

        Rows of one cross-validation, of which they show different measures, share a line.
        """
        names: dict[Curve, list[str]] = {}
        for name, e in self.evidence.items():
            if e.curve and len(e.curve.steps) > 1:
                names.setdefault(e.curve, []).append(name)
        places = {
            rows[0] + (f" and {len(rows) - 1} more" if len(rows) > 1 else ""): self._places[rows[0]]
            for rows in names.values()
        }
        lines = dict(zip(places, names, strict=True))
        return {
            value: curves({row: c for row, c in lines.items() if c.name == value}, places)
            for value in sorted({curve.name for curve in names})
        }

    def reliability(self) -> str:
        """Draw the share of right answers over confidence."""
        shown = {name: e.reliability for name, e in self.evidence.items() if e.reliability}
        return reliability(shown, self._places) if shown else ""

    def trade(self) -> str:
        """Draw the measure over milliseconds an answer."""
        points = {
            name: (e.latency, cell["mean"])
            for name, e in self.evidence.items()
            if e.latency is not None and (cell := self._cells[name]["cells"][self.measure])
        }
        return trade(points, self._places, self.measure, percent=self.percent)

    def as_markdown(self) -> str:
        """Write all tables as Markdown, the study's own with its notes first."""
        lines = [line for table in self._further() for line in table.as_markdown()]
        return "\n".join([as_markdown(self.summary).rstrip("\n"), *lines]) + "\n"

    def as_latex(self) -> str:
        """Write all tables as LaTeX."""
        tables = [self.main, *self._further()]
        return "\n".join(booktabs(t.head, t.body, t.title) for t in tables)

    def as_rows(self) -> Iterator[list[Any]]:
        """Yield the lines of the CSV file: the study's own, then recall and milliseconds."""
        yield from as_rows(self.summary)
        for name, e in self.evidence.items():
            row = [self._cells[name]["row"], self._cells[name]["data"]]
            counts = [] if e.matrix is None else e.matrix.sum(axis=1).tolist()
            for label, value, count in zip(e.classes, e.recall, counts, strict=False):
                measure = f"recall_{label}"
                yield [*row, f"recall of {label}", measure, count, value, "", "", "", ""]
            if e.latency is not None:
                yield [*row, "ms an answer", "latency_ms", "", e.latency, "", "", "", ""]

    def _further(self) -> list[Table]:
        found = (self.published, *self.pairs, *self.recall, self.samples, self.runs)
        return [table for table in found if table is not None]

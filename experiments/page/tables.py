"""The tables of a page, each once for the page itself, for Markdown and for LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from callbacks.statistics import holm
from experiments.page.evidence import Evidence
from experiments.report.markdown import NONE, is_share, markdown_table, p_value
from experiments.study.footnotes import figure_text, is_shown
from experiments.study.summary import Row, against
from experiments.study.table import remarks_of, table_of

_SAMPLES = 24  # shown at most
_SIGNS = {True: "✓", False: "✗"}


@dataclass(frozen=True)
class Table:
    """A table of plain text.

    Args:
        title: What it shows.
        head: Names of its columns.
        body: Its cells, row by row.
        notes: What a reader has to know of it, a sentence each.
        shades: How strongly each cell but the first of a row is shaded, from 0 to 1; none where
            there is nothing to shade.
    """

    title: str
    head: Sequence[str]
    body: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    shades: Sequence[Sequence[float]] = ()

    def as_markdown(self) -> list[str]:
        """Write it as lines of Markdown, with its title and its notes."""
        return ["", f"## {self.title}", "", *markdown_table(self.head, self.body), *self.notes]


def main_table(summary: Mapping[str, Any]) -> Table:
    """Lay out the table of a study itself."""
    head, body = table_of(summary)
    return Table(summary["title"], head, body, remarks_of(summary))


def published_table(summary: Mapping[str, Any]) -> Table | None:
    """Lay out the papers' figures beside what was measured in their setting.

    A figure of another setting is no figure to compare with: a note says what differs. That of
    what an answer costs is shown all the same. None where the papers have none for any cell.
    """
    body: list[list[str]] = []
    notes: dict[str, str] = {}

    def marked(why: str, shown: str = NONE) -> str:
        return f"{shown} {notes.setdefault(why, f'[{len(notes) + 1}]')}"

    for row in summary["rows"]:
        for title, measure in row["measures"].items():
            figure = row["published"][title]
            if not isinstance(figure, Mapping):
                continue
            name, cell = [row["row"], row["data"], title], row["cells"][title]
            source = f"{figure['paper']}, {figure['table']}"
            here = None if cell is None else (100 if is_share(measure) else 1) * cell["mean"]
            ours = NONE if here is None else f"{here:.4g}"
            if figure["differences"]:
                why = f"{source}: {'; '.join(figure['differences'])}."
                if is_shown(figure, measure):
                    body.append([*name, marked(why, figure_text(figure)), ours, NONE])
                else:
                    body.append([*name, marked(why), "", ""])
                continue
            known = here is not None and isinstance(figure["value"], float)
            apart = f"{here - figure['value']:+.3g}" if known else NONE
            body.append([*name, f"{figure_text(figure)} ({source})", ours, apart])
    for figure in summary["others"]:
        where = " ".join(filter(None, (figure["condition"], figure["metric"])))
        about = [figure["method"], figure["dataset"], where, figure_text(figure)]
        body.append([*about, marked(f"{figure['reason']}."), ""])
    if not body:
        return None
    head = ["method", "data", "measure", "published", "here", "difference"]
    said = [f"{mark} {why}" for why, mark in notes.items()]
    return Table("Beside the papers", head, body, said)


def pair_tables(names: Sequence[str], rows: Sequence[Row]) -> Iterator[Table]:
    """Test every row against every other, over folds and over samples.

    Args:
        names: Names of the rows.
        rows: At least one.
    """
    places = [(i, j) for i in range(len(rows)) for j in range(i + 1, len(rows))]
    tests = {place: against(rows[place[0]], rows[place[1]]) for place in places}
    known = {place: test for place, test in tests.items() if test is not None}
    measure = next(iter(rows[0].measures.values()))
    over_folds = {p: t for p, t in known.items() if t["p_t"] is not None}
    corrected = dict(zip(over_folds, holm([t["p_t"] for t in over_folds.values()]), strict=True))
    counts = sorted({test["difference"]["n"] for test in known.values()})
    if counts and counts[-1] > 1:
        pairs = f"{len(over_folds)} pair{'' if len(over_folds) == 1 else 's'}"

        def by_folds(i: int, j: int) -> str:
            place, sign = ((i, j), 1) if i < j else ((j, i), -1)
            if place not in known:
                return ""
            mean = sign * known[place]["difference"]["mean"]
            shown = f"{100 * mean:+.1f}" if is_share(measure) else f"{mean:+.3g}"
            return f"{shown} ({p_value(corrected.get(place))})"

        yield _matrix(
            "Differences of pairs over folds",
            names,
            by_folds,
            f"Row minus column{', in points' if is_share(measure) else ''}, and p of the corrected "
            f"resampled t-test (Nadeau and Bengio 2003) over n = {' or '.join(map(str, counts))} "
            f"folds, by Holm for {pairs}; - where all folds differ alike. Empty where samples or "
            "folds differ.",
        )
    if any(test["p_mcnemar"] is not None for test in known.values()):
        tested = next(rows[i] for (i, _), test in known.items() if test["p_mcnemar"] is not None)
        count = len(tested.right(next(iter(tested.measures.values()))))

        def by_samples(i: int, j: int) -> str:
            test = known.get((min(i, j), max(i, j)))
            return "" if test is None or test["p_mcnemar"] is None else p_value(test["p_mcnemar"])

        yield _matrix(
            "Pairs over samples",
            names,
            by_samples,
            f"McNemar's exact p over n = {count} pooled test samples, not corrected for the number "
            "of pairs. Empty where samples differ.",
        )


def _matrix(title: str, names: Sequence[str], cell: Callable[[int, int], str], note: str) -> Table:
    numbers = range(len(names))
    body = [[names[i], *("" if i == j else cell(i, j) for j in numbers)] for i in numbers]
    return Table(title, ["", *names], body, [note])


def recall_tables(evidence: Mapping[str, Evidence]) -> Iterator[Table]:
    """Lay out recall, a method a row and a class a column; a table for each list of classes."""
    shown = {name: e for name, e in evidence.items() if e.recall}
    for classes in dict.fromkeys(e.classes for e in shown.values()):
        group = {name: e.recall for name, e in shown.items() if e.classes == classes}
        body = [
            [name, *(NONE if value is None else f"{100 * value:.0f}" for value in recall)]
            for name, recall in group.items()
        ]
        shades = [[value or 0.0 for value in recall] for recall in group.values()]
        yield Table("Recall by class, %", ["", *classes], body, (), shades)


def sample_table(evidence: Mapping[str, Evidence]) -> Table | None:
    """Show the answers of all methods to samples on which they differ.

    None where the methods have not answered the same samples.
    """
    answers = {name: e.answers for name, e in evidence.items() if e.answers}
    if len(answers) < 2:
        return None
    common = set.intersection(*(set(told) for told in answers.values()))
    right = {
        sample: [told[sample][0] == told[sample][1] for told in answers.values()]
        for sample in sorted(common)
    }
    differing = [sample for sample, marks in right.items() if len(set(marks)) > 1]
    if not differing:
        return None
    told_by = list(answers.values())
    shown = min(len(differing), _SAMPLES)
    body = []
    for sample in (differing[n * len(differing) // shown] for n in range(shown)):
        pairs = [told[sample] for told in told_by]
        signs = [f"{_SIGNS[label == answer]} {answer}" for label, answer in pairs]
        body.append([sample, pairs[0][0], *signs])
    all_right = sum(all(marks) for marks in right.values())
    none_right = sum(not any(marks) for marks in right.values())
    note = (
        f"{len(body)} of {len(differing)} samples on which methods differ; of {len(right)} in all, "
        f"{all_right} are answered rightly by every method and {none_right} by none."
    )
    return Table("The same samples under every method", ["sample", "true", *answers], body, [note])


def run_table(summary: Mapping[str, Any], evidence: Mapping[str, Evidence]) -> Table:
    """Lay out what was run on what: data, people, folds, code and time."""
    head = ["method", "data", "seed", "folds", "samples", "people", "folds' hash", "commit"]
    body = []
    rows = [row for row in summary["rows"] if row["runs"]]
    for row, found in zip(rows, evidence.values(), strict=True):
        answer = NONE if found.latency is None else f"{found.latency:.3g}"
        for run, hours in zip(row["runs"], found.hours, strict=True):
            body.append(
                [
                    *(row["row"], run["source"], str(run["seed"])),
                    f"{len(run['done'])} of {run['folds']}",
                    *(str(run["n_test"]), str(run["n_subjects"]), run["folds_hash"][:8]),
                    (run["commit"] or "unknown")[:8],
                    NONE if hours is None else f"{hours:.3g}",
                    answer,
                ]
            )
    marks = dict.fromkeys(
        f"{row['row']}: {phrase}"
        for row in rows
        for run in row["runs"]
        for phrase in run["departures"]
    )
    notes = [
        "Hours are those of training with its validations, all folds one after another. An answer "
        "is the forward pass of one sample, without reading a picture and estimating its flow: "
        "median over folds, on the machine of the tests and beside whatever else it did."
    ]
    notes += [f"Departures from the protocol: {'; '.join(marks)}."] if marks else []
    return Table("What was run", [*head, "hours", "ms an answer"], body, notes)

"""The table of a study: its text, its footnotes and its CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from experiments.report.markdown import NONE, difference, interval, markdown_table, p_value, spread
from experiments.study.footnotes import figure_text, footnotes_of, is_shown, why_not


def table_of(summary: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the names of the table's columns, and its cells row by row."""
    titles = summary["columns"]
    several = len({row["data"] for row in summary["rows"]}) > 1
    tested = any(row["against_first"] for row in summary["rows"])
    head = ["method", *(["data"] if several else []), *titles]
    head += ["difference", "p (t)", "p (McNemar)"] if tested else []
    marks, several_seeds = footnotes_of(summary), len(summary["seeds"]) > 1
    body = []
    for row in summary["rows"]:
        line = [row["row"], *([row["data"]] if several else [])]
        line += [_cell(row, title, several_seeds, marks) for title in titles]
        body.append(line + (_tests(row, titles[0]) if tested else []))
    return head, body


def remarks_of(summary: Mapping[str, Any]) -> list[str]:
    """Say what the numbers are, a sentence each."""
    seeds = summary["seeds"]
    several_seeds = len(seeds) > 1
    over = f"over seeds {', '.join(map(str, seeds))}" if several_seeds else "over folds"
    remarks = [
        f"Mean ± standard deviation {over}{', with 95 % intervals' if several_seeds else ''}."
    ]
    if any(row["against_first"] for row in summary["rows"]):
        several_data = len({row["data"] for row in summary["rows"]}) > 1
        first = "the first row of the same data" if several_data else summary["rows"][0]["row"]
        counted = ", each counted as most seeds answer it" if several_seeds else ""
        remarks.append(
            f"Differences in {summary['columns'][0]} are to {first}, with 95 % "
            "intervals. p (t): corrected resampled t-test (Nadeau and Bengio 2003). p (McNemar): "
            f"exact, over pooled test samples{counted}. Neither is corrected for the number of "
            "comparisons."
        )
    remarks += [f"{mark} {why}." for why, mark in footnotes_of(summary).items()]
    commits = {run["commit"] for row in summary["rows"] for run in row["runs"]}
    if len(commits) > 1:
        remarks.append(f"Made with {len(commits)} commits, between which results may have changed.")
    return remarks


def as_markdown(summary: Mapping[str, Any]) -> str:
    """Write the table, with what it stands on below."""
    table = markdown_table(*table_of(summary))
    lines = [summary["title"], "", *table, *_others(summary), *remarks_of(summary)]
    return "\n".join([*lines, *_notes(summary)]) + "\n"


def _others(summary: Mapping[str, Any]) -> list[str]:
    """Lay out the published figures that no row of the study measures."""
    if not summary["others"]:
        return []
    rows = []
    for figure in summary["others"]:
        about = (figure[name] for name in ("method", "dataset", "condition", "metric"))
        rows.append([*about, figure_text(figure), figure["reason"]])
    head = ["published", "data", "condition", "measure", "figure", "why it is not measured here"]
    return markdown_table(head, rows)


def _cell(row: Mapping[str, Any], title: str, several_seeds: bool, marks: dict[str, str]) -> str:
    found, measure = row["cells"][title], row["measures"][title]
    text = NONE if found is None else spread(found, measure)
    if found is not None and several_seeds:
        text += f" [{interval(found, measure)}]"
    figure = row["published"][title]
    if figure is None:
        return text
    shown = figure_text(figure) if is_shown(figure, measure) else NONE
    mark = f" {marks[why_not(figure, measure)]}" if figure["differences"] else ""
    return f"{text} (published {shown}{mark})"


def _tests(row: Mapping[str, Any], title: str) -> list[str]:
    test = row["against_first"]
    if test is None:
        return ["", "", ""]
    shown = difference(test["difference"], row["measures"][title])
    return [shown, p_value(test["p_t"]), p_value(test["p_mcnemar"])]


def _notes(summary: Mapping[str, Any]) -> Iterator[str]:
    several = len({row["data"] for row in summary["rows"]}) > 1
    for row in summary["rows"]:
        name = f"{row['row']} on {row['data']}" if several else row["row"]
        for run in row["runs"]:
            marks = [f"departs from the protocol: {phrase}" for phrase in run["departures"]]
            about = [
                run["folder"],
                f"data {run['source']}",
                f"seed {run['seed']}",
                f"folds {', '.join(map(str, run['done']))} of {run['folds']}",
                f"{run['n_test']} test samples of {run['n_subjects']} people",
                f"commit {(run['commit'] or 'unknown')[:8]}",
                *(f"answers timed on {device}" for device in run.get("timed_on", ())),
            ]
            yield f"{name}: {'; '.join([', '.join(about), *marks])}"
        for phrase in row["missing"]:
            yield f"{name}: missing: {phrase}"


def as_rows(summary: Mapping[str, Any]) -> Iterator[list[Any]]:
    """Yield the lines of the CSV file, the names of its columns first."""
    measured = ("n", "mean", "std", "low", "high")
    yield ["row", "data", "column", "measure", *measured, "published"]
    for row in summary["rows"]:
        for title, measure in row["measures"].items():
            found = row["cells"][title] or {}
            numbers = [found.get(key) for key in measured]
            figure = row["published"][title]
            shown = None if figure is None or figure["differences"] else figure["value"]
            yield [row["row"], row["data"], title, measure, *numbers, shown]

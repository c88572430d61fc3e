"""`lightning report`: one page of what was compared, and the same tables for a paper."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from datamodules.store.replacing import read_json, replacing
from experiments.command.arguments import CommandParser
from experiments.command.errors import CommandError
from experiments.compare import Run, names_of
from experiments.crossval.folder import DESCRIPTION_FILE, CrossvalFolder
from experiments.crossval.summary import collect, summarize
from experiments.page.charts import curves, leaderboard, reliability
from experiments.page.evidence import Evidence, evidence_of
from experiments.page.latex import booktabs
from experiments.report.markdown import is_share, p_value, write_files
from experiments.study.study_file import Method, Study
from experiments.study.table import (
    Row,
    against,
    as_markdown,
    as_rows,
    remarks_of,
    summary_of,
    table_of,
)

_STUDY = "study.json"
_SAMPLES = 24  # shown at most
Section = tuple[dict[str, Any], list[Row]]
"""What `summary_of` says of a table of the page, and its rows."""


def report(args: Sequence[str]) -> None:
    """Run `lightning report`.

    Args:
        args: What follows it on the command line.

    Raises:
        CommandError: If there is nothing to report.
    """
    parser = CommandParser(
        prog="lightning report",
        allow_abbrev=False,
        description="Write one page of studies and cross-validations, with tables for a paper "
        "beside it.",
    )
    parser.add_argument(
        "runs", nargs="+", type=Path, help="Folders of studies or cross-validations, or above them."
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("report.html"), help="The page.")
    options = parser.parse_args(list(args))
    sections = list(_sections(options.runs))
    if not sections:
        where = ", ".join(map(str, options.runs))
        raise CommandError(
            f"There is no finished fold below {where}: run lightning crossval or study first."
        )
    page = (
        _environment()
        .get_template("page.html.j2")
        .render(sections=[_shown(summary, rows) for summary, rows in sections])
    )
    with replacing(options.output) as aside:
        aside.write_text(page, "utf-8")
    print(options.output)
    for number, (summary, _) in enumerate(sections):
        stem = options.output.stem + (f"-{summary['study']}" if len(sections) > 1 else "")
        folder = options.output.parent
        write_files(folder, stem, summary, as_markdown(summary), (f"{stem}.csv", as_rows(summary)))
        head, body = table_of(summary)
        with replacing(folder / f"{stem}.tex") as aside:
            aside.write_text(booktabs(head, body, summary["title"]), "utf-8")
        for ending in ("md", "tex", "csv", "json"):
            print(folder / f"{stem}.{ending}", flush=number == len(sections) - 1)


def _environment() -> Environment:
    loader = FileSystemLoader(Path(__file__).parent)
    return Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _sections(paths: Sequence[Path]) -> Iterator[Section]:
    """Yield the studies below some folders, then the other cross-validations, by their data."""
    files = dict.fromkeys(file for path in paths for file in sorted(path.rglob(_STUDY)))
    shown = set()
    for file in files:
        summary = read_json(file, rows=list, columns=list, title=str, study=str, seeds=list)
        rows = [] if summary is None else _rows(summary)
        if summary is not None and any(row.runs for row in rows):
            shown |= {run.path.resolve() for row in rows for run in row.runs}
            yield summary, rows
    groups: dict[tuple[Any, ...], list[Run]] = defaultdict(list)
    for path in paths:
        for file in sorted(path.rglob(DESCRIPTION_FILE)):
            run = None if file.parent.resolve() in shown else _run(file.parent, None)
            if run is not None:
                keys = ("source", "manifest_hash", "folds_hash", "class_names", "done")
                groups[tuple(str(run.summary[key]) for key in keys)].append(run)
    for number, runs in enumerate(groups.values(), start=1):
        names = names_of(runs)
        columns = {"accuracy": "accuracy"}
        study = Study(
            f"comparison-{number}",
            f"Cross-validations on {runs[0].summary['data'].removesuffix('DataModule')}",
            {name: Method((), {}) for name in names},
            {"data": ()},
            columns,
            tuple(dict.fromkeys(run.description.seed for run in runs))[:1],
            None,
        )
        rows = [Row(n, "data", columns, (r,), ()) for n, r in zip(names, runs, strict=True)]
        yield summary_of(study, rows), rows


def _rows(summary: Mapping[str, Any]) -> list[Row]:
    """Read what the rows of a study stand on, the folds that its summary is of."""
    return [
        Row(
            row["row"],
            row["data"],
            row["measures"],
            tuple(
                run
                for told in row["runs"]
                if (run := _run(Path(told["folder"]), told["done"])) is not None
            ),
            tuple(row["missing"]),
        )
        for row in summary["rows"]
    ]


def _run(path: Path, wanted: Sequence[int] | None) -> Run | None:
    if not (path / DESCRIPTION_FILE).is_file():
        return None
    folder = CrossvalFolder(path)
    records, missing = collect(folder)
    records = [record for record in records if wanted is None or record["fold"] in wanted]
    if not records:
        return None
    about = folder.description()
    return Run(path, about, records, summarize(about, records, missing))


def _shown(summary: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """Gather what the template shows of a section."""
    head, body = table_of(summary)
    title = summary["columns"][0]
    evidence: dict[str, Evidence] = {}
    for row in rows:
        if row.runs:
            evidence[_name(row, rows)] = evidence_of(row, row.measures[title])
    board = [
        (_name(row, rows), told["cells"][title], tuple(evidence[_name(row, rows)].folds.values()))
        for row, told in zip(rows, summary["rows"], strict=True)
        if row.runs
    ]
    lines = {name: e.curve for name, e in evidence.items() if e.curve and len(e.curve.steps) > 1}
    monitored = sorted({curve.name for curve in lines.values()})
    return {
        "title": summary["title"],
        "head": head,
        "body": body,
        "remarks": remarks_of(summary),
        "synthetic": any(r["source"] == "synthetic" for x in summary["rows"] for r in x["runs"]),
        "rows": summary["rows"],
        "measure": title,
        "evidence": evidence,
        "leaderboard": leaderboard(board, percent=is_share(rows[0].measures[title])),
        "pairs": _pairs(rows),
        "samples": _samples(rows),
        "curves": {
            name: curves({row: c for row, c in lines.items() if c.name == name})
            for name in monitored
        },
        "reliability": reliability(
            {name: e.reliability for name, e in evidence.items() if e.reliability}
        ),
    }


def _name(row: Row, rows: Sequence[Row]) -> str:
    return row.name if len({other.data for other in rows}) == 1 else f"{row.name}, {row.data}"


def _pairs(rows: Sequence[Row]) -> list[tuple[str, list[str]]]:
    """Test every row against every other: exact McNemar's p, or none where samples differ."""
    table = []
    for row in rows:
        tests = [None if row is other else against(row, other) for other in rows]
        cells = ["" if test is None else p_value(test["p_mcnemar"]) for test in tests]
        table.append((_name(row, rows), cells))
    return table if any(any(cells) for _, cells in table) else []


def _samples(rows: Sequence[Row]) -> list[tuple[str, list[bool]]]:
    """Choose samples that some methods answer rightly and others not, all of one seed.

    Returns:
        Name of the sample, and whether each row that was run is right; none where the rows tested
        different samples.
    """
    right = []
    for row in rows:
        if row.runs:
            measure = next(iter(row.measures.values()))
            seed = str(row.runs[0].description.seed)
            answers = row.right(measure)
            right.append({k[1]: v for k, v in answers.items() if k[0] == seed and len(k) == 2})
    if len(right) < 2 or any(answers.keys() != right[0].keys() for answers in right):
        return []
    told = [(name, [answers[name] for answers in right]) for name in sorted(right[0])]
    return [(name, marks) for name, marks in told if len(set(marks)) > 1][:_SAMPLES]

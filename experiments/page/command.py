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
from experiments.compare import names_of
from experiments.crossval.folder import DESCRIPTION_FILE, CrossvalFolder
from experiments.crossval.run import Run
from experiments.crossval.summary import collect
from experiments.page.charts import COLOURS
from experiments.page.section import Section
from experiments.report.markdown import write_files
from experiments.study.study_file import Method, Study
from experiments.study.summary import Row, summary_of

_STUDY = "study.json"


def report(args: Sequence[str]) -> None:
    """Run `lightning report`.

    Raises:
        CommandError: If there is nothing to report.
    """
    parser = CommandParser(
        "report",
        description="Write one page of studies and cross-validations, with tables for a paper "
        "beside it.",
    )
    parser.add_argument(
        "runs", nargs="+", type=Path, help="Folders of studies or cross-validations, or above them."
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("report.html"), help="The page.")
    options = parser.parse_args(list(args))
    sections = [Section(summary, rows) for summary, rows in _sections(options.runs)]
    if not sections:
        where = ", ".join(map(str, options.runs))
        raise CommandError(
            f"There is no finished fold below {where}: run lightning crossval or study first."
        )
    page = _environment().get_template("page.html.j2").render(sections=sections, colours=COLOURS)
    with replacing(options.output) as aside:
        aside.write_text(page, "utf-8")
    print(options.output)
    folder = options.output.parent
    for number, section in enumerate(sections):
        stem = options.output.stem
        stem += f"-{section.summary['study']}" if len(sections) > 1 else ""
        table = (f"{stem}.csv", section.as_rows())
        write_files(folder, stem, section.summary, section.as_markdown(), table)
        with replacing(folder / f"{stem}.tex") as aside:
            aside.write_text(section.as_latex(), "utf-8")
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


def _sections(paths: Sequence[Path]) -> Iterator[tuple[dict[str, Any], list[Row]]]:
    """Yield what `summary_of` says, and the rows, of studies and then of other cross-validations.

    The latter stand together by their data.
    """
    files = dict.fromkeys(file for path in paths for file in sorted(path.rglob(_STUDY)))
    shown = set()
    for file in files:
        summary = read_json(
            file, rows=list, columns=list, title=str, study=str, seeds=list, others=list
        )
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
    return Run.of(folder, records, missing) if records else None

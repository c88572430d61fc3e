"""`lightning compare`: several methods on the same folds, in one table."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from callbacks.statistics import estimate
from experiments.command.arguments import CommandParser
from experiments.command.errors import CommandError, close_match, usage_error
from experiments.command.signatures import find_class
from experiments.crossval.folder import CrossvalFolder
from experiments.crossval.paired import over_folds, over_samples
from experiments.crossval.run import HEADLINE, Run
from experiments.crossval.summary import collect
from experiments.published import Figure, explain, papers_dataset, published_figure
from experiments.report.markdown import NONE, difference, markdown_table, number, p_value, spread
from experiments.report.occlusion import occlusion_tables


def compare(args: Sequence[str]) -> None:
    """Run `lightning compare`.

    Raises:
        CommandError: If the runs cannot be compared.
    """
    parser = CommandParser(
        "compare",
        description="Compare cross-validations on the same folds; the first is the reference.",
    )
    parser.add_argument("runs", nargs="+", help="Folders: runs/<experiment>/crossval-<hash>.")
    parser.add_argument(
        "--measures",
        nargs="+",
        help="What to compare, by name, or all; default: the headline measures of the methods.",
    )
    options = parser.parse_args(list(args))
    runs = [load(Path(run)) for run in options.runs]
    check_comparable(runs)
    print(as_markdown(runs, choose_measures(runs, options.measures)), flush=True)


def load(path: Path) -> Run:
    """Read all folds of a cross-validation.

    Args:
        path: Its folder, or that of an experiment which has only one.

    Raises:
        CommandError: If there is none, or folds are missing.
    """
    inside = sorted(path.glob("crossval-*"))
    if len(inside) > 1:
        names = ", ".join(str(folder) for folder in inside)
        raise CommandError(f"{path} holds several cross-validations: give one of {names}.")
    folder = CrossvalFolder(inside[0] if inside else path)
    records, missing = collect(folder)
    if missing or not records:
        raise CommandError(
            f"{folder.path} lacks folds {', '.join(map(str, missing)) or 'altogether'}: finish it "
            f"with lightning crossval {' '.join(folder.description().arguments)}"
        )
    return Run.of(folder, records)


def check_comparable(runs: Sequence[Run]) -> None:
    """Make sure that all runs tested the same samples in the same folds.

    Raises:
        CommandError: If they differ in data, in folds or in classes.
    """
    first = runs[0]
    for run in runs[1:]:
        for key, what in (
            ("manifest_hash", "data"),
            ("folds_hash", "folds"),
            ("done", "folds"),
            ("class_names", "classes"),
            ("n_test", "test samples"),
        ):
            if run.summary[key] != first.summary[key]:
                raise CommandError(
                    f"{run.path} and {first.path} have differing {what} "
                    f"({_short(run.summary[key])} and {_short(first.summary[key])}): only methods "
                    "on the same folds are compared."
                )


def choose_measures(runs: Sequence[Run], wanted: Sequence[str] | None) -> list[str]:
    """Choose what is wanted, or `accuracy` and what the methods name as their headline measures.

    A method names them in its attribute `headline_measures`; of one that does not these are all
    accuracies.

    Args:
        runs: The runs.
        wanted: Names of measures; `all` is every measure that all runs have.

    Raises:
        CommandError: If a run does not have what is wanted.
    """
    keys = [key.removeprefix("test/") for key in runs[0].records[0].metrics]
    common = [HEADLINE, *(key for key in keys if key != HEADLINE)]
    common = [key for key in common if all(run.values(key) is not None for run in runs)]
    if wanted == ["all"]:
        return common
    for name in wanted or ():
        if name not in common:
            known = f": they have {', '.join(common)}"
            raise usage_error(f"Not every run measured {name}{close_match(name, common) or known}")
    if wanted:
        return list(wanted)
    patterns = {HEADLINE: None}
    for run in runs:
        source = find_class(f"lightning_modules.{run.description.model}")
        named = None if source is None else source.constant("headline_measures")
        patterns |= dict.fromkeys(named or ("*accuracy*",))
    chosen = [key for pattern in patterns for key in common if fnmatchcase(key, pattern)]
    return [key for key in dict.fromkeys(chosen) if "_over_" not in key]


def as_markdown(runs: Sequence[Run], measures: Sequence[str]) -> str:
    """Write the table, with what it stands on below; the first run is the reference."""
    first = runs[0].summary
    names = names_of(runs)
    dataset = papers_dataset(first)
    columns = ["measure", "method", "mean ± std", "pooled", "difference", "p (t)", "p (McNemar)"]
    columns += [] if dataset is None else [f"published ({dataset})"]
    notes: dict[str, str] = {}
    rows = []
    for measure in measures:
        for run, name in zip(runs, names, strict=True):
            row = [measure, name, *_cells(run, runs[0], measure)]
            if dataset is not None:
                about = run.description
                figure = published_figure(run.summary, about.model, about.model_arguments, measure)
                row.append(_beside(figure, name, notes))
            rows.append(row)
    lines = [
        f"Data {first['source']}, {first['folds']} folds ({first['fold_mode']}), "
        f"{first['n_test']} test samples of {first['n_subjects']} subjects.",
        "",
        *markdown_table(columns, rows),
        *occlusion_tables(dict(zip(names, map(_mean_accuracies, runs), strict=True))),
        *(
            f"{name}: {run.path}, seed {run.description.seed}, commit {run.summary['commit']}"
            for run, name in zip(runs, names, strict=True)
        ),
        *(
            f"* {name} departs from the protocol: {phrase}"
            for run, name in zip(runs, names, strict=True)
            for phrase in run.summary["departures"]
        ),
    ]
    if len(runs) > 1:
        lines += [
            f"Differences are to {names[0]}, with 95 % intervals. p (t): corrected resampled "
            "t-test over folds (Nadeau and Bengio 2003). p (McNemar): exact, over pooled test "
            "samples. Neither is corrected for the number of comparisons."
        ]
    if dataset is None:
        lines.append("No published figures: there are none of these data.")
    lines += [f"{mark} No published figure beside {why}." for why, mark in notes.items()]
    return "\n".join(lines)


def _cells(run: Run, reference: Run, measure: str) -> list[str]:
    values, others = run.values(measure) or [], reference.values(measure) or []
    right = run.right(measure)
    pooled = NONE if right is None else number(sum(right.values()) / len(right), measure)
    cells = [spread(vars(estimate(values)), measure), pooled]
    if run is reference:
        return [*cells, "", "", ""]
    differences = [a - b for a, b in zip(values, others, strict=True)]
    mean, p = over_folds(differences, run.summary["folds"])
    # Methods may answer under conditions of their own; the same samples are compared.
    by_samples = over_samples(right, reference.right(measure))
    return [*cells, difference(vars(mean), measure), p_value(p), p_value(by_samples)]


def _beside(figure: Figure | None, name: str, notes: dict[str, str]) -> str:
    """Write a published figure, or the mark of the note that says why it is not beside the run."""
    if figure is None:
        return ""
    if not figure.differences:
        return str(figure)
    why = f"{name} ({explain(figure.plain())})"
    return f"{NONE} {notes.setdefault(why, f'[{len(notes) + 1}]')}"


def _mean_accuracies(run: Run) -> dict[str, float]:
    keys = [key.removeprefix("test/") for key in run.records[0].metrics]
    found = {key: run.values(key) for key in keys if key.startswith("accuracy")}
    return {key: estimate(values).mean for key, values in found.items() if values is not None}


def names_of(runs: Sequence[Run]) -> list[str]:
    """Name runs by their experiments, and by the arguments in which they differ."""
    arguments = [run.description.model_arguments for run in runs]
    keys = dict.fromkeys(key for given in arguments for key in given)
    differing = [k for k in keys if len({str(given.get(k)) for given in arguments}) > 1]
    names = []
    for run in runs:
        same = [
            other for other in runs if other.description.experiment == run.description.experiment
        ]
        parts = [run.description.experiment]
        if len(same) > 1:
            given = run.description.model_arguments
            parts += [f"{key}={given[key]}" for key in differing if key in given]
        names.append(" ".join(parts))
    if len(set(names)) < len(names):
        names = [f"{name} {run.path.name}" for name, run in zip(names, runs, strict=True)]
    marks = ["*" if run.summary["departures"] else "" for run in runs]
    return [name + mark for name, mark in zip(names, marks, strict=True)]


def _short(value: Any) -> str:
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 40 else f"{text[:8]} ..."

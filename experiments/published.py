"""What the papers report, where a run is of the same method, setting and data.

figures.csv holds every figure of the papers' tables, and the cell of a study that measures it. The
setting of the figure is one of _protocols.yaml, and it is printed beside no other. Where the cell
is known to be of another setting, or there is none, a reason says why.
"""

from __future__ import annotations

import copy
import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from datamodules.labels import class_names
from experiments.command.signatures import class_name, find_class
from experiments.study.study_file import read_study

_FOLDER = Path(__file__).resolve().parent
# Parts of the names of data modules, the longer first.
_READERS = {
    "CKPlus": "CK+",
    "SNaP2DFe": "SNaP-2DFe",
    "RAFDB": "RAF-DB",
    "FERPlus": "FERPlus",
    "FER2013": "FER2013",
    "JAFFE": "JAFFE",
    "KDEF": "KDEF",
    "RaFD": "RaFD",
    "SFEW": "SFEW",
}
_SHOWN = 4
# Arguments that decide no result, or are compared as those of the method, as classes or as counts.
_UNDECIDING = {
    "data": (
        *("seed", "fold", "num_workers", "on_device", "on_bad_sample", "synthetic_subjects"),
        *("size", "clip", "expressions", "raw_pattern", "strict_counts", "root", "labels_csv"),
        *("lists", "frontalized"),
    ),
    # The same step in another order of operations; what is measured beside the result.
    "model": ("fused", "baselines", "quality_samples"),
    "trainer": ("callbacks", "log_every_n_steps"),
}
# What the trainer does where no config says otherwise.
_TRAINER = {
    "max_steps": -1,
    "limit_train_batches": None,
    "overfit_batches": 0.0,
    "accumulate_grad_batches": 1,
    "gradient_clip_val": None,
}
TRAINER_ARGUMENTS = ("max_epochs", *_TRAINER)
"""What of the trainer decides a result."""
_TRAINING_CALLBACKS = ("WeightAverage",)


@dataclass(frozen=True)
class Figure:
    """A figure of a paper, and what a run does otherwise.

    Args:
        row: Its line in figures.csv.
        differences: What keeps it from standing beside the run, a phrase each.
    """

    row: Mapping[str, str]
    differences: tuple[str, ...]

    def __str__(self) -> str:
        value, std, unit, *source = (
            self.row[name] for name in ("value", "std", "unit", "paper", "table", "method")
        )
        number = " ".join(part for part in (value, f"± {std}" if std else "", unit) if part)
        return f"{number} ({', '.join(source)})"

    def plain(self) -> dict[str, Any]:
        """Return it as plain values, ``value`` and ``std`` as numbers in the paper's unit."""
        return {
            **{name: self.row[name] for name in _KEYS},
            **_numbers(self.row),
            "differences": list(self.differences),
        }


_KEYS = ("paper", "table", "method", "dataset", "condition", "metric")


def explain(figure: Mapping[str, Any]) -> str:
    """Say in a line what differs from a figure, given as `Figure.plain` returns it."""
    differences = figure["differences"]
    more = len(differences) - _SHOWN
    said = [*differences[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]
    return f"{figure['paper']}, {figure['table']}: {'; '.join(said)}"


def _numbers(row: Mapping[str, str]) -> dict[str, Any]:
    """Return value (a number, where it is one), std and unit of a line."""
    try:
        value: float | str = float(row["value"])
    except ValueError:  # the size of Figure 8
        value = row["value"]
    std = float(row["std"]) if row["std"] else None
    return {"value": value, "std": std, "unit": row["unit"]}


@cache
def figures() -> tuple[Mapping[str, str], ...]:
    """Read figures.csv.

    Its columns are: paper, table, method, dataset, condition, metric, value, std, unit; the cell
    that measures the figure by ``study``, ``row``, ``data`` and ``column``; ``protocol``, its
    setting (a name in _protocols.yaml and arguments of the method that differ from it, `*` for
    any); and ``reason``, why there is no cell, or why the cell is of another setting.
    """
    with (_FOLDER / "figures.csv").open(newline="", encoding="utf-8") as file:
        return tuple(csv.DictReader(file))


def papers_dataset(summary: Mapping[str, Any]) -> str | None:
    """Name the data set of a cross-validation as the papers do.

    None for embedded faces and data of which there are no figures.
    """
    return None if summary["source"] == "synthetic" else _dataset(summary["data"])


def _dataset(data: str) -> str | None:
    return next((name for part, name in _READERS.items() if part in data), None)


def published_figure(
    summary: Mapping[str, Any], model: str, arguments: Mapping[str, Any], measure: str
) -> Figure | None:
    """Find the figure of a paper with the fewest differences to a run, None where there is none.

    It belongs beside the run only where nothing differs: in the setting of the paper, of method,
    data and training, in the classes, and in the numbers of samples and people, by which data are
    known whatever the name of a folder.

    Args:
        summary: What `summarize` returned of the run.
        model: Name of the method's class.
        arguments: Its resolved arguments.
        measure: What the test logged, without `test/`.
    """
    dataset = papers_dataset(summary)
    found = [
        Figure(row, tuple(_differences(row["protocol"], summary, arguments)))
        for row in figures()
        if row["protocol"]
        and (dataset, model) == _place(row["protocol"])
        and measure == _measure(row["study"], row["row"], row["data"], row["column"])
    ]
    return min(found, key=lambda figure: len(figure.differences), default=None)


def figure_of_cell(
    cell: tuple[str, str, str, str], summary: Mapping[str, Any], arguments: Mapping[str, Any]
) -> Figure | None:
    """Return the figure that is bound to a cell of a study, and what a run there does otherwise.

    Args:
        cell: Names of study, row, data set and column.
        summary: As for :func:`published_figure`.
        arguments: As for :func:`published_figure`.
    """
    row = _by_cell().get(cell)
    if row is None:
        return None
    if row["reason"]:
        return Figure(row, (row["reason"],))
    if papers_dataset(summary) is None:
        return Figure(row, (f"data of another source here: {summary['source']}",))
    return Figure(row, tuple(_differences(row["protocol"], summary, arguments)))


def figures_without_cell(study: str) -> list[dict[str, Any]]:
    """Return what stands in a study's table and is not measured, as plain values with a reason."""
    return [
        {**{name: row[name] for name in _KEYS}, **_numbers(row), "reason": row["reason"]}
        for row in figures()
        if row["study"] == study and not row["row"]
    ]


@cache
def _by_cell() -> dict[tuple[str, str, str, str], Mapping[str, str]]:
    return {
        (row["study"], row["row"], row["data"], row["column"]): row
        for row in figures()
        if row["row"]
    }


@cache
def _measure(study: str, row: str, data: str, column: str) -> str:
    """Name what a test logs of a cell of a study."""
    found = read_study(_FOLDER / "studies" / f"{study}.yaml")
    return found.measures(row, data)[column]


@cache
def setting_of(protocol: str) -> dict[str, Any]:
    """Put the setting of a protocol together.

    Args:
        protocol: As in figures.csv.

    Returns:
        ``model``, ``data`` and ``trainer`` as in a config, and ``classes``, ``samples``, ``people``
        as in _protocols.yaml.
    """
    name, *changes = protocol.split()
    given = _config("_protocols.yaml")[name]
    setting: dict[str, Any] = {"trainer": {}}
    for file in given["configs"]:
        _merge(setting, _config(file))
    _merge(setting["model"]["init_args"], given.get("model", {}))
    for change in changes:
        key, _, value = change.partition("=")
        setting["model"]["init_args"][key] = value if "*" in value else yaml.safe_load(value)
    return {**given, **{part: setting[part] for part in ("model", "data", "trainer")}}


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = copy.deepcopy(value)


@cache
def _config(file: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((_FOLDER / file).read_text("utf-8"))
    return found


def _place(protocol: str) -> tuple[str | None, str]:
    """Return the data set and the method of a protocol."""
    paper = setting_of(protocol)
    return _dataset(class_name(paper["data"])), class_name(paper["model"])


def _differences(
    protocol: str, summary: Mapping[str, Any], arguments: Mapping[str, Any]
) -> Iterator[str]:
    paper = setting_of(protocol)
    yield from _unlike_node(paper["model"], arguments, "model")
    yield from _unlike_node(paper["data"], summary["data_arguments"], "data")
    there, training = {**_TRAINER, **paper["trainer"]}, summary["trainer_arguments"]
    yield from _unlike(_without(there, _UNDECIDING["trainer"]), training, "trainer.")
    yield from _unlike_callbacks(there, training)
    if summary["class_names"] != list(class_names(paper["classes"])):
        yield f"classes {paper['classes']} there, {' '.join(summary['class_names'])} here"
    for key, what in (("n_test", "samples"), ("n_subjects", "people")):
        if paper[what] is not None and summary[key] != paper[what]:
            yield f"{paper[what]} {what} there, {summary[key]} here"


def _unlike_node(there: Mapping[str, Any], here: Mapping[str, Any], part: str) -> Iterator[str]:
    """Name what a method or data have otherwise than a protocol and the class's defaults."""
    source = find_class(str(there["class_path"]))
    defaults = {} if source is None else source.defaults()
    setting = _without({**defaults, **there["init_args"]}, _UNDECIDING[part])
    prefix = "" if part == "model" else "data."
    # What the class does not take decides nothing: it is of the config's own data set.
    yield from _unlike({k: v for k, v in setting.items() if k in here}, here, prefix)


def _without(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _unlike_callbacks(there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    wanted = {class_name(node) for node in there.get("callbacks", ())}
    for name in _TRAINING_CALLBACKS:
        if (name in wanted) != (name in here["callbacks"]):
            yield f"{'no ' if name in here['callbacks'] else ''}{name} there"


def _unlike(there: Mapping[str, Any], here: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """Name what a setting has and a run has otherwise; `*` in a text stands for any letters."""
    for name, value in there.items():
        given = here.get(name)
        if isinstance(value, Mapping) and isinstance(given, Mapping):
            yield from _unlike(_whole(value), given, f"{prefix}{name}.")
        elif isinstance(value, str) and "*" in value and fnmatchcase(str(given), value):
            continue
        elif name not in _UNDECIDING["model"] and _list(value) != _list(given):
            yield f"{prefix}{name} {value} there, {given} here"


def _list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _whole(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Add its defaults to what a class of this project is made with."""
    path = str(node.get("class_path", ""))
    if not path.startswith(("datamodules.", "lightning_modules.")):
        return node
    source = find_class(path)
    defaults = {} if source is None else source.defaults()
    return {**node, "init_args": {**defaults, **node.get("init_args", {})}}

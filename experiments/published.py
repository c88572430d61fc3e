"""What the papers report, where a run is of the same method, setting and data."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from datamodules.labels import class_names
from experiments.command.signatures import find_class

_FOLDER = Path(__file__).resolve().parent
_READERS = {"CKPlus": "CK+", "SNaP2DFe": "SNaP-2DFe"}
_SHOWN = 4
# Arguments of data that decide no result, or are compared as those of the method, as classes or as
# counts.
_UNDECIDING = (
    *("seed", "fold", "num_workers", "on_device", "on_bad_sample", "synthetic_subjects"),
    *("size", "clip", "expressions", "raw_pattern"),
)

TABLES = {"emotions": "Table II", "action_units": "Table IV"}
"""The tables of the DCGAN paper."""
AVERAGE = "average"
_TRANSFER_READERS = {
    "CKPlusFacesDataModule": "CK+",
    "CelebADataModule": "CelebA",
    "KDEFDataModule": "KDEF",
    "RAFDBDataModule": "RAF-DB",
    "SFEWDataModule": "SFEW",
}
_VIEWS = {(90,): "RaFD frontal", (0, 45, 90, 135, 180): "RaFD multi-view"}


@dataclass(frozen=True)
class Figure:
    """A figure of a paper, and what a run does otherwise.

    Args:
        row: Its line in published.csv.
        differences: What keeps it from standing beside the run, a phrase each.
    """

    row: Mapping[str, str]
    differences: tuple[str, ...]

    def __str__(self) -> str:
        value, std, unit, *source = (
            self.row[name] for name in ("value", "std", "unit", "paper", "table", "method")
        )
        return f"{value}{f' ± {std}' if std else ''} {unit} ({', '.join(source)})"

    def explain(self) -> str:
        """Say what differs in a line."""
        more = len(self.differences) - _SHOWN
        said = [*self.differences[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]
        return f"{self.row['paper']}, {self.row['table']}: {'; '.join(said)}"


def papers_dataset(summary: Mapping[str, Any]) -> str | None:
    """Name the data set of a cross-validation as the papers do.

    None for embedded faces and data of which there are no figures.
    """
    if summary["source"] == "synthetic":
        return None
    return next((name for part, name in _READERS.items() if part in summary["data"]), None)


def published_figure(
    summary: Mapping[str, Any], model: str, arguments: Mapping[str, Any], measure: str
) -> Figure | None:
    """Find the figure of a paper with the fewest differences to a run, None where there is none.

    It belongs beside the run only where nothing differs: in the setting of the paper's config, of
    method and data, in the classes, and in the numbers of samples and people, by which data are
    known whatever the name of a folder.

    Args:
        summary: What `summarize` returned of the run.
        model: Name of the method's class.
        arguments: Its resolved arguments.
        measure: What the test logged, without `test/`.
    """
    wanted = (papers_dataset(summary), model, measure)
    figures = [
        Figure(row, tuple(_differences(row, summary, arguments)))
        for row in _read("published")
        if (row["dataset"], row["model"], row["measure"]) == wanted
    ]
    return min(figures, key=lambda figure: len(figure.differences), default=None)


def _differences(
    row: Mapping[str, str], summary: Mapping[str, Any], arguments: Mapping[str, Any]
) -> Iterator[str]:
    config = yaml.safe_load((_FOLDER / row["config"]).read_text("utf-8"))
    setting = dict(config["model"]["init_args"])
    for name, _, value in (part.partition("=") for part in row["setting"].split()):
        setting[name] = yaml.safe_load(value) if value != "*" else arguments.get(name)  # * is any
    yield from _unlike(setting, arguments, "")
    yield from _unlike_data(config["data"], summary)
    if summary["class_names"] != list(class_names(row["classes"])):
        yield f"classes {row['classes']} there, {' '.join(summary['class_names'])} here"
    for key, what in (("n_test", "samples"), ("n_subjects", "people")):
        if summary[key] != int(row[what]):
            yield f"{row[what]} {what} there, {summary[key]} here"


def _unlike_data(there: Mapping[str, Any], summary: Mapping[str, Any]) -> Iterator[str]:
    """Name what the data of a run have otherwise than the paper's config and the defaults."""
    given = summary.get("data_arguments")
    if given is None:
        yield "arguments of the data that were not recorded"
        return
    source = find_class(f"datamodules.{summary['data']}")
    setting = {} if source is None else source.defaults()
    if str(there["class_path"]).endswith(f".{summary['data']}"):
        setting |= there["init_args"]
    deciding = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in setting.items()
        if name in given and name not in _UNDECIDING
    }
    yield from _unlike(deciding, given, "data.")


def _unlike(there: Mapping[str, Any], here: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """Name what a config sets and a run has otherwise."""
    for name, value in there.items():
        if name == "fused":  # the same step in another order of operations
            continue
        given = here.get(name)
        if isinstance(value, Mapping) and isinstance(given, Mapping):
            yield from _unlike(value, given, f"{prefix}{name}.")
        elif value != given:
            yield f"{prefix}{name} {value} there, {given} here"


def _read(name: str) -> list[dict[str, str]]:
    with (_FOLDER / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def paper_name(data: Mapping[str, Any]) -> str | None:
    """Name a data set, by `class_path` and `init_args`, as the tables do; None if not there."""
    reader = str(data["class_path"]).rsplit(".", 1)[-1]
    if reader == "RaFDDataModule":
        return _VIEWS.get(tuple(sorted(data["init_args"]["angles"])))
    return _TRANSFER_READERS.get(reader)


def published_experiment(
    task: str, pretrain: str | None, train: str | None, test: str | None
) -> dict[str, Any] | None:
    """Find the column of Table II or IV for a task and the data sets that `paper_name` names.

    Returns:
        ``table``, ``experiment`` (Exp 1 to Exp 8) and ``areas``: the area under the ROC curve by
        class (`anger`) or action unit (`AU1`), and `AVERAGE`. None where the paper has none.
    """
    cell = (TABLES.get(task), pretrain, train, test)
    keys = ("table", "pretrain", "train", "test")
    rows = [row for row in _read("published_transfer") if tuple(row[k] for k in keys) == cell]
    if not rows:
        return None
    areas = {row["measure"]: float(row["auc"]) for row in rows}
    return {"table": rows[0]["table"], "experiment": rows[0]["experiment"], "areas": areas}

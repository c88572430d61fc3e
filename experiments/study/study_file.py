"""The file of a study: which methods on which data, and what of them stands in the table."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.command.config_file import read_config
from experiments.command.errors import close_match, usage_error

_KEYS = ("title", "rows", "data", "columns", "seeds", "fold")


@dataclass(frozen=True)
class Method:
    """A row of the table.

    Args:
        fit: Command line of `fit`.
        measures: What stands in a column where that is not the column's own measure, by its title.
        pretrain: Name of the data set on which the method learns first, whose checkpoint every
            fold then takes as `--model.pretrained`; None where it learns on its own data alone.
        data: Names of the data sets that it is run on; None means all.
    """

    fit: tuple[str, ...]
    measures: Mapping[str, str]
    pretrain: str | None = None
    data: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Study:
    """A table to be filled.

    Args:
        name: Name of its file without the ending.
        title: Its title.
        rows: The methods, by the names of their rows. The first is the one that the others are
            compared with, in the first column.
        data: Command line that each data set adds, by its name; there is at least one.
        columns: What the test logged (without `test/`), by the title of its column, or what an
            answer costs, see :mod:`callbacks.records.costs`. `accuracy` is each experiment's
            headline; `a - b` is the difference of two measures; `{data}` stands
            for the name of the data set, where one run tests several.
        seeds: Seeds of every row, at least one.
        fold: Numbers of the folds to run; None runs all.
    """

    name: str
    title: str
    rows: Mapping[str, Method]
    data: Mapping[str, tuple[str, ...]]
    columns: Mapping[str, str]
    seeds: tuple[int, ...]
    fold: tuple[int, ...] | None

    def measures(self, row: str, data: str) -> dict[str, str]:
        """Return what stands in each column, by its title, in a row on a data set."""
        named = {**self.columns, **self.rows[row].measures}
        return {title: measure.replace("{data}", data) for title, measure in named.items()}

    def places(self) -> Iterator[tuple[str, str]]:
        """Yield each row with each data set that it is run on."""
        for row, method in self.rows.items():
            for data in self.data if method.data is None else method.data:
                yield row, data


def read_study(file: Path) -> Study:
    """Read the file of a study.

    Args:
        file: A YAML file; those of the project are in experiments/studies.

    Raises:
        CommandError: If it is none, in one sentence that names the key.
    """
    values = read_config(file)
    for key in values:
        if key not in _KEYS:
            known = f"; a study has {', '.join(_KEYS)}"
            raise usage_error(f"{file}: unknown key {key}{close_match(key, _KEYS) or known}")

    def section(key: str, example: str, read: Callable[[str, Any], Any]) -> dict[str, Any]:
        found = values.get(key)
        if not isinstance(found, Mapping) or not found:
            raise usage_error(f"{file}: {key} must be a section such as {example}")
        return {name: read(f"{key}.{name}", value) for name, value in found.items()}

    def words(key: str, value: Any) -> tuple[str, ...]:
        if value is not None and not isinstance(value, str):
            raise usage_error(f"{file}: {key} must be a command line of fit, but is {value!r}")
        try:
            return tuple(shlex.split(value or ""))
        except ValueError as error:
            raise usage_error(f"{file}: {key} is no command line: {error}") from None

    def method(key: str, value: Any) -> Method:
        if not isinstance(value, Mapping):
            return Method(words(key, value), {})
        if unknown := value.keys() - {"fit", "measures", "pretrain", "data"}:
            raise usage_error(
                f"{file}: {key} has fit, measures, pretrain and data, but not {', '.join(unknown)}"
            )
        own = value.get("measures") or {}
        if not isinstance(own, Mapping) or (unknown := own.keys() - columns.keys()):
            raise usage_error(f"{file}: {key}.measures must name columns and their measures")
        pretrain, its = value.get("pretrain"), value.get("data")
        wanted: list[Any] = its if isinstance(its, list) and its else [its]
        for name in (name for name in (*wanted, pretrain) if name is not None):
            if name not in data:
                raise usage_error(f"{file}: {key} names data {name!r}; there is {', '.join(data)}")
        return Method(
            words(key, value.get("fit")),
            {k: measure(key, v) for k, v in own.items()},
            pretrain,
            None if its is None else tuple(wanted),
        )

    def measure(key: str, value: Any) -> str:
        if not isinstance(value, str):
            raise usage_error(f"{file}: {key} must name a measure such as accuracy, not {value!r}")
        return value

    def numbers(key: str, default: list[int] | None) -> tuple[int, ...] | None:
        found = values.get(key, default)
        if found is None:
            return None
        whole = isinstance(found, list) and all(type(n) is int and n >= 0 for n in found)
        if not whole or not found or len(set(found)) < len(found):
            raise usage_error(f"{file}: {key} must be a list such as [0, 1, 2], but is {found!r}")
        return tuple(found)

    columns = (
        section("columns", "{accuracy: accuracy}", measure)
        if "columns" in values
        else {"accuracy": "accuracy"}
    )
    data = (
        section("data", "{ckplus: --config experiments/data/ckplus.yaml}", words)
        if "data" in values
        else {"data": ()}
    )
    return Study(
        name=file.stem,
        title=str(values.get("title") or file.stem),
        rows=section("rows", "{pcnn: --config experiments/pcnn.yaml}", method),
        data=data,
        columns=columns,
        seeds=numbers("seeds", [0]) or (),
        fold=numbers("fold", None),
    )

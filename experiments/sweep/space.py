"""The parameters of a sweep: their values on a command line, and as Optuna draws them."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from experiments.command.errors import usage_error

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True)
class Choice:
    """One of some values.

    Args:
        texts: The values as a command line has them.
    """

    texts: tuple[str, ...]

    def distribution(self) -> BaseDistribution:
        """Return what Optuna draws from."""
        from optuna.distributions import CategoricalDistribution  # late: half a second

        return CategoricalDistribution(self.texts)

    def text(self, drawn: Any) -> str:
        """Write what was drawn as a command line has it."""
        return str(drawn)

    def tried(self) -> tuple[str, ...]:
        """Return the values that are checked before a sweep begins."""
        return self.texts


@dataclass(frozen=True)
class Range:
    """A number between two.

    Args:
        low: The least.
        high: The greatest.
        whole: Whether it is a whole number.
        log: Whether its logarithm is spread evenly, and not itself.
        quantum: What drawn numbers are rounded to a multiple of; None rounds to six digits.
    """

    low: float
    high: float
    whole: bool = False
    log: bool = False
    quantum: float | None = None

    def distribution(self) -> BaseDistribution:
        """Return what Optuna draws from."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.whole:
            return IntDistribution(int(self.low), int(self.high))
        return FloatDistribution(self.low, self.high, log=self.log)

    def text(self, drawn: Any) -> str:
        """Write what was drawn as a command line has it."""
        if self.quantum is not None:
            drawn = round(drawn / self.quantum) * self.quantum
        return str(drawn) if isinstance(drawn, int) else f"{drawn:.6g}"

    def tried(self) -> tuple[str, ...]:
        """Return the values that are checked before a sweep begins."""
        return tuple(self.text(int(end) if self.whole else end) for end in (self.low, self.high))


Parameter = Choice | Range


def corners(space: Mapping[str, Parameter]) -> Iterator[dict[str, str]]:
    """Yield settings in which each value of `tried` comes, the others being their first."""
    first = {key: parameter.tried()[0] for key, parameter in space.items()}
    yield first
    for key, parameter in space.items():
        for text in parameter.tried()[1:]:
            yield {**first, key: text}


def grid(space: Mapping[str, Parameter]) -> list[dict[str, str]]:
    """List all settings of a space of choices."""
    return [
        dict(zip(space, texts, strict=True))
        for texts in itertools.product(*(parameter.tried() for parameter in space.values()))
    ]


def read_parameter(name: str, told: Any) -> Parameter:
    """Read a parameter in the schema of W&B.

    Args:
        name: Its file and key, with which a refusal begins.
        told: `{values: [...]}`, `{value: ...}` or `{distribution: ..., min: ..., max: ...}`.

    Raises:
        CommandError: If it is none, or Optuna has no such distribution.
    """
    if not isinstance(told, Mapping):
        raise usage_error(
            f"{name} must be a section such as {{values: [1, 2]}} or {{min: 0.0, max: 1.0}}"
        )
    kind = str(told.get("distribution") or _kind(told))
    keys = _KEYS.get(kind)
    if keys is None:
        raise usage_error(
            f"{name} has the distribution {kind}, which lightning sweep cannot draw: give one of "
            f"{', '.join(_KEYS)}"
        )
    missing, others = keys - told.keys(), told.keys() - keys - {"distribution"}
    if missing or others:
        wrong = f"lacks {min(missing)}" if missing else f"has {min(others)}"
        raise usage_error(f"{name} {wrong}; {kind} takes {', '.join(sorted(keys))}")
    if kind in ("constant", "categorical"):
        values = told["values"] if kind == "categorical" else [told["value"]]
        if not isinstance(values, list) or not values:
            raise usage_error(f"{name} must have a list of values, but has {values!r}")
        return Choice(tuple(dict.fromkeys(map(_text, values))))
    return _read_range(name, kind, told)


def _read_range(name: str, kind: str, told: Mapping[str, Any]) -> Range:
    for key in ("min", "max", "q"):
        value = told.get(key, 1)
        if type(value) not in (int, float):
            hint = ": YAML takes 1e-5 for a text, write 1.0e-5" if isinstance(value, str) else ""
            raise usage_error(f"{name} has {value!r} for {key}, which must be a number{hint}")
    low, high, whole = told["min"], told["max"], kind == "int_uniform"
    if kind in ("log_uniform", "q_log_uniform"):
        # W&B gives their exponents, of which none beyond 709 makes a float.
        low, high = (math.exp(end) if end < 709 else math.inf for end in (low, high))
    if not (math.isfinite(low) and math.isfinite(high)) or low > high:
        raise usage_error(f"{name} needs min below max, but has {told['min']} and {told['max']}")
    if whole and not (type(low) is type(high) is int):
        raise usage_error(f"{name} draws whole numbers, but has {low} and {high}")
    if (log := "log" in kind) and low <= 0:
        raise usage_error(f"{name} needs a min above 0, but has {low}")
    if (quantum := told.get("q")) is not None and quantum <= 0:
        raise usage_error(f"{name} needs a q above 0, but has {quantum}")
    return Range(low, high, whole=whole, log=log, quantum=quantum)


_LIMITS = frozenset({"min", "max"})
_KEYS = {
    "constant": frozenset({"value"}),
    "categorical": frozenset({"values"}),
    "int_uniform": _LIMITS,
    "uniform": _LIMITS,
    "q_uniform": _LIMITS | {"q"},
    "log_uniform": _LIMITS,
    "log_uniform_values": _LIMITS,
    "q_log_uniform": _LIMITS | {"q"},
    "q_log_uniform_values": _LIMITS | {"q"},
}


def _kind(told: Mapping[str, Any]) -> str:
    """Name the distribution that W&B takes where none is named."""
    if "value" in told:
        return "constant"
    if "values" in told:
        return "categorical"
    limits = [told.get("min"), told.get("max")]
    return "int_uniform" if all(type(limit) is int for limit in limits) else "uniform"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)

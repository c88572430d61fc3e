"""What is known of a classifier in an ONNX file: its classes, and how it reads faces."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from datamodules.errors import UserError

_COLOURS = ("RGB", "BGR", "grey")


@dataclass(frozen=True)
class JudgeCard:
    """How a classifier reads faces and names expressions: the keys of its YAML file.

    Args:
        class_names: Its classes in the order of its answers, by any common word (happy, joy).
        input_size: Height and width of its input in pixels; not needed where the file fixes them.
        colour: RGB, BGR, or grey in as many equal channels as it reads.
        scale: What white is before mean and std are applied: 1 or 255.
        mean: Subtracted from each channel, or from all; in units of scale.
        std: Divides each channel, or all; in units of scale.
        margin: Side of the square that it reads in sides of the face that a detector sees, as
            `lightning export` writes it; None shows it all that the method sees.
    """

    class_names: tuple[str, ...]
    input_size: tuple[int, int] | None = None
    colour: str = "RGB"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    margin: float | None = None


def read_card(path: Path, metadata: Mapping[str, str]) -> JudgeCard:
    """Read the card of a network from the YAML file beside it, else from its metadata.

    Args:
        path: The ONNX file; ``<name>.yaml`` for ``<name>.onnx``.
        metadata: Of the file, as `lightning export` writes them.

    Raises:
        UserError: If neither names the classes, or a value is not what it should be.
    """
    known = {field.name for field in fields(JudgeCard)}
    source = path.with_suffix(".yaml")
    if source.is_file():
        said = _read_yaml(source, known)
    else:
        source = path
        said = {key: json.loads(metadata[key]) for key in known & metadata.keys()}
        colour = json.loads(metadata.get("preprocessing", "{}")).get("colour", "RGB")
        said["colour"] = str(colour).partition(",")[0]  # grey, in three equal channels
    if not said.get("class_names"):
        raise UserError(
            f"{path} does not name its classes: write class_names, in the order of its answers, "
            f"into {path.with_suffix('.yaml').name} beside it."
        )
    values: dict[str, Any] = {}
    for key, value in said.items():
        if value is None:
            continue
        meaning, fits = _VALUES[key]
        listed = value if isinstance(value, list) else [value]
        if not fits(listed):
            raise UserError(f"{source} says {key}: {value}, but expected is {meaning}.")
        whole = key in ("class_names", "input_size", "mean", "std")
        values[key] = tuple(listed) if whole else value
    return JudgeCard(**values)


def _read_yaml(path: Path, known: set[str]) -> dict[str, Any]:
    try:
        said: Any = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no YAML file: {' '.join(str(error).split())}.") from None
    if not isinstance(said, dict):
        raise UserError(f"{path} holds no keys: it may say {', '.join(sorted(known))}.")
    if unknown := sorted(map(str, said.keys() - known)):
        raise UserError(
            f"{path} says {', '.join(unknown)}, which is unknown: it may say "
            f"{', '.join(sorted(known))}."
        )
    return said


def _numbers(listed: list[Any], counts: tuple[int, ...], least: float = float("-inf")) -> bool:
    kinds = all(isinstance(v, int | float) and not isinstance(v, bool) for v in listed)
    return kinds and len(listed) in counts and all(least < v < float("inf") for v in listed)


_VALUES: dict[str, tuple[str, Callable[[list[Any]], bool]]] = {
    "class_names": ("a list of words", lambda v: all(isinstance(name, str) for name in v)),
    "input_size": (
        "[H, W] in pixels",
        lambda v: _numbers(v, (2,), 0) and all(isinstance(side, int) for side in v),
    ),
    "colour": (", ".join(_COLOURS), lambda v: v[0] in _COLOURS and len(v) == 1),
    "scale": ("1 or 255", lambda v: v in ([1], [255])),
    "mean": ("a number, or one for each of three channels", lambda v: _numbers(v, (1, 3))),
    "std": ("a number above 0, or one for each of three", lambda v: _numbers(v, (1, 3), 0)),
    "margin": ("a number above 0", lambda v: _numbers(v, (1,), 0)),
}

"""Config files: what they may hold, and what is refused before any of it is used."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from experiments.command.errors import CommandError, usage_error
from experiments.command.usage import no_config_file

# Many times what an experiment needs, and little enough to be read in a moment.
_BYTES, _VALUES, _DEPTH = 1_000_000, 10_000, 40


class _UniqueKeys(yaml.SafeLoader):  # type: ignore[misc]
    """Refuses a key that comes twice, of which YAML's own loader takes the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            # Of a mapping that `<<` takes over, keys may be given anew.
            if not isinstance(key, yaml.ScalarNode) or key.value == "<<":
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value} is there twice", key.start_mark
                )
            seen.add(key.value)
        found: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return found


def read_config(file: str | Path) -> dict[str, Any]:
    """Read the values of a config file by their keys.

    Raises:
        CommandError: If it is missing, no YAML in UTF-8, no mapping of texts, has a key twice, or
            holds far more than an experiment can need, by anchors too.
    """
    path = Path(os.path.abspath(Path(file).expanduser()))  # noqa: PTH100  # keeps links
    if not path.exists():
        raise usage_error(no_config_file(path))
    if not path.is_file():
        raise usage_error(f"{file} is no file; --config takes a YAML file")
    if (size := path.stat().st_size) > _BYTES:
        raise usage_error(f"{file} has {size:,} bytes; a config file has at most {_BYTES:,}")
    try:
        text = path.read_bytes().decode("utf-8-sig")
        if (tree := yaml.compose(text, _UniqueKeys)) is not None:
            _check_size(file, tree)
        content = yaml.load(text, _UniqueKeys)  # a SafeLoader: builds plain values only
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise usage_error(
            f"{file}{line} is not valid YAML: {error.problem or error.context}"
        ) from error
    except UnicodeDecodeError as error:
        raise usage_error(
            f"{file} is not in UTF-8 (byte {error.start + 1}): save it as a UTF-8 text"
        ) from error
    except CommandError:
        raise
    except (yaml.YAMLError, ValueError) as error:
        raise usage_error(f"{file} is not valid YAML: {' '.join(str(error).split())}") from error
    except OSError as error:
        raise usage_error(f"{file} cannot be read: {error.strerror}") from error
    except RecursionError:
        raise _too_large(file) from None
    if not isinstance(content, dict):
        raise usage_error(f"{file} holds no keys with values, such as 'trainer: {{max_epochs: 3}}'")
    _check_keys(file, content)
    return content


def check_section(key: str, value: Any) -> None:
    """Refuse a single value in place of a section, which would wipe the whole section.

    Args:
        key: Name of a section, such as `trainer`.
        value: What a file holds there.

    Raises:
        CommandError: If that has no keys.
    """
    named = key in ("model", "data") and isinstance(value, str)  # by its class path
    if not isinstance(value, Mapping) and not named:
        raise usage_error(f"{key} is a section of keys with values, but {value!r} was given")


def _check_size(file: str | Path, tree: yaml.Node) -> None:
    """Refuse what anchors blow up, and what holds itself, by walking over it as it expands."""
    waiting, count = [(tree, 1)], 0
    while waiting:
        node, depth = waiting.pop()
        count += 1
        if count > _VALUES or depth > _DEPTH:
            raise _too_large(file)
        if isinstance(node, yaml.CollectionNode):
            below = node.value
            if isinstance(node, yaml.MappingNode):
                below = [part for pair in below for part in pair]
            waiting += [(part, depth + 1) for part in below]


def _too_large(file: str | Path) -> CommandError:
    return usage_error(
        f"{file} holds more than {_VALUES:,} values, or values within each other more than "
        f"{_DEPTH} deep, with what its anchors repeat; no experiment needs that"
    )


def _check_keys(file: str | Path, content: Any) -> None:
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        if isinstance(content, dict) and not isinstance(key, str):
            raise usage_error(f"{file} has the key {key!r}, which is no text")
        if key in ("init_args", "dict_kwargs"):
            check_section(key, value)
        if isinstance(value, (dict, list)):
            _check_keys(file, value)

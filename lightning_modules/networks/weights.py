"""Files of weights: fetched, checked, and taken whole or not at all; nothing in them is run."""

from __future__ import annotations

import errno
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from torch import Tensor, nn

from datamodules.errors import UserError
from lightning_modules.networks.fetching import fetch, sha256_of

# The counters of batch norms, which old files lack; no output depends on them.
_COUNTER = ".num_batches_tracked"
_TRUNK = re.compile(r"(conv1|bn1|layer\d+)\.")
# What DataParallel and the classifiers of this project put before a name.
_PREFIX = re.compile(r"^(module|network)\.")


@dataclass(frozen=True)
class MatchReport:
    """What became of a file of weights.

    Args:
        matched: Names of the file that were loaded.
        missing: Names of the network's parts that the file lacks: they keep what they were.
        unexpected: Names of the file that no part has, such as a foreign classifier's.
    """

    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{len(self.matched)} tensors loaded, missing {_some(self.missing)}, "
            f"not used {_some(self.unexpected)}"
        )


def read_weights(
    source: str | Path, sha256: str | None = None, map_location: Any = "cpu"
) -> dict[str, Any]:
    """Read a file of weights.

    Args:
        source: Its path, or its http(s) address.
        sha256: Its SHA-256 in hexadecimal digits; an address needs one.
        map_location: Device to load to.

    Returns:
        What was saved, by name.

    Raises:
        UserError: If the file cannot be had, is not the one of that SHA-256, is damaged, or holds
            more than tensors and plain values, or no names.
    """
    remote = urlparse(str(source)).scheme in ("http", "https")
    path = fetch(str(source), sha256) if remote else Path(source)
    if not path.is_file():
        raise UserError(f"The file of weights {path} does not exist.")
    if sha256 is not None and (found := sha256_of(path)) != sha256.lower():
        raise UserError(
            f"{source} is not the file that was asked for: its SHA-256 is {found}, expected "
            f"{sha256.lower()}. It was not loaded."
        )
    _check_archive(path)
    try:
        content = torch.load(path, map_location=map_location, weights_only=True)
    except torch.OutOfMemoryError:
        raise
    # A damaged file shows itself as almost any exception of zipfile, pickle or torch.
    except Exception as error:
        # Of a file that was cut short, torch asks for a place before its beginning.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise UserError(f"{path} {_reason(path, str(error))}.") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__} instead of weights by name.")
    _check_names(path, content)
    return content


def _reason(path: Path, error: str) -> str:
    """Say why torch did not read a file, and what to do where more than tensors is in it."""
    foreign = re.search(r"GLOBAL (\S+)", error)
    if foreign is None:
        return "is damaged, or no file of weights"
    reason = f"holds a {foreign.group(1)}, and only tensors and plain values are loaded"
    if "is blocked" in error:  # what runs commands has no place beside tensors
        return reason
    given = f"{str(path)!r}, {str(path.with_name(f'{path.stem}_tensors.pth'))!r}"
    return (
        f"{reason}; to keep its tensors alone, without running anything of it: python -c "
        f'"from lightning_modules.networks.pickled import keep_tensors; keep_tensors({given})"'
    )


def _check_archive(path: Path) -> None:
    """Refuse a file of torch of which a byte has changed, or that unpacks to more than it is.

    torch writes the CRC-32 of each record and does not look at it when it reads. To compare them
    takes about as long as to read the file.
    """
    if not zipfile.is_zipfile(path):  # as torch wrote files before version 1.6
        return
    try:
        with zipfile.ZipFile(path) as archive:
            # torch stores records as they are: a packed one may be small and fill the memory.
            packed = [i for i in archive.infolist() if i.compress_type != zipfile.ZIP_STORED]
            whole = sum(info.file_size for info in archive.infolist())
            if packed or whole > path.stat().st_size:
                raise UserError(
                    f"{path} is packed, {whole:,} bytes in {path.stat().st_size:,}: it was not "
                    "written by torch.save. Unpack it first if you trust it."
                )
            damaged = archive.testzip()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is damaged, or no file of weights.") from error
    if damaged is not None:
        raise UserError(
            f"{path} is damaged: the checksum of its part {damaged} is another than when it was "
            "written. Take another copy of it."
        )


def _check_names(path: Path, content: Mapping[Any, Any]) -> None:
    """Refuse weights under numbers, as another program may have written them."""
    parts = (content, content.get("state_dict"), content.get("model"))
    for part in parts:
        unnamed = (
            [key for key in part if not isinstance(key, str)] if isinstance(part, dict) else []
        )
        if unnamed:
            raise UserError(
                f"{path} holds something under {unnamed[0]!r}, and weights have names: it is no "
                "state dict of a network."
            )


def read_checkpoint(path: str | Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Read a checkpoint of this project.

    Args:
        path: Where it is.
        map_location: Device to load to.

    Returns:
        What was saved; the weights are its ``state_dict``.

    Raises:
        UserError: As :func:`read_weights`, and if there is no ``state_dict``.
    """
    checkpoint = read_weights(path, map_location=map_location)
    if not isinstance(checkpoint.get("state_dict"), dict):
        raise UserError(f"{path} holds no state_dict, so it is no checkpoint of this project.")
    for key, kind in _kinds(checkpoint).items():
        if not isinstance(checkpoint[key], kind):
            raise UserError(
                f"{path} is no checkpoint of this project, or was changed: its {key} is a "
                f"{type(checkpoint[key]).__name__} and no {kind.__name__}."
            )
    config = checkpoint.get("config", {})
    for part in ("model", "data"):
        spec = config.get(part) if config else {"class_path": ""}
        arguments = spec.get("init_args", {}) if isinstance(spec, dict) else None
        if not isinstance(arguments, dict) or not isinstance(spec.get("class_path"), str):
            raise UserError(f"{path} was changed: its config names no class of the {part}.")
    return checkpoint


def _kinds(checkpoint: Mapping[str, Any]) -> dict[str, type]:
    """Tell what must lie under the keys of a checkpoint that are read."""
    kinds = {
        **dict.fromkeys(("callbacks", "config", "loops", "hyper_parameters"), dict),
        **dict.fromkeys(("lr_schedulers", "optimizer_states"), list),
        **dict.fromkeys(("epoch", "global_step"), int),
        "pytorch-lightning_version": str,
        # The states of data modules, by the names of their classes.
        **{key: dict for key in checkpoint if key[:1].isupper()},
    }
    return {key: kind for key, kind in kinds.items() if key in checkpoint}


def load_backbone(
    parts: Sequence[nn.Module], given: Mapping[str, object], source: str
) -> MatchReport:
    """Fill parts of a network, each from the same weights of a ResNet-18.

    Args:
        parts: Modules whose parameters carry the common names of ResNet-18, or some of them. A
            classifier ``fc`` is left as it is.
        given: What was read: a state dict, or a checkpoint of ``ResNet18Classifier``.
        source: Where, for errors.

    Returns:
        What matched; nothing was changed where an error is raised.

    Raises:
        UserError: If the file is of another architecture.
    """
    return fill(
        parts,
        plain_names(given),
        source,
        belongs=lambda name: _TRUNK.match(name) is not None,
        network="this ResNet-18",
        advice="give weights of a ResNet-18, of the stem and width of the model",
    )


def fill(
    parts: Sequence[nn.Module],
    weights: Mapping[str, Tensor],
    source: str,
    *,
    belongs: Callable[[str], bool],
    network: str,
    advice: str,
) -> MatchReport:
    """Fill parts of a network, each from the same weights.

    Args:
        parts: Modules whose parameters carry the names of the weights.
        weights: Tensors by name.
        source: Where they were read, for errors.
        belongs: Whether a name is one of the network, and not of somebody's classifier.
        network: What the network is, for who gave another.
        advice: What to give instead.

    Returns:
        What matched; nothing was changed where an error is raised.

    Raises:
        UserError: If the weights are of another architecture.
    """
    shapes = {n: t.shape for part in parts for n, t in part.state_dict().items() if belongs(n)}
    matched = [name for name in shapes if name in weights]
    missing = [name for name in shapes if name not in weights]
    unexpected = [name for name in weights if name not in shapes]
    lacking = [name for name in missing if not name.endswith(_COUNTER)]
    # A deeper network has all these names and more.
    foreign = [name for name in unexpected if belongs(name)]
    other = [
        f"{name} {tuple(weights[name].shape)} instead of {tuple(shapes[name])}"
        for name in matched
        if weights[name].shape != shapes[name]
    ]
    if lacking or other or foreign:
        raise UserError(
            f"{source} does not hold the weights of {network}: {_some(lacking)} missing, "
            f"{_some(other)} of another shape, {_some(foreign)} unknown. Nothing was loaded; "
            f"{advice}."
        )
    for part in parts:
        names = part.state_dict().keys() & set(matched)
        part.load_state_dict({name: weights[name] for name in names}, strict=False)
    classifier = {n for part in parts for n, _ in part.named_parameters() if n not in shapes}
    return MatchReport(tuple(matched), (*missing, *sorted(classifier)), tuple(unexpected))


def load_trained(
    networks: Mapping[str, nn.Module], checkpoint: Mapping[str, Any], path: str, advice: str
) -> None:
    """Fill networks from a checkpoint of this project, all of them or none.

    Args:
        networks: The networks, by the name of the attribute that held them.
        checkpoint: Content of the checkpoint.
        path: Where it was read, for the error.
        advice: What to change where a network is of another architecture.

    Raises:
        UserError: If the checkpoint lacks a network, or holds one of another architecture.
    """
    given: dict[str, dict[str, Tensor]] = {}
    for name, network in networks.items():
        given[name] = {
            key.removeprefix(f"{name}."): tensor
            for key, tensor in checkpoint["state_dict"].items()
            if key.startswith(f"{name}.")
        }
        if not given[name]:
            raise UserError(f"{path} holds no {name}: it is the checkpoint of another method.")
        own = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
        other = {key: tuple(tensor.shape) for key, tensor in given[name].items()}
        if own != other:
            differing = sorted(k for k in own.keys() | other if own.get(k) != other.get(k))
            raise UserError(
                f"The {name} in {path} is of another architecture: {len(differing)} tensors "
                f"differ, the first {differing[0]} (expected {own.get(differing[0])}, got "
                f"{other.get(differing[0])}). Nothing was loaded; {advice}."
            )
    for name, network in networks.items():
        network.load_state_dict(given[name])


def plain_names(content: Mapping[str, object]) -> dict[str, Tensor]:
    """Take the tensors of a state dict, wherever the file keeps it, under their plain names."""
    for key in ("state_dict", "model"):
        inner = content.get(key)
        if isinstance(inner, Mapping):
            content = inner
    return {
        _PREFIX.sub("", name): tensor
        for name, tensor in content.items()
        if isinstance(tensor, Tensor)
    }


def _some(names: Sequence[str]) -> str:
    if not names:
        return "none"
    return f"{len(names)} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"

"""Published weights of ResNet-18: fetched, checked, and taken whole or not at all."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

import torch
from torch import Tensor, nn

from datamodules.errors import UserError
from lightning_modules.networks.weights import read_weights

# What a file of ResNet weights calls its trunk; all else is somebody's classifier.
_TRUNK = re.compile(r"(conv1|bn1|layer\d+)\.")
# The counters of old files; no output depends on them.
_COUNTER = ".num_batches_tracked"


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


def load_backbone(
    parts: Sequence[nn.Module], source: str, sha256: str | None = None
) -> MatchReport:
    """Fill parts of a network, each from the same weights of a ResNet-18.

    Args:
        parts: Modules whose parameters carry the common names of ResNet-18, or some of them. A
            classifier ``fc`` is left as it is.
        source: Path of a state dict, or its http(s) address.
        sha256: Its SHA-256 in hexadecimal digits; an address needs one.

    Returns:
        What matched; nothing was changed where an error is raised.

    Raises:
        UserError: If the file cannot be had or read, is not the one of that SHA-256, holds more
            than tensors and plain values, or is of another architecture.
    """
    weights = _backbone_names(_read(source, sha256))
    own: dict[str, tuple[int, ...]] = {}
    for part in parts:
        own |= {name: tuple(tensor.shape) for name, tensor in part.state_dict().items()}
    own = {name: shape for name, shape in own.items() if _TRUNK.match(name)}
    missing = [name for name in own if name not in weights]
    matched = [name for name in own if name in weights]
    unexpected = [name for name in weights if name not in own]
    shapes = [
        f"{name} {tuple(weights[name].shape)} instead of {own[name]}"
        for name in matched
        if tuple(weights[name].shape) != own[name]
    ]
    lacking = [name for name in missing if not name.endswith(_COUNTER)]
    # A deeper ResNet has all these names and more.
    foreign = [name for name in unexpected if _TRUNK.match(name)]
    if lacking or shapes or foreign:
        raise UserError(
            f"{source} does not hold the weights of this ResNet-18: {_some(lacking)} missing, "
            f"{_some(shapes)} of another shape, {_some(foreign)} unknown. Nothing was loaded; "
            "give weights of a ResNet-18, of the stem and width of the model."
        )
    for part in parts:
        names = part.state_dict().keys() & set(matched)
        part.load_state_dict({name: weights[name] for name in names}, strict=False)
    classifier = {name for part in parts for name in part.state_dict() if name not in own}
    return MatchReport(tuple(matched), (*missing, *sorted(classifier)), tuple(unexpected))


def _backbone_names(content: Mapping[str, object]) -> dict[str, Tensor]:
    """Take the tensors of a state dict, wherever the file keeps it, under their plain names."""
    for key in ("state_dict", "model"):
        inner = content.get(key)
        if isinstance(inner, Mapping):
            content = inner
    return {
        name.removeprefix("module."): tensor
        for name, tensor in content.items()
        if isinstance(tensor, Tensor)
    }


def _read(source: str, sha256: str | None) -> Mapping[str, object]:
    path = _fetch(source, sha256) if urlparse(source).scheme in ("http", "https") else Path(source)
    if sha256 is not None and path.is_file() and (found := _sha256(path)) != sha256.lower():
        raise UserError(
            f"{source} is not the file that was asked for: its SHA-256 is {found}, expected "
            f"{sha256.lower()}. It was not loaded."
        )
    return read_weights(path)


def _fetch(address: str, sha256: str | None) -> Path:
    """Return the file of an address in torch's own cache, fetched unless it is there."""
    if sha256 is None or not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise UserError(
            f"Weights from {address} need their SHA-256 (64 hexadecimal digits), so that what "
            f"arrives can be checked; got {sha256}. Or download them and give their path."
        )
    name = Path(unquote(urlparse(address).path)).name
    path = Path(torch.hub.get_dir()) / "checkpoints" / f"{sha256[:16].lower()}-{name}"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Written aside and checked before it is put in place.
            torch.hub.download_url_to_file(address, str(path), sha256.lower(), progress=False)
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"{address} could not be fetched ({error}); download it elsewhere and give its "
                "path."
            ) from error
    return path


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _some(names: Sequence[str]) -> str:
    if not names:
        return "none"
    return f"{len(names)} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"

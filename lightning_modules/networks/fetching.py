"""Files of weights from an address, checked by their SHA-256."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from urllib.parse import unquote, urlparse

import torch

from datamodules.errors import UserError


def fetch(address: str, sha256: str | None) -> Path:
    """Return the file of an address in torch's own cache, fetched unless it is there.

    Args:
        address: Its http(s) address.
        sha256: Its SHA-256 in hexadecimal digits.

    Raises:
        UserError: If there is no SHA-256, or the file cannot be fetched or is another.
    """
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


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()

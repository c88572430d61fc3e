from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lightning_modules.networks.weights import read_checkpoint


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"model: text"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.ckpt").write_bytes(content)
    with pytest.raises(ValueError, match=r"a.ckpt is damaged"):
        read_checkpoint(tmp_path / "a.ckpt")


def test_only_plain_values_are_loaded(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "where": tmp_path}, tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match=r"a.ckpt holds a pathlib\S*\.PosixPath"):
        read_checkpoint(tmp_path / "a.ckpt")


@pytest.mark.parametrize(
    ("content", "reason"), [([1], "holds a list instead of weights"), ({"w": 1}, "no state_dict")]
)
def test_a_file_of_something_else_is_named(tmp_path: Path, content: object, reason: str) -> None:
    torch.save(content, tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match=reason):
        read_checkpoint(tmp_path / "a.ckpt")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a.ckpt does not exist"):
        read_checkpoint(tmp_path / "a.ckpt")

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import nn

from datamodules.errors import UserError
from lightning_modules.networks.pickled import keep_tensors
from lightning_modules.networks.weights import read_weights

made: list[str] = []


class Recorder:
    """Of a training script; a file that holds one is read without it."""

    def __init__(self) -> None:
        self.losses = torch.zeros(2).numpy()

    def __setstate__(self, state: object) -> None:
        made.append("recorder")


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2))


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("was_run",)


def test_the_sentence_says_what_to_do_and_it_works_without_running_anything(tmp_path):
    path, network = tmp_path / "rafdb.pth", Network()
    torch.save({"state_dict": network.state_dict(), "recorder": Recorder(), "epoch": 3}, path)
    with pytest.raises(UserError, match=r"Recorder, and only tensors.*keep_tensors\(") as raised:
        read_weights(path)
    code = str(raised.value).split('"')[1]
    exec(code, {})
    kept = read_weights(tmp_path / "rafdb_tensors.pth")
    assert made == []
    assert set(kept) == {"state_dict"}
    for name, tensor in network.state_dict().items():
        assert torch.equal(kept["state_dict"][name], tensor)


def test_a_network_saved_whole_becomes_its_state_dict(tmp_path):
    network = nn.DataParallel(Network())
    torch.save(network, tmp_path / "whole.pth")
    keep_tensors(tmp_path / "whole.pth", tmp_path / "kept.pth")
    kept, expected = read_weights(tmp_path / "kept.pth"), network.state_dict()
    assert kept.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in kept.items())


def test_what_runs_commands_is_refused_without_advice(tmp_path):
    torch.save({"weight": torch.zeros(1), "more": Malicious()}, tmp_path / "bad.pth")
    with pytest.raises(UserError, match=r"only tensors and plain values are loaded\.$"):
        read_weights(tmp_path / "bad.pth")
    with pytest.raises(UserError, match="names what runs commands"):
        keep_tensors(tmp_path / "bad.pth", tmp_path / "kept.pth")
    assert not Path("was_run").exists()
    assert not (tmp_path / "kept.pth").exists()


def test_files_without_tensors_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    torch.save({"recorder": Recorder()}, tmp_path / "empty.pth")
    with pytest.raises(UserError, match="holds no tensors under names"):
        keep_tensors(tmp_path / "empty.pth", tmp_path / "kept.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "empty.pth").read_bytes()[:100])
    with pytest.raises(UserError, match=r"cut.pth is damaged"):
        keep_tensors(tmp_path / "cut.pth", tmp_path / "kept.pth")
    with pytest.raises(UserError, match="does not exist"):
        keep_tensors(tmp_path / "none.pth", tmp_path / "kept.pth")

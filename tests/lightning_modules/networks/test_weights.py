from __future__ import annotations

import hashlib
import http.server
import os
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from datamodules.errors import UserError
from lightning_modules.networks.pcnn import PCNNNetwork
from lightning_modules.networks.resnet import ResNet18
from lightning_modules.networks.weights import (
    MatchReport,
    load_backbone,
    load_trained,
    read_checkpoint,
    read_weights,
)


def resnet(width: int = 2, classes: int = 3) -> ResNet18:
    return ResNet18(classes, width=width)


def load(parts: list[nn.Module], source: str, sha256: str | None = None) -> MatchReport:
    return load_backbone(parts, read_weights(source, sha256), source)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """As face networks are published: below a key, with a prefix and a foreign classifier."""
    state = {f"module.{name}": tensor for name, tensor in resnet(classes=11).state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "resnet18_faces.pth")
    return tmp_path / "resnet18_faces.pth"


def plain(weights: Path) -> dict[str, torch.Tensor]:
    state = torch.load(weights, weights_only=True)["state_dict"]
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def test_all_trunks_start_from_the_same_file(weights):
    net, given = PCNNNetwork(3, 64, width=2, share_layer4=False), plain(weights)
    heads = net.fc.weight.clone()
    report = load(net.backbones(), str(weights), digest(weights).upper())
    assert set(report.matched) == given.keys() - {"fc.weight", "fc.bias"}
    assert report.missing == ()
    assert report.unexpected == ("fc.weight", "fc.bias")
    for trunk in (net.global_trunk, *net.region_trunks.values()):
        for name, tensor in trunk.state_dict().items():
            assert torch.equal(tensor, given[name])
    for layer in (net.layer4, net.mdim_layer4):
        for name, tensor in layer.state_dict().items():
            assert torch.equal(tensor, given[f"layer4.{name}"])
    assert torch.equal(net.fc.weight, heads)


def test_a_classifier_is_left_even_where_it_would_fit(tmp_path):
    net, other = resnet(), resnet()
    state = other.state_dict()
    counters = [name for name in state if name.endswith("num_batches_tracked")]
    for name in counters:  # files older than these
        del state[name]
    torch.save(state, tmp_path / "old.pth")
    head = net.fc.weight.clone()
    report = load([net], str(tmp_path / "old.pth"))
    assert torch.equal(net.fc.weight, head)
    assert torch.equal(net.layer4[1].conv2.weight, other.layer4[1].conv2.weight)
    assert set(report.missing) == {*counters, "fc.weight", "fc.bias"}
    assert str(report) == "100 tensors loaded, missing 22 (bn1.num_batches_tracked, " + (
        "layer1.0.bn1.num_batches_tracked, layer1.0.bn2.num_batches_tracked, ...), not used 2 "
        "(fc.weight, fc.bias)"
    )


def deeper(state: dict[str, Any]) -> None:
    state["layer1.2.conv1.weight"] = torch.zeros(2, 2, 3, 3)


def shallower(state: dict[str, Any]) -> None:
    del state["layer4.1.conv1.weight"]


def wider(state: dict[str, Any]) -> None:
    state |= resnet(width=4).state_dict()


def other(state: dict[str, Any]) -> None:
    state.clear()
    state["features.0.weight"] = torch.zeros(1)


@pytest.mark.parametrize("change", [deeper, shallower, wider, other])
def test_another_architecture_is_refused_whole(tmp_path, change):
    state = resnet().state_dict()
    change(state)
    torch.save(state, tmp_path / "other.pth")
    net = PCNNNetwork(3, 64, width=2)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(ValueError, match="does not hold the weights of this ResNet-18"):
        load(net.backbones(), str(tmp_path / "other.pth"))
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name])


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("was_run",)


def test_a_malicious_pickle_is_refused_and_not_run(tmp_path):
    torch.save({"conv1.weight": Malicious()}, tmp_path / "bad.pth")
    with pytest.raises(ValueError, match=r"holds a \S+mkdir, and only tensors"):
        load([resnet()], str(tmp_path / "bad.pth"))
    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize(
    ("content", "reason"), [(b"no weights", "is damaged"), (None, "does not exist")]
)
def test_no_file_and_no_weights(tmp_path, content, reason):
    if content is not None:
        (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        load([resnet()], str(tmp_path / "x.pth"))


def test_a_file_that_holds_something_else(tmp_path):
    torch.save([1, 2], tmp_path / "x.pth")
    with pytest.raises(ValueError, match="holds a list"):
        load([resnet()], str(tmp_path / "x.pth"))


def test_a_file_of_another_hash_is_not_read(weights, monkeypatch):
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(ValueError, match=f"its SHA-256 is {digest(weights)}, expected {'0' * 64}"):
        load([nn.Identity()], str(weights), "0" * 64)


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def address(weights: Path) -> Iterator[str]:
    """The file on a server of this machine."""
    handler = partial(Silent, directory=str(weights.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{weights.name}"
        server.shutdown()
        thread.join()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Path]:
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path / "hub"))
    yield tmp_path / "hub"
    torch.hub.set_dir(before)


def test_an_address_is_fetched_once_and_checked_each_time(weights, address, hub):
    sha256 = digest(weights)
    load([resnet()], address, sha256)
    weights.unlink()
    load([net := resnet()], address, sha256)
    (cached,) = (hub / "checkpoints").iterdir()
    assert torch.equal(net.conv1.weight, plain(cached)["conv1.weight"])
    cached.write_bytes(cached.read_bytes()[:-1] + b"?")
    with pytest.raises(ValueError, match="is not the file that was asked for"):
        load([resnet()], address, sha256)


@pytest.mark.parametrize("sha256", [None, "abc"])
def test_an_address_needs_a_hash(sha256):
    with pytest.raises(ValueError, match="need their SHA-256"):
        load([resnet()], "https://example.org/resnet18.pth", sha256)


def test_what_arrives_with_another_hash_is_not_kept(address, hub):
    with pytest.raises(ValueError, match="could not be fetched"):
        load([resnet()], address, "1" * 64)
    assert list((hub / "checkpoints").iterdir()) == []


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


def trained(path: Path, classes: int, **further: torch.Tensor) -> str:
    """A checkpoint that holds a ResNet-18 as ``e_fer``, and something else."""
    state = {
        f"e_fer.{name}": tensor for name, tensor in resnet(classes=classes).state_dict().items()
    }
    torch.save({"state_dict": {**state, "g_f.weight": torch.zeros(1), **further}}, path)
    return str(path)


def test_a_network_is_taken_out_of_a_checkpoint(tmp_path: Path) -> None:
    path, net = trained(tmp_path / "a.ckpt", 3), resnet()
    checkpoint = read_checkpoint(path)
    load_trained({"e_fer": net}, checkpoint, path, "change it")
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, checkpoint["state_dict"][f"e_fer.{name}"])


def test_networks_are_taken_all_or_none(tmp_path: Path) -> None:
    path = trained(tmp_path / "a.ckpt", 3, **{"other.weight": torch.zeros(2, 5)})
    networks = {"e_fer": resnet(), "other": nn.Linear(3, 2, bias=False)}
    before = {name: tensor.clone() for name, tensor in networks["e_fer"].state_dict().items()}
    said = (
        r"other in .*a.ckpt is of another architecture: 1 tensors .*weight \(expected \(2, 3\), got"
    )
    with pytest.raises(UserError, match=said + r" \(2, 5\)\)\. Nothing was loaded; change it\."):
        load_trained(networks, read_checkpoint(path), path, "change it")
    for name, tensor in networks["e_fer"].state_dict().items():
        assert torch.equal(tensor, before[name])
    with pytest.raises(UserError, match="holds no d_e: it is the checkpoint of another method"):
        load_trained({"d_e": resnet()}, read_checkpoint(path), path, "change it")

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_modules.networks.vgg import VGG16_ADDRESS, VGGFeatures


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """What torchvision publishes, with the deepest layers cut short to stay small."""
    generator = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        names = dict(VGGFeatures().named_parameters())
    own = {name: 0.05 * torch.randn(p.shape, generator=generator) for name, p in names.items()}
    rest = ("features.24.weight", "features.28.bias", "classifier.0.weight", "classifier.6.bias")
    return {**own, **{name: torch.zeros(1) for name in rest}}


def test_features_agree_with_the_layers_applied_one_by_one(weights, tmp_path):
    torch.save(weights, tmp_path / "vgg16.pth")
    model = VGGFeatures()
    assert not model.loaded
    report = model.load_weights(str(tmp_path / "vgg16.pth"))
    assert model.loaded
    assert len(report.matched) == 20
    assert set(report.unexpected) == set(weights) - set(report.matched)
    assert report.missing == ()

    image = torch.rand(1, 3, 32, 32)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    hidden, expected = (image - mean) / std, []
    for stage in ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21)):
        if stage[0]:
            hidden = torch.nn.functional.max_pool2d(hidden, 2)
        for index in stage:
            kernel, bias = weights[f"features.{index}.weight"], weights[f"features.{index}.bias"]
            hidden = torch.nn.functional.conv2d(hidden, kernel, bias, padding=1).relu()
        expected.append(hidden)
    maps = model(image)
    assert [tuple(m.shape[1:]) for m in maps] == [
        (64, 32, 32),
        (128, 16, 16),
        (256, 8, 8),
        (512, 4, 4),
    ]
    for got, want in zip(maps, expected, strict=True):
        torch.testing.assert_close(got, want)


def test_the_usual_address_is_checked_by_its_hash(tmp_path, monkeypatch):
    asked: list[Any] = []

    def fetch(*arguments: Any, **_: Any) -> None:
        asked.extend(arguments)
        raise OSError("no route")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    with pytest.raises(ValueError, match=r"could not be fetched \(no route\); download it"):
        VGGFeatures().load_weights()
    address, path, sha256 = asked
    assert address == VGG16_ADDRESS
    assert Path(path).parent == tmp_path / "checkpoints"
    # Its first digits are in the name that torchvision gave the file.
    assert len(sha256) == 64
    assert sha256.startswith(Path(VGG16_ADDRESS).stem.rpartition("-")[2])


def test_an_address_without_hash_is_refused():
    with pytest.raises(ValueError, match="SHA-256"):
        VGGFeatures().load_weights("https://example.org/vgg16.pth")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features.0.weight": None}, r"1 \(features.0.weight\) missing"),
        ({"features.0.weight": torch.zeros(8, 3, 3, 3)}, r"\(8, 3, 3, 3\) instead of"),
        ({"features.34.weight": torch.zeros(1)}, r"1 \(features.34.weight\) unknown"),
    ],
)
def test_another_architecture_is_refused(weights, tmp_path, change, message):
    changed = {name: tensor for name, tensor in {**weights, **change}.items() if tensor is not None}
    torch.save(changed, tmp_path / "vgg.pth")
    model = VGGFeatures()
    with pytest.raises(ValueError, match=message):
        model.load_weights(str(tmp_path / "vgg.pth"))
    assert not model.loaded


def test_a_missing_or_damaged_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        VGGFeatures().load_weights(str(tmp_path / "absent.pth"))
    (tmp_path / "torn.pth").write_bytes(b"torn")
    with pytest.raises(ValueError, match="is damaged"):
        VGGFeatures().load_weights(str(tmp_path / "torn.pth"))
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="holds a list"):
        VGGFeatures().load_weights(str(tmp_path / "list.pth"))

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from callbacks.figures.grad_cam import find_layer, grad_cam_plus_plus, heat_maps, layer_gradients


class Smooth(nn.Module):
    """Smooth feature maps, and a score that is linear in them, as behind a last layer."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.Softplus())
        self.head = nn.Linear(3 * 4 * 4, 2)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.maps(image).flatten(1))


def by_the_paper(maps: Tensor, score: nn.Module, of: int) -> Tensor:
    """Equations (5), (10) and (3) element by element, Y = exp(S), derivatives by autograd."""
    maps = maps.detach().requires_grad_()
    y = score(maps.flatten().unsqueeze(0))[0, of].exp()
    (first,) = torch.autograd.grad(y, maps, create_graph=True)
    weights = torch.zeros(len(maps), dtype=maps.dtype)
    for k in range(len(maps)):
        for i in range(maps.shape[1]):
            for j in range(maps.shape[2]):
                (row,) = torch.autograd.grad(first[k, i, j], maps, create_graph=True)
                second = row[k, i, j]
                (cube,) = torch.autograd.grad(second, maps, retain_graph=True)
                third = cube[k, i, j]
                alpha = second / (2 * second + maps[k].sum() * third)
                weights[k] += (alpha * first[k, i, j].relu()).detach()
    return (weights[:, None, None] * maps.detach()).sum(dim=0).relu()


def test_heat_is_that_of_the_papers_equations() -> None:
    model = Smooth().double()
    image = torch.randn(2, 1, 4, 4, dtype=torch.float64)
    classes = torch.tensor([0, 1])
    maps, gradients = layer_gradients(model, "maps", image, classes)
    heat = grad_cam_plus_plus(maps, gradients)
    for i, of in enumerate(classes.tolist()):
        expected = by_the_paper(maps[i], model.head, of)
        torch.testing.assert_close(heat[i] / heat[i].max(), expected / expected.max())
        assert expected.std() > 0


def test_activations_and_gradients_are_those_of_captum() -> None:
    attr = pytest.importorskip("captum.attr")
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(64, 5)
    )
    image, classes = torch.randn(3, 3, 8, 8), torch.tensor([4, 0, 2])
    maps, gradients = layer_gradients(model, "1", image, classes)
    ours = (gradients.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1).relu()
    theirs = attr.LayerGradCam(model, model[1]).attribute(image, classes, relu_attributions=True)
    torch.testing.assert_close(ours, theirs.detach().squeeze(1))


def test_heat_lies_where_the_class_was_read() -> None:
    # Two detectors, of the first channel in class 0 and of the second in class 1.
    model = nn.Sequential(nn.Conv2d(2, 2, 1, bias=False), nn.AvgPool2d(8), nn.Flatten())
    nn.init.eye_(model[0].weight.data[:, :, 0, 0])
    image = torch.zeros(1, 2, 8, 8)
    image[0, 0, 1, 1] = image[0, 1, 6, 6] = 1.0
    with torch.inference_mode():  # as Lightning predicts
        heat = heat_maps(model, "0", image.repeat(2, 1, 1, 1), torch.tensor([0, 1]))
    assert heat.shape == (2, 8, 8)
    assert heat[0, 1, 1] == heat[1, 6, 6] == 1
    assert heat[0, 6, 6] == heat[1, 1, 1] == 0


def test_a_layer_that_runs_twice_counts_where_it_ran_last() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(1, 1, 1, bias=False)

        def forward(self, image: Tensor) -> Tensor:
            return self.layer(self.layer(image) + 1).mean(dim=(2, 3))

    model = Shared()
    image = torch.rand(1, 1, 4, 4)
    maps, gradients = layer_gradients(model, "layer", image, torch.tensor([0]))
    torch.testing.assert_close(maps, model.layer(model.layer(image) + 1).detach())
    torch.testing.assert_close(gradients, torch.full((1, 1, 4, 4), 1 / 16))


def test_activations_are_what_the_layer_put_out_though_changed_in_place_behind_it() -> None:
    layer = nn.Conv2d(1, 2, 1)
    model = nn.Sequential(layer, nn.ReLU(inplace=True), nn.AvgPool2d(4), nn.Flatten())
    image = torch.randn(2, 1, 4, 4)
    maps, gradients = layer_gradients(model, "0", image, torch.tensor([0, 1]))
    put_out = layer(image).detach()
    torch.testing.assert_close(maps, put_out)
    torch.testing.assert_close(gradients[0, 0], (put_out[0, 0] > 0) / 16)
    assert not gradients[0, 1].any()


def test_nothing_before_the_layer_is_held_for_gradients() -> None:
    def without_gradients(_: nn.Module, inputs: object, output: Tensor) -> None:
        assert not output.requires_grad

    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 2, 1), nn.AvgPool2d(4), nn.Flatten())
    model[0].register_forward_hook(without_gradients)
    layer_gradients(model, "1", torch.rand(1, 1, 4, 4), torch.tensor([0]))
    assert torch.is_grad_enabled()


def test_no_gradient_is_left_behind() -> None:
    model = Smooth()
    heat_maps(model, "maps", torch.rand(2, 1, 4, 4), torch.tensor([0, 1]))
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.maps._forward_hooks


def test_zero_gradients_give_no_heat() -> None:
    assert not grad_cam_plus_plus(torch.rand(1, 2, 3, 3), torch.zeros(1, 2, 3, 3)).any()


def test_wrong_layers_are_named() -> None:
    with pytest.raises(ValueError, match=r"Smooth has no layer map; did you mean maps\?"):
        find_layer(Smooth(), "map")
    with pytest.raises(ValueError, match="head puts out no feature maps"):
        layer_gradients(Smooth(), "head", torch.rand(1, 1, 4, 4), torch.tensor([0]))

"""Grad-CAM++: where in a picture a classifier sees what it says."""

from __future__ import annotations

import difflib
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from datamodules.errors import UserError


def grad_cam_plus_plus(activations: Tensor, gradients: Tensor) -> Tensor:
    """Weigh feature maps by what they do for the score of a class.

    Args:
        activations: Feature maps A [B, C, H, W] of a layer.
        gradients: Derivatives of the score (logit) of each sample's class by them, alike.

    Returns:
        Heat [B, H, W], at least 0, of any unit.

    Reference:
        Chattopadhyay et al., Grad-CAM++ (WACV 2018), equations (3), (5), (10) and (19).

    Deviation:
        The paper scores exp(logit). Its derivatives of order n are exp(logit) times the gradient
        to the n, so that the exponential scales a whole map: it is left out, since it overflows.
    """
    # Equation (19) with the square of the gradient taken out above and below, so that small
    # gradients keep their digits. Where a gradient is not positive, equation (5) counts nothing.
    below = 2 + activations.sum(dim=(2, 3), keepdim=True) * gradients
    alpha = torch.where(below == 0, 0.0, 1 / torch.where(below == 0, 1.0, below))
    weights = (alpha * gradients.relu()).sum(dim=(2, 3), keepdim=True)
    return (weights * activations).sum(dim=1).relu()


def layer_gradients(
    model: nn.Module, layer: str, image: Tensor, classes: Tensor
) -> tuple[Tensor, Tensor]:
    """Run a classifier and differentiate one logit of each image by the output of a layer.

    Args:
        model: Returns logits [B, K] of images; it is run as it is, in the mode that it is in.
        layer: Name of one of its modules. Of one that runs more than once, such as a layer that
            two branches share, the last run counts, which is the one nearest to the logits.
        image: Images [B, C, H, W].
        classes: int64 [B], the logit of each image.

    Returns:
        The output of the layer and its derivatives, each [B, D, H', W'].

    Raises:
        UserError: If there is no such layer, or its output is no set of feature maps.
    """
    module = find_layer(model, layer)
    found: list[Tensor] = []

    def keep(_: nn.Module, inputs: Any, output: Any) -> Tensor | None:
        if not isinstance(output, Tensor):
            return None
        # Gradients begin here: of what leads to the layer nothing is held.
        found[:] = [output.detach().requires_grad_()]
        torch.set_grad_enabled(True)
        return found[0].clone()  # which may be changed in place

    handle = module.register_forward_hook(keep)
    try:
        # Lightning evaluates in inference mode, whose tensors have no gradients.
        with torch.inference_mode(False), torch.no_grad():
            logits = model(image.clone())
            if not found or found[0].ndim != 4:
                raise UserError(
                    f"The layer {layer} puts out no feature maps [B, C, H, W]: name a "
                    "convolutional one."
                )
            score = logits.gather(1, classes.clone().unsqueeze(1)).sum()
            (gradients,) = torch.autograd.grad(score, found[0])
    finally:
        handle.remove()
    return found[0].detach(), gradients


def heat_maps(model: nn.Module, layer: str, image: Tensor, classes: Tensor) -> Tensor:
    """Show where in images a classifier sees a class.

    Args:
        model: Returns logits [B, K] of images, in evaluation mode.
        layer: Name of one of its modules.
        image: Images [B, C, H, W].
        classes: int64 [B], the class of each image.

    Returns:
        float32 [B, H, W] in [0, 1]; the largest of each image is 1 unless all are 0.
    """
    activations, gradients = layer_gradients(model, layer, image, classes)
    heat = grad_cam_plus_plus(activations.float(), gradients.float())
    heat = functional.interpolate(heat.unsqueeze(1), image.shape[-2:], mode="bilinear")
    largest = heat.amax(dim=(1, 2, 3), keepdim=True)
    return (heat / torch.where(largest == 0, 1.0, largest)).squeeze(1)


def find_layer(model: nn.Module, layer: str) -> nn.Module:
    """Find a module by its name, such as network.layer4.

    Raises:
        UserError: If there is none.
    """
    modules = dict(model.named_modules())
    if layer not in modules:
        close = difflib.get_close_matches(layer, [name for name in modules if name], n=1)
        hint = f"; did you mean {close[0]}?" if close else "."
        raise UserError(f"{type(model).__name__} has no layer {layer}{hint}")
    return cast(nn.Module, modules[layer])

"""Loss functions: each concept as a pure function on tensors and a thin module around it."""

from losses.adversarial import (
    DiscriminatorLoss,
    GeneratorLoss,
    discriminator_loss,
    generator_loss,
)
from losses.classification import TwoPhaseLoss, classification_loss, two_phase_loss
from losses.flow import CharbonnierLoss, EndpointError, charbonnier_loss, endpoint_error
from losses.perceptual import PerceptualLoss, perceptual_loss

__all__ = [
    "CharbonnierLoss",
    "DiscriminatorLoss",
    "EndpointError",
    "GeneratorLoss",
    "PerceptualLoss",
    "TwoPhaseLoss",
    "charbonnier_loss",
    "classification_loss",
    "discriminator_loss",
    "endpoint_error",
    "generator_loss",
    "perceptual_loss",
    "two_phase_loss",
]

"""The learning rates of eMotion-GAN over its epochs."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import MultiStepLR


class HalvingLR(MultiStepLR):
    """A MultiStepLR whose defaults are those of eMotion-GAN.

    A class of its own because a default that holds a list could not be shown in ``--help``,
    saved in a run's config or changed in part from the command line.

    Args:
        optimizer: Whose learning rates are multiplied.
        milestones: Epochs, from 0, from which on they are multiplied once more.
        gamma: By what.

    Reference:
        eMotion-GAN, IV.C ("gradually decreased"); the numbers are those of its code.
    """

    def __init__(
        self, optimizer: Optimizer, milestones: tuple[int, ...] = (10, 13), gamma: float = 0.5
    ) -> None:
        super().__init__(optimizer, milestones, gamma)

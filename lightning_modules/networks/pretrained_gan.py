"""The GAN out of another run's checkpoint, whole or not at all."""

from __future__ import annotations

from torch import nn

from datamodules.errors import UserError
from lightning_modules.networks.weights import read_checkpoint


def load_gan(generator: nn.Module, discriminator: nn.Module, path: str) -> None:
    """Fill both networks from a checkpoint of DCGAN + SVM; its machines stay behind.

    Args:
        generator: The generator to fill.
        discriminator: The discriminator to fill.
        path: The checkpoint.

    Raises:
        UserError: If there is no such file, it holds no GAN, or one of another size. Neither
            network is changed then.
    """
    weights = read_checkpoint(path)["state_dict"]
    networks = {"generator": generator, "discriminator": discriminator}
    given = {
        player: {
            name.removeprefix(f"{player}."): tensor
            for name, tensor in weights.items()
            if name.startswith(f"{player}.")
        }
        for player in networks
    }
    if not all(given.values()):
        raise UserError(f"{path} holds no DCGAN: it is the checkpoint of another method.")
    for player, network in networks.items():
        own = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        other = {name: tuple(tensor.shape) for name, tensor in given[player].items()}
        if own != other:
            differing = sorted(n for n in own.keys() | other if own.get(n) != other.get(n))
            raise UserError(
                f"The {player} in {path} is of another size: {len(differing)} tensors differ, the "
                f"first {differing[0]} (expected {own.get(differing[0])}, got "
                f"{other.get(differing[0])}). Set model.size, channels, width and latent to those "
                "of that run; nothing was loaded."
            )
    for player, network in networks.items():
        network.load_state_dict(given[player])

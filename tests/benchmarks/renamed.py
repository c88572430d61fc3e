"""A stand-in for the authors' generators: ours, under their names."""

from __future__ import annotations

from typing import Any

from torch import nn

from lightning_modules.networks.authors import generator_names
from lightning_modules.networks.flow_generator import PAPER_BLOCKS as FLOW
from lightning_modules.networks.image_generator import PAPER_BLOCKS as IMAGE


class Renamed(nn.Module):
    """Holds the blocks of a generator of the paper, and names its weights as the authors do."""

    part: str

    def state_dict(self, *args: Any, **options: Any) -> dict[str, Any]:
        own = super().state_dict(*args, **options)
        return {
            theirs: own[ours] for theirs, ours in generator_names(FLOW, IMAGE)[self.part].items()
        }

    def load_state_dict(self, state: Any, **options: Any) -> Any:
        names = generator_names(FLOW, IMAGE)[self.part]
        return super().load_state_dict(
            {names[name]: value for name, value in state.items()}, **options
        )

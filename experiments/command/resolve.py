"""What a command line of `fit` comes to, without running it."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.command.errors import usage_error
from experiments.command.experiment import ExperimentCLI
from experiments.command.signatures import class_name
from experiments.run.folder import shared_config_hash
from experiments.run.session import Session

NO_SEED = 3141592653
"""A seed that nobody gives."""


class ResolvedExperiment(ExperimentCLI):
    """The resolved config of a training that is not begun.

    Args:
        args: The command line after `fit`.

    Raises:
        CommandError: If it is wrong, or its data make no folds.
    """

    def __init__(self, args: Sequence[str]) -> None:
        self.resolved: dict[str, Any] = {}
        super().__init__(["fit", *args], Session())
        if "fold" not in self.resolved["data"].get("init_args", {}):
            raise usage_error(
                f"{self.data_name} makes no folds (it takes no data.fold), so it cannot be "
                "cross-validated."
            )

    @property
    def experiment(self) -> str:
        """Name of the experiment."""
        return str(self.resolved["experiment"])

    @property
    def digest(self) -> str:
        """Hash of what all folds share."""
        return shared_config_hash(self.resolved)

    @property
    def model_name(self) -> str:
        """Name of the method's class."""
        return class_name(self.resolved["model"])

    @property
    def data_name(self) -> str:
        """Name of the data module's class."""
        return class_name(self.resolved["data"])

    @property
    def runs_dir(self) -> Path:
        """Folder of all runs."""
        return Path(self.resolved["runs_dir"])

    def with_seed(self, seed: int) -> ResolvedExperiment:
        """Return what the command line comes to with another seed, without parsing it again.

        Args:
            seed: It takes the place of this one's wherever that stands, be it as a number or by an
                interpolation in a text. So this one's must be a number that is there for no other
                reason, see `NO_SEED`.
        """
        text = json.dumps(self.resolved)
        other = copy.copy(self)
        other.resolved = json.loads(text.replace(str(self.resolved["seed_everything"]), str(seed)))
        return other

    def before_instantiate_classes(self) -> None:
        """Keep the resolved config."""
        self.resolved = self.resolve()

    def instantiate_classes(self) -> None:
        """Skip what the resolved config names."""

    def after_instantiate_classes(self) -> None:
        """Skip the checks of a model, which was not made."""

    def _set_seed(self) -> None:
        pass

    def _run_subcommand(self, subcommand: str) -> None:
        pass

"""The `lightning fit` that the benchmarks of training look into."""

from __future__ import annotations

from collections.abc import Sequence
from tempfile import TemporaryDirectory

from experiments.cli import main

LAPTOP = (
    "--config=experiments/emotion_gan.yaml",
    "--config=experiments/presets/laptop.yaml",
    "--model.e_fer_epochs=1",  # before the steps that are measured
)
"""The experiment that is measured: eMotion-GAN with the laptop preset."""


def fit(steps: int, *arguments: str, experiment: Sequence[str] = LAPTOP) -> None:
    """Run the real command for some steps of the first epoch, in a run folder that is thrown away.

    Args:
        steps: Training steps.
        *arguments: Further arguments of the command.
        experiment: The experiment's own arguments.
    """
    with TemporaryDirectory() as runs:
        main(
            [
                "fit",
                *experiment,
                f"--runs_dir={runs}",
                f"--trainer.max_steps={steps}",
                "--trainer.limit_val_batches=0",
                "--trainer.num_sanity_val_steps=0",
                *arguments,
            ]
        )

from __future__ import annotations

from pathlib import Path

from experiments.command.console import quiet
from experiments.command.resolve import NO_SEED, ResolvedExperiment


def test_another_seed_is_what_its_own_command_line_comes_to(folder: Path) -> None:
    text = "data: {init_args: {cache_dir: 'of_${seed_everything}'}}"
    (folder / "more.yaml").write_text(text)
    fit = ["--config=experiments/flow_cnn.yaml", "--config=more.yaml"]
    with quiet():
        of_none = ResolvedExperiment([*fit, f"--seed_everything={NO_SEED}"])
        own = ResolvedExperiment([*fit, "--seed_everything=3"])
    other = of_none.with_seed(3)
    assert other.resolved == own.resolved
    assert other.digest == own.digest
    arguments = other.resolved["data"]["init_args"]
    assert (arguments["seed"], arguments["cache_dir"]) == (3, "of_3")
    assert of_none.resolved["seed_everything"] == NO_SEED
    assert of_none.with_seed(4).digest != own.digest

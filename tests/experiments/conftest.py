from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from experiments.cli import main
from tests.experiments.wandb_server import WandbServer, serve_wandb

TINY = """
model:
  class_path: tests.experiments.tiny.TinyGAN
data:
  class_path: tests.experiments.tiny.TinyData
checkpoint:
  monitor: val/x
trainer:
  accelerator: cpu
  max_epochs: 2
  enable_progress_bar: false
"""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    # Models of ten weights: threads would only wait for each other.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a tiny experiment and no W&B."""
    monkeypatch.setenv("WANDB_MODE", "disabled")
    for variable in ("LOCAL_RANK", "RANK", "SLURM_JOB_ID", "WANDB_SWEEP_ID"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run a command that must fail; return its exit code and the last line it printed."""

    def run(*args: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as exit_:
            main(args)
        # What failed is not chained: a console script would print it.
        assert exit_.value.__cause__ is None
        assert exit_.value.__context__ is None
        return int(exit_.value.code or 0), capfd.readouterr().err.strip().splitlines()[-1]

    return run


@pytest.fixture
def wandb_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    """A stand-in of W&B's server; runs are offline until they are sent to it."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_API_KEY", "local" * 8)
    with serve_wandb() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        yield server

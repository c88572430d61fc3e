"""A method without a word on its optimizers has a config that can be saved and read again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LightningArgumentParser

import lightning_modules


def model_parser() -> LightningArgumentParser:
    parser = LightningArgumentParser(parser_mode="omegaconf+", exit_on_error=False)
    parser.add_subclass_arguments(LightningModule, "model")
    return parser


def default_config(parser: LightningArgumentParser, name: str) -> str:
    """What a run of the method saves that says nothing but its name."""
    config = parser.parse_object({"model": {"class_path": f"lightning_modules.{name}"}})
    text: str = parser.dump(config, skip_unset=False)
    return text


def main() -> None:
    parser = model_parser()
    print("".join(default_config(parser, name) for name in lightning_modules.__all__))


@pytest.mark.parametrize("name", lightning_modules.__all__)
def test_a_default_config_is_read_again(name: str) -> None:
    parser = model_parser()
    text = default_config(parser, name)
    again = parser.parse_string(text)
    assert parser.dump(again, skip_unset=False) == text
    with torch.device("meta"):  # nothing is drawn or computed
        model = parser.instantiate(again).model
    assert model.configure_optimizers()


def test_default_configs_are_the_same_text_in_two_processes(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main()
    other = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.lightning_modules.test_configs"],
        cwd=repository,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    assert other == capsys.readouterr().out
    assert " at 0x" not in other


if __name__ == "__main__":
    main()

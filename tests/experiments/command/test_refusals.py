"""Errors of libraries over what a person gave are one sentence, those of the project are not."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from jsonargparse import ArgumentParser
from lightning.pytorch.loggers import CometLogger
from torch import nn
from torch.utils.data import DataLoader

from experiments.cli import main
from experiments.command.console import quiet
from experiments.command.errors import missing_library
from experiments.command.refusals import refused_argument
from tests.experiments.tiny import TinyGAN

CLASSES = {
    "negative rate": (torch.optim.SGD, {"params": [nn.Parameter(torch.ones(1))], "lr": -1.0}),
    "dropout above 1": (nn.Dropout, {"p": 1.5}),
    "negative width": (TinyGAN, {"width": -1}),
    "package not installed": (CometLogger, {}),
}


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_that_a_config_names_refuses_its_arguments(name: str) -> None:
    made, arguments = CLASSES[name]
    with pytest.raises(Exception) as caught:  # noqa: PT011  # of any kind
        build(made, arguments)
    told = refused_argument(caught.value)
    assert told is not None
    assert str(told).startswith(f"{made.__name__} refuses its arguments: ")
    # The same outside a config is a mistake of whoever wrote it.
    with pytest.raises(Exception) as outside:  # noqa: PT011
        made(**arguments)
    told = refused_argument(outside.value)
    assert told is None or "refuses what was given" in str(told)


def build(made: type, arguments: dict[str, Any]) -> Any:
    from jsonargparse._instantiation import ClassInstantiator

    return ClassInstantiator({})(made, **arguments)


def test_a_wrapped_refusal_is_found() -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(pl.LightningModule, "model")
    spec = {"class_path": "tests.experiments.tiny.TinyGAN", "init_args": {"width": -1}}
    with quiet(), pytest.raises(ValueError, match="negative dimension") as caught:
        parser.instantiate(parser.parse_object({"model": spec}))
    assert "TinyGAN refuses its arguments: Trying to create" in str(refused_argument(caught.value))


@pytest.mark.parametrize(
    ("action", "library"),
    [
        (lambda: DataLoader([1], num_workers=-1), "torch"),  # type: ignore[arg-type]
        (lambda: pl.seed_everything(-1), "Lightning"),
        (lambda: pl.Trainer(accelerator="cpu", strategy="none", logger=False), "Lightning"),
    ],
)
def test_what_a_library_checks_is_a_sentence(action: Any, library: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        action()
    assert str(refused_argument(caught.value)).startswith(f"{library} refuses what was given: ")


def test_a_mistake_of_the_project_keeps_its_trace() -> None:
    for action in (lambda: int("x"), lambda: torch.ones(2).view(3), lambda: [][1]):
        with pytest.raises((ValueError, RuntimeError, IndexError)) as caught:
            action()
        assert refused_argument(caught.value) is None


def test_a_single_sample_in_a_batch() -> None:
    with pytest.raises(ValueError, match="more than 1 value") as caught:
        nn.BatchNorm1d(2)(torch.ones(1, 2))
    assert "choose another --data.batch_size" in str(refused_argument(caught.value))


def test_a_missing_library_of_the_system(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    reason = "libGL.so.1: cannot open shared object file: No such file or directory"
    for error, code, said in (
        (ImportError(reason), 1, "lightning: This machine lacks libGL.so.1, "),
        (KeyboardInterrupt(), 130, "Stopped. Nothing was begun."),
    ):

        def interrupted(*_: Any, error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr("experiments.cli.check", interrupted)
        with pytest.raises(SystemExit) as exit_:
            main(["fit"])
        assert exit_.value.code == code
        assert capfd.readouterr().err.startswith(said)
    assert missing_library(ImportError("No module named 'x'")) is None

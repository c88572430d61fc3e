from __future__ import annotations

import errno
import io

import numpy as np
import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.index import Index
from experiments.command.errors import close_match
from experiments.command.execute import explain
from experiments.run.checkpoints import RunCheckpoints


def caught(action: object) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - any, to be told apart below
        action()  # type: ignore[operator]
    return caught.value


def test_only_an_error_of_what_the_user_gave_is_a_sentence() -> None:
    told = explain(caught(lambda: RunCheckpoints(every_minutes=-1)))
    assert told is not None
    assert str(told) == "checkpoint.every_minutes must be 0 or more; got -1."
    assert told.exit_code == 1
    assert explain(caught(lambda: torch.ones(2).view(3))) is None
    assert explain(caught(lambda: int("x"))) is None
    # A mistake inside the project, even one with a message.
    expressions = np.zeros(1, np.int8)
    without_images = caught(lambda: Index(["a"], expressions))
    assert isinstance(without_images, ValueError)
    assert explain(without_images) is None
    assert explain(ZeroDivisionError("division by zero")) is None


def test_what_the_machine_lacks_is_said() -> None:
    full = explain(OSError(errno.ENOSPC, "No space left on device", "runs/a/last.ckpt"))
    assert str(full).startswith("The disk is full at runs/a/last.ckpt: make room")
    denied = explain(PermissionError(errno.EACCES, "Permission denied", "/runs"))
    assert str(denied) == "There is no permission to write or read at /runs."
    assert "does not exist" in str(explain(FileNotFoundError(errno.ENOENT, "No such file", "a")))
    assert explain(io.UnsupportedOperation("read")) is None
    assert "memory is full" in str(explain(torch.OutOfMemoryError("CUDA out of memory")))
    assert str(explain(MisconfigurationException("No  gpu\nfound"))) == "No gpu found"


def test_a_close_match() -> None:
    assert close_match("widht", ["width", "height"]) == "; did you mean width?"
    assert close_match("lr", ["width"]) == ""

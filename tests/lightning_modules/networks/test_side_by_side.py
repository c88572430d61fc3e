"""Order and memory of streams, by stand-ins; whether a GPU computes the same, gpu tests say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from lightning_modules.networks.side_by_side import side_by_side


class Scale(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Any) -> Any:
        return x * self.factor


def test_on_a_processor_one_follows_the_other() -> None:
    one, two = side_by_side([Scale(2.0), Scale(3.0)], [torch.ones(1), torch.ones(2)])
    assert (one.tolist(), two.tolist()) == ([2.0], [3.0, 3.0])


class Stream:
    """Notes for whom it waits."""

    log: ClassVar[list[Any]] = []
    current: ClassVar[Stream]

    def __init__(self, name: str = "other") -> None:
        self.name = name

    def wait_stream(self, other: Stream) -> None:
        self.log.append((self, "waits for", other))


class Memory:
    """Stands in for a tensor of a GPU; notes where it is computed and who else reads it."""

    is_cuda = True

    def __init__(self, value: float) -> None:
        self.value = value
        self.readers: list[Stream] = []

    def __mul__(self, factor: float) -> Memory:
        Stream.log.append((Stream.current, "computes", self.value * factor))
        return Memory(self.value * factor)

    def record_stream(self, stream: Stream) -> None:
        self.readers.append(stream)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Stream:
    """The stream on which a graph is recorded."""
    here = Stream("here")
    monkeypatch.setattr(Stream, "log", [])
    monkeypatch.setattr(Stream, "current", here, raising=False)

    @contextmanager
    def entered(stream: Stream) -> Iterator[None]:
        Stream.current = stream
        yield
        Stream.current = here

    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: here)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", entered)
    return here


def test_while_a_graph_is_recorded_each_has_a_stream(here: Stream) -> None:
    inputs: Any = [Memory(1.0), Memory(10.0), Memory(100.0)]
    answers: Any = side_by_side([Scale(2.0), Scale(3.0), Scale(4.0)], inputs)
    assert [answer.value for answer in answers] == [2.0, 30.0, 400.0]
    second, third = inputs[1].readers[0], inputs[2].readers[0]
    assert len({here, second, third}) == 3
    assert Stream.log == [
        (here, "computes", 2.0),
        (second, "waits for", here),
        (second, "computes", 30.0),
        (third, "waits for", here),
        (third, "computes", 400.0),
        # Only now, or the third would wait for the second.
        (here, "waits for", second),
        (here, "waits for", third),
    ]
    assert all(answer.readers == [here] for answer in answers)


@pytest.mark.parametrize(
    ("module", "name", "answer"),
    [(torch.cuda, "is_current_stream_capturing", False), (torch.compiler, "is_compiling", True)],
)
def test_where_none_is_recorded_or_it_is_compiled_none_has(
    here: Stream, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, answer: bool
) -> None:
    monkeypatch.setattr(module, name, lambda: answer)
    inputs: Any = [Memory(1.0), Memory(10.0)]
    side_by_side([Scale(2.0), Scale(3.0)], inputs)
    assert Stream.log == [(here, "computes", 2.0), (here, "computes", 30.0)]

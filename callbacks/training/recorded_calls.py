"""Calls of networks in training steps, recorded as CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from datamodules.errors import UserError

SHAPES = 4
"""Recordings of one call at most, each with memory of its own; other shapes run as they are."""


class RecordedCalls:
    """Replays what networks compute in a training step, forwards and backwards, as CUDA graphs.

    The host then hands out one graph for a call and one for its gradients in place of hundreds of
    kernels, for which most steps of these methods wait. What a network computes stays what it was.

    Which call of a step it is tells one recording from another: a discriminator that judges twice
    before it learns needs two, each with its own memory. So do the shapes of its inputs, the modes
    of its layers and which of its weights learn. A call is recorded where it comes for the second
    time. Until then, outside of steps, without gradients, and called with anything but tensors and
    plain options by name, a network runs as it always does.

    A recording keeps its activations and gradients until this object goes.

    Args:
        networks: Networks on a CUDA device, whose weights change only in place.
        compile: Whether to compile, by `torch.compile`, what is called in steps, recorded or not.

    Reference:
        `torch.cuda.make_graphed_callables`.
    """

    def __init__(self, networks: Iterable[nn.Module], *, compile: bool = False) -> None:
        self._recorders = [_Recorder(network, compile=compile) for network in networks]

    def begin(self) -> None:
        """Begin a step."""
        for recorder in self._recorders:
            recorder.begin()

    def end(self) -> None:
        """Leave the networks as they are without this."""
        for recorder in self._recorders:
            recorder.end()

    @contextmanager
    def step(self) -> Iterator[None]:
        """Begin a step, and end it whatever happens."""
        self.begin()
        try:
            yield
        finally:
            self.end()


class _Recorder:
    """Stands in for the ``forward`` of one network."""

    def __init__(self, network: nn.Module, *, compile: bool) -> None:
        self._network = network
        self._forward = torch.compile(network.forward) if compile else network.forward
        self._weights = list(network.parameters())
        self._calls: dict[Hashable, dict[Hashable, Callable[..., Any] | None]] = {}
        self._count = 0

    def begin(self) -> None:
        self._count = 0
        self._network.forward = self

    def end(self) -> None:
        # The method of its class shows again.
        self._network.__dict__.pop("forward", None)

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        plain = all(isinstance(value, (bool, int, float, str)) for value in options.values())
        tensors = all(isinstance(x, Tensor) for x in inputs)
        if not (torch.is_grad_enabled() and plain and tensors):
            return self._forward(*inputs, **options)
        role = (
            self._count,
            *options.items(),
            *(layer.training for layer in self._network.modules()),
            *(weight.requires_grad for weight in self._weights),
        )
        self._count += 1
        shapes = tuple((x.shape, x.stride(), x.dtype, x.requires_grad) for x in inputs)
        calls = self._calls.setdefault(role, {})
        if shapes in calls:
            if calls[shapes] is None:
                calls[shapes] = self._record(inputs, options)
            return calls[shapes](*inputs)  # type: ignore[misc]  # not None by now
        if len(calls) < SHAPES:
            calls[shapes] = None
        return self._listen(inputs, options)

    def _listen(self, inputs: tuple[Tensor, ...], options: dict[str, Any]) -> Any:
        """Run a call as it is; refuse one that could not be recorded."""
        before = torch.get_rng_state()
        with _as_recorded():
            answer = self._forward(*inputs, **options)
        if not torch.equal(torch.get_rng_state(), before):
            raise UserError(
                f"{type(self._network).__name__} draws numbers on the host, as PCNN does where it "
                "cuts at random heights, and a recorded call would repeat one draw for ever: give "
                "--acceleration.graphs false."
            )
        return answer

    def _record(self, inputs: tuple[Tensor, ...], options: dict[str, Any]) -> Callable[..., Any]:
        """Record a call; what it runs for that changes no statistics and draws no numbers."""
        network, forward = self._network, self._forward
        samples = tuple(x.detach().clone().requires_grad_(x.requires_grad) for x in inputs)
        buffers = [buffer.clone() for buffer in network.buffers()]
        state = torch.cuda.get_rng_state()
        with _as_recorded():
            recorded: Callable[..., Any] = torch.cuda.make_graphed_callables(
                _Call(network, forward, options), samples, allow_unused_input=True
            )
        torch.cuda.set_rng_state(state)
        for buffer, before in zip(network.buffers(), buffers, strict=True):
            # Autograd would take a change that it sees for one of what earlier calls have kept.
            buffer.data.copy_(before)
        return recorded


def _as_recorded() -> torch.autocast:
    """Return the precision that is set without its memory of weights, which a graph cannot have.

    A call runs so from the first on: what is compiled would be compiled again for a recording.
    """
    return torch.autocast(
        "cuda",
        torch.get_autocast_dtype("cuda"),
        enabled=torch.is_autocast_enabled("cuda"),
        cache_enabled=False,
    )


class _Call(nn.Module):
    """A call of a network with its options; all weights of the network are its own."""

    def __init__(
        self, network: nn.Module, forward: Callable[..., Any], options: dict[str, Any]
    ) -> None:
        super().__init__()
        self.network = network
        self._forward, self._options = forward, options

    def forward(self, *inputs: Tensor) -> Any:
        return self._forward(*inputs, **self._options)

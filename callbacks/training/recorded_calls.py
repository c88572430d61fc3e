"""Calls of networks in training steps, recorded as CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from datamodules.errors import UserError


class RecordedCalls:
    """Replays what networks compute in a training step, forwards and backwards, as CUDA graphs.

    The host then hands out one graph for a call and one for its gradients in place of hundreds of
    kernels, for which most steps of these methods wait. What a network computes stays what it was.

    Which call of a step it is tells one recording from another: a discriminator that judges twice
    before it learns needs two, each with its own memory. So do the shapes of its inputs, its mode
    and which of its weights learn. A call is recorded where it comes for the second time; until
    then, outside of steps, and where nothing learns, a network runs as it always does.

    Args:
        networks: Networks on a CUDA device, called by their own call with tensors, and options by
            name that are none. Their weights may change in place alone.

    Reference:
        `torch.cuda.make_graphed_callables`.
    """

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        self._recorders = [_Recorder(network) for network in networks]

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

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._forward = network.forward
        self._weights = list(network.parameters())
        self._calls: dict[Hashable, Callable[..., Any]] = {}
        self._count = 0

    def begin(self) -> None:
        self._count = 0
        self._network.forward = self

    def end(self) -> None:
        # The method of its class shows again.
        self._network.__dict__.pop("forward", None)

    def __call__(self, *inputs: Tensor, **options: Any) -> Any:
        if not torch.is_grad_enabled():
            return self._forward(*inputs, **options)
        key = (
            self._count,
            *((x.shape, x.stride(), x.dtype, x.requires_grad) for x in inputs),
            *options.items(),
            self._network.training,
            *(weight.requires_grad for weight in self._weights),
        )
        self._count += 1
        if key not in self._calls:
            self._calls[key] = self._forward
        elif self._calls[key] is self._forward:
            self._calls[key] = self._record(inputs, options)
            return self._calls[key](*inputs)
        else:
            return self._calls[key](*inputs)
        return self._forward(*inputs, **options)

    def _record(self, inputs: tuple[Tensor, ...], options: dict[str, Any]) -> Callable[..., Any]:
        """Record a call; what it runs for that changes no statistics and draws no numbers."""
        network, forward = self._network, self._forward
        samples = tuple(x.detach().clone().requires_grad_(x.requires_grad) for x in inputs)
        buffers = [buffer.clone() for buffer in network.buffers()]
        on_host, on_device = torch.get_rng_state(), torch.cuda.get_rng_state()
        with torch.autocast(
            "cuda",
            torch.get_autocast_dtype("cuda"),
            enabled=torch.is_autocast_enabled("cuda"),
            cache_enabled=False,
        ):
            recorded = torch.cuda.make_graphed_callables(
                _Call(network, forward, options), samples, allow_unused_input=True
            )
        if not torch.equal(torch.get_rng_state(), on_host):
            raise UserError(
                f"{type(network).__name__} draws numbers on the host, as PCNN does where it cuts "
                "at random heights, and a recorded call would repeat one draw for ever: give "
                "--acceleration.graphs false."
            )
        torch.cuda.set_rng_state(on_device)
        for buffer, before in zip(network.buffers(), buffers, strict=True):
            # Autograd would take a change that it sees for one of what earlier calls have kept.
            buffer.data.copy_(before)
        return recorded


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

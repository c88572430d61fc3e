"""Networks that do not wait for each other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def side_by_side(networks: Sequence[nn.Module], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Ask networks of which none needs what another answers.

    While a CUDA graph is recorded each has a stream of its own, forwards and backwards, because
    small convolutions leave a device's units idle; what is replayed computes the same. Elsewhere,
    and where they are compiled, one runs after the other: there a device waits for the host.

    Args:
        networks: The networks, which share no weights.
        inputs: What each of them gets.

    Returns:
        Their answers.

    Reference:
        CUDA programming guide, Cross-stream Dependencies and Events of stream capture.
    """
    pairs = list(zip(networks, inputs, strict=True))
    if (
        torch.compiler.is_compiling()
        or not inputs[0].is_cuda
        or not torch.cuda.is_current_stream_capturing()
    ):
        return [network(x) for network, x in pairs]
    here = torch.cuda.current_stream()
    others = (torch.cuda.Stream() for _ in pairs[1:])  # type: ignore[no-untyped-call]
    streams = [here, *others]
    answers = []
    for stream, (network, x) in zip(streams, pairs, strict=True):
        if stream != here:
            stream.wait_stream(here)
        with torch.cuda.stream(stream):
            answers.append(network(x))
        # So that nobody's memory is given away while the other stream still reads it.
        x.record_stream(stream)
        answers[-1].record_stream(here)
    for stream in streams[1:]:
        here.wait_stream(stream)
    return answers

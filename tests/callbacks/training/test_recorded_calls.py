"""What is recorded and when; whether a GPU computes the same, tests marked gpu say."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from benchmarks import generated
from benchmarks.generated import METHODS, steady_setting, tiny_setting
from benchmarks.stepping import losses_of_steps
from callbacks.training import acceleration
from callbacks.training.recorded_calls import SHAPES, RecordedCalls
from datamodules.errors import UserError
from lightning_modules.networks.pcnn import PCNNNetwork


class Scaling(nn.Module):
    """Multiplies by a weight; its statistics count how often."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))
        self.count: Tensor
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: Tensor, *, twice: bool = False) -> Tensor:
        if self.training:
            self.count += 1
        return self.weight * x * (2 if twice else 1)


class FixedMemory:
    """Stands in for `torch.cuda.make_graphed_callables`: inputs are copied to where they lay."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.recorded: list[tuple[Tensor, ...]] = []
        self.replays = 0
        monkeypatch.setattr(torch.cuda, "make_graphed_callables", self._record)
        monkeypatch.setattr(torch.cuda, "get_rng_state", torch.get_rng_state)
        monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state: None)

    def _record(
        self, call: nn.Module, samples: tuple[Tensor, ...], *, allow_unused_input: bool
    ) -> Callable[..., Any]:
        assert not torch.is_autocast_cache_enabled()
        assert allow_unused_input
        for _ in range(3):
            call(*samples)
        self.recorded.append(samples)
        weights = list(call.parameters())

        def replay(*inputs: Tensor) -> Any:
            self.replays += 1
            flat: list[TreeSpec] = []
            return tree_unflatten(_Replay.apply(call, samples, flat, *inputs, *weights), flat[0])

        return replay


class _Replay(torch.autograd.Function):
    """Computes a call on the memory of its recording, and its gradients when they are asked for."""

    @staticmethod
    def forward(
        ctx: Any, call: nn.Module, samples: tuple[Tensor, ...], flat: list[TreeSpec], *given: Tensor
    ) -> tuple[Tensor, ...]:
        with torch.no_grad():
            for sample, x in zip(samples, given, strict=False):
                sample.copy_(x)
        with torch.enable_grad():
            ctx.outputs, tree = tree_flatten(call(*samples))
        flat.append(tree)
        ctx.learns = [x for x in (*samples, *call.parameters()) if x.requires_grad]
        ctx.given = [x.requires_grad for x in (*samples, *call.parameters())]
        return tuple(output.detach() for output in ctx.outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        pairs = [(o, g) for o, g in zip(ctx.outputs, gradients, strict=True) if o.requires_grad]
        outputs, seen = zip(*pairs, strict=True)
        found = iter(torch.autograd.grad(outputs, ctx.learns, seen, allow_unused=True))
        return (None, None, None, *(next(found) if learns else None for learns in ctx.given))


@pytest.fixture
def fixed(monkeypatch: pytest.MonkeyPatch) -> FixedMemory:
    return FixedMemory(monkeypatch)


def test_a_call_is_recorded_when_it_comes_again(fixed: FixedMemory) -> None:
    network = Scaling()
    calls = RecordedCalls([network])
    for step in range(4):
        with calls.step():
            assert network(torch.full((3,), float(step))).tolist() == [2.0 * step] * 3
        assert (len(fixed.recorded), fixed.replays) == (min(step, 1), step)
    assert network.count == 4  # what ran for the recording changed nothing


def test_each_call_of_a_step_has_its_own_memory(fixed: FixedMemory) -> None:
    """Gradients of the first must not be those of what the second has written over it."""
    network = Scaling()
    calls = RecordedCalls([network])
    for _ in range(3):
        network.zero_grad()
        with calls.step():
            real, fake = network(torch.tensor([1.0])), network(torch.tensor([10.0]))
            (real - 2 * fake).sum().backward()
        assert network.weight.grad == 1 - 20
    assert len(fixed.recorded) == 2


def test_what_differs_is_recorded_apart(fixed: FixedMemory) -> None:
    network = Scaling()
    calls = RecordedCalls([network])

    def ask(x: Tensor, **options: bool) -> Tensor:
        with calls.step():
            answer: Tensor = network(x, **options)
        return answer

    ask(torch.ones(3))
    variants: list[Callable[[], Tensor]] = [
        lambda: ask(torch.ones(2)),
        lambda: ask(torch.ones(3), twice=True),
        lambda: ask(torch.ones(3, requires_grad=True)),
    ]
    for variant in variants:
        expected, replays = variant(), fixed.replays
        torch.testing.assert_close(variant(), expected)
        assert fixed.replays == replays + 1
    assert len(fixed.recorded) == len(variants)
    network.eval()
    ask(torch.ones(3))
    network.weight.requires_grad_(False)
    ask(torch.ones(3))
    assert len(fixed.recorded) == len(variants)


def test_outside_of_steps_and_where_nothing_learns_it_is_the_network(fixed: FixedMemory) -> None:
    network = Scaling()
    calls = RecordedCalls([network])
    for _ in range(3):
        with calls.step(), torch.no_grad():
            network(torch.ones(3))
        network(torch.ones(3))
    assert not fixed.recorded
    assert "forward" not in network.__dict__
    assert copy.deepcopy(network)(torch.ones(1)).tolist() == [2.0]
    with pytest.raises(RuntimeError, match="in a step"), calls.step():
        raise RuntimeError("in a step")
    assert "forward" not in network.__dict__


@pytest.mark.usefixtures("fixed")
def test_what_draws_on_the_host_is_refused_at_once() -> None:
    cuts = PCNNNetwork(7, 48, width=4, regions="two_random")
    with (
        pytest.raises(UserError, match="PCNNNetwork draws numbers on the host"),
        RecordedCalls([cuts]).step(),
    ):
        cuts(torch.rand(2, 3, 48, 48))


def test_so_many_shapes_are_recorded_and_no_more(fixed: FixedMemory) -> None:
    network = Scaling()
    calls = RecordedCalls([network])
    for _ in range(3):
        for size in range(1, SHAPES + 3):
            with calls.step():
                assert network(torch.ones(size)).tolist() == [2.0] * size
    assert len(fixed.recorded) == SHAPES
    assert fixed.replays == 2 * SHAPES


class Mixed(nn.Module):
    """Takes more than tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)

    def forward(self, x: Tensor, factor: Any = None, *, also: Any = None) -> Tensor:
        moved: Tensor = self.norm(x) if factor is None else self.norm(x) * factor
        return moved if also is None else moved + also


def test_calls_with_other_arguments_are_not_recorded(fixed: FixedMemory) -> None:
    network = Mixed()
    calls = RecordedCalls([network])
    for _ in range(3):
        with calls.step():
            network(torch.rand(4, 2), 2.0)
            network(torch.rand(4, 2), None)
            network(torch.rand(4, 2), also=torch.ones(()))
    assert not fixed.recorded


def test_a_layer_in_another_mode_is_recorded_apart(fixed: FixedMemory) -> None:
    network = Mixed()
    calls = RecordedCalls([network])
    for frozen in (False, True):
        network.norm.train(not frozen)
        for _ in range(2):
            with calls.step():
                network(torch.rand(4, 2))
    assert len(fixed.recorded) == 2


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", [method for method in METHODS if method != "SSIM-VAE"])
def test_methods_learn_as_without(
    fixed: FixedMemory, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """With inputs that are copied to where a recording has them, and all that runs for it.

    Not SSIM-VAE, whose noise is drawn on the host here.
    """
    monkeypatch.setattr(acceleration, "_refuse_graphs", lambda trainer: None)
    device, setting = torch.device("cpu"), tiny_setting(method)
    expected = losses_of_steps(setting, device, 4)
    assert losses_of_steps(setting, device, 4, graphs=True) == expected
    assert fixed.replays >= 3


@pytest.mark.filterwarnings("ignore")
def test_what_is_recorded_may_be_compiled(
    fixed: FixedMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a backend that needs no compiler; it traces what the others trace."""
    compile_, compiled = torch.compile, []

    def traced(call: Any) -> Any:
        compiled.append(call)
        return compile_(call, backend="aot_eager")

    monkeypatch.setattr(torch, "compile", traced)
    network, x = PCNNNetwork(7, 48, width=4), torch.rand(2, 3, 48, 48)
    plain = copy.deepcopy(network)
    calls = RecordedCalls([network], compile=True)
    for _ in range(3):
        network.zero_grad()
        with calls.step():
            answer = network(x)
            answer.logits.square().sum().backward()
        expected = plain(x)
        torch.testing.assert_close(answer.logits, expected.logits)
    plain.zero_grad()
    expected.logits.square().sum().backward()
    torch.testing.assert_close(network.fc.weight.grad, plain.fc.weight.grad)
    assert len(compiled) == 1
    assert fixed.replays == 2


@pytest.mark.filterwarnings("ignore")
def test_batches_and_pairs_of_other_sizes_learn_as_without(
    fixed: FixedMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G_W sees as many pairs as a batch has, none at times, and the last batch is smaller."""
    monkeypatch.setattr(acceleration, "_refuse_graphs", lambda trainer: None)
    vary(monkeypatch)
    device, setting = torch.device("cpu"), tiny_setting("eMotion-GAN")
    expected = losses_of_steps(setting, device, 9)
    assert losses_of_steps(setting, device, 9, graphs=True) == expected
    assert len(fixed.recorded) > 6


def vary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let batches in turns have four samples with as many pairs, two or none, and three."""
    draw, pairs = generated._draw, itertools.cycle((4, 2, 0, 3))

    def drawn(setting: generated.Setting, generator: torch.Generator) -> dict[str, Tensor]:
        count = next(pairs)
        size = 3 if count == 3 else setting.batch
        batch = {key: value[:size] for key, value in draw(setting, generator).items()}
        return {**batch, "is_neutral_apex": torch.arange(size) < count}

    monkeypatch.setattr(generated, "_draw", drawn)


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore")
def test_recorded_steps_of_other_sizes_learn_as_others(monkeypatch: pytest.MonkeyPatch) -> None:
    device, setting = torch.device("cuda"), tiny_setting("eMotion-GAN")
    vary(monkeypatch)
    one, other = (
        losses_of_steps(setting, device, 12, graphs=graphs, drawn_on_cpu=False)
        for graphs in (False, True)
    )
    assert one == other


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", METHODS)
def test_recorded_steps_learn_as_others(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, recorded = torch.cuda.make_graphed_callables, []

    def record(*args: Any, **options: Any) -> Any:
        recorded.append(args)
        return make(*args, **options)

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", record)
    device, setting = torch.device("cuda"), steady_setting(method)
    one, other = (
        losses_of_steps(setting, device, 10, graphs=graphs, drawn_on_cpu=False)
        for graphs in (False, True)
    )
    assert recorded
    assert one == other

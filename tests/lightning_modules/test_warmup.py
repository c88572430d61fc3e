from __future__ import annotations

import math

import pytest
import torch

from lightning_modules.warmup import WarmupCosineLR


def test_it_rises_and_falls_and_goes_on_from_a_checkpoint():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.4)
    scheduler = WarmupCosineLR(optimizer, epochs=7, warmup=3)
    rates = []
    for _ in range(7):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    cosine = [0.2 * (1 + math.cos(math.pi * k / 4)) for k in range(4)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, *cosine])
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)
    torch.save(scheduler.state_dict(), "state.pt")
    fresh = WarmupCosineLR(torch.optim.SGD([torch.zeros(1)], lr=0.4), epochs=7, warmup=3)
    fresh.load_state_dict(torch.load("state.pt", weights_only=True))
    assert fresh.last_epoch == 7


def test_a_warmup_that_leaves_nothing_is_named():
    with pytest.raises(ValueError, match="warm-up of 5 epochs does not fit a training of 5"):
        WarmupCosineLR(torch.optim.SGD([torch.zeros(1)], lr=1.0), epochs=5)

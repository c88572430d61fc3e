from __future__ import annotations

import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from lightning_modules.metrics.occlusion import OcclusionQuality, conditions
from losses.flow import endpoint_error

REGIONS = ("eyes", "mouth")
MEAN_FLOW = torch.full((1, 2, 8, 8), 0.3)


def samples(length: int) -> tuple[torch.Tensor, ...]:
    """Logits [N, C, K], flows [N, 2 (1 + R), 2, H, W], labels [N], latent means [N, R, Z]."""
    label = torch.arange(length) % 3
    logits = torch.randn(length, 9, 3)
    logits[torch.arange(length), :, label] += 0.7
    return logits, torch.randn(length, 6, 2, 8, 8), label, torch.randn(length, 2, 4)


def test_conditions_are_shown_first_reconstructed_then_and_last_of_the_baseline():
    assert conditions(["nose"]) == (
        "clean",
        "nose",
        "clean_reconstructed",
        "nose_reconstructed",
        "clean_baseline",
        "nose_baseline",
    )


def test_every_condition_agrees_with_scikit_learn():
    torch.manual_seed(3)
    whole = samples(23)
    quality = OcclusionQuality(REGIONS, 3, 4, selects=REGIONS)
    for part in (slice(0, 4), slice(4, 23)):  # parts of unequal size: a mean of means would show
        quality.update(*(tensor[part] for tensor in whole), MEAN_FLOW)
    got = {name: value.item() for name, value in quality.summarize().items()}
    logits, flows, label, _ = whole
    truth = label.numpy()
    for index, name in enumerate(conditions(REGIONS)):
        guess = logits[:, index].argmax(dim=1).numpy()
        assert got[f"accuracy_{name}"] == pytest.approx(accuracy_score(truth, guess))
        expected = balanced_accuracy_score(truth, guess)
        assert got[f"balanced_accuracy_{name}"] == pytest.approx(expected)
        expected = f1_score(truth, guess, average="macro")
        assert got[f"f1_macro_{name}"] == pytest.approx(expected)
        if 0 < index < 6:
            # In pixels of a 128x128 grid, of which these flows of 8x8 have a sixteenth.
            expected = 16 * endpoint_error(flows[:, index], flows[:, 0]).item()
            assert got[f"epe_px_{name}"] == pytest.approx(expected, rel=1e-5)
    assert not {"epe_px_clean", "epe_px_clean_baseline", "epe_px_eyes_baseline"} & got.keys()
    expected = 16 * endpoint_error(MEAN_FLOW.expand_as(flows[:, 0]), flows[:, 0]).item()
    assert got["epe_px_mean_flow"] == pytest.approx(expected, rel=1e-5)


def test_means_are_over_the_regions_and_leave_the_clean_faces_out():
    quality = OcclusionQuality(REGIONS, 2, 3, selects=REGIONS)
    label = torch.zeros(4, dtype=torch.long)
    # The class is read right with these probabilities, in the order of the conditions.
    shares = torch.tensor([0.9, 0.8, 0.3, 0.1, 0.6, 0.7, 0.9, 0.2, 0.4])
    logits = torch.stack((shares.log(), (1 - shares).log()), dim=1).expand(4, 9, 2)
    quality.update(logits, torch.zeros(4, 6, 2, 8, 8), label, torch.randn(4, 2, 3), MEAN_FLOW)
    got = quality.summarize()
    assert got["accuracy_occluded"] == 0.5
    assert got["accuracy_reconstructed"] == 1.0
    assert got["accuracy_baseline"] == 0.0
    torch.testing.assert_close(got["confidence_reconstructed"], torch.tensor(0.65))
    one = OcclusionQuality(REGIONS, 2, 3, selects=REGIONS[1:])
    one.update(logits, torch.zeros(4, 6, 2, 8, 8), label, torch.randn(4, 2, 3), MEAN_FLOW)
    torch.testing.assert_close(one.summarize()["confidence_reconstructed"], torch.tensor(0.7))


def test_a_dimension_that_tells_only_the_region_is_not_active():
    quality = OcclusionQuality(REGIONS, 3, 4, selects=REGIONS)
    logits, flows, label, _ = samples(12)
    means = torch.zeros(12, 2, 4)
    means[..., 0] = torch.tensor([-3.0, 3.0])
    means[..., 1] = torch.linspace(-1, 1, 12).unsqueeze(1)
    for part in (slice(0, 5), slice(5, 12)):
        quality.update(logits[part], flows[part], label[part], means[part], MEAN_FLOW)
    assert quality.summarize()["active_units"] == 1


def test_each_summary_starts_anew():
    quality = OcclusionQuality(REGIONS, 3, 4, selects=REGIONS)
    quality.update(*samples(5), MEAN_FLOW)
    quality.summarize()
    later = samples(7)
    quality.update(*later, MEAN_FLOW)
    again = OcclusionQuality(REGIONS, 3, 4, selects=REGIONS)
    again.update(*later, MEAN_FLOW)
    assert quality.summarize() == again.summarize()


def test_a_flow_that_is_not_finite_shows():
    quality = OcclusionQuality(REGIONS, 3, 4, selects=REGIONS)
    logits, flows, label, means = samples(5)
    flows[2, 4] = float("nan")
    quality.update(logits, flows, label, means, MEAN_FLOW)
    assert quality.summarize()["epe_px_eyes_reconstructed"].isnan()

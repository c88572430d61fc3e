"""Tables 1 to 3 of the SSIM-VAE paper, of what cross-validations measured."""

from __future__ import annotations

from collections.abc import Mapping

from experiments.report.markdown import markdown_table

_RESTORED = "_reconstructed"
_BASELINE = "_baseline"


def occlusion_tables(methods: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Lay out accuracies without and with reconstruction, and what it won.

    Args:
        methods: Mean accuracies over folds from 0 to 1 by the names of their measures
            (``accuracy_<region>``, ``accuracy_<region>_reconstructed``, and
            ``accuracy_<region>_baseline`` where there is a baseline), by method.

    Returns:
        Lines of Markdown; none where a method reconstructs no region that all have.

    Reference:
        SSIM-VAE, Tables 1 to 3. The share of the fall that was won back is not in the paper, nor
        is a baseline: a classifier that learned on occluded faces.
    """
    regions = [
        measure
        for measure in next(iter(methods.values()))
        if measure not in ("accuracy", "accuracy_clean")
        and all(
            {"accuracy_clean", measure, f"{measure}{_RESTORED}"} <= method.keys()
            for method in methods.values()
        )
    ]
    if not regions:
        return []
    names = [region.removeprefix("accuracy_") for region in regions]
    without, restored, won = [], [], []
    for method, accuracy in methods.items():
        clean = accuracy["accuracy_clean"]
        before = [accuracy[region] for region in regions]
        after = [accuracy[f"{region}{_RESTORED}"] for region in regions]
        without.append([method, *(f"{100 * value:.1f}" for value in (clean, *before))])
        restored.append([method, *(f"{100 * value:.1f}" for value in after)])
        if all(f"{region}{_BASELINE}" in accuracy for region in regions):
            free = [accuracy[f"{region}{_BASELINE}"] for region in regions]
            restored.append([f"{method}: baseline", *(f"{100 * value:.1f}" for value in free)])
        gains = zip(before, after, strict=True)
        won.append([method, *(_gain(clean, hidden, found) for hidden, found in gains)])
    return [
        "Without reconstruction, % (Table 1):",
        "",
        *markdown_table(["method", "nothing hidden", *names], without),
        "With reconstruction, % (Table 2):",
        "",
        *markdown_table(["method", *names], restored),
        "Won by reconstruction, points and share of the fall (Table 3):",
        "",
        *markdown_table(["method", *names], won),
    ]


def _gain(clean: float, hidden: float, found: float) -> str:
    points = f"{100 * (found - hidden):+.1f}"
    return f"{points} ({(found - hidden) / (clean - hidden):.0%})" if clean > hidden else points

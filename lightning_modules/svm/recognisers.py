"""What a run recognises by support vector machines: fitted, asked and measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn

from datamodules.errors import UserError
from datamodules.labels import ACTION_UNITS
from lightning_modules.metrics.classification import ExpressionScores, UnitScores
from lightning_modules.svm.action_units import LinearSearch
from lightning_modules.svm.classification import KernelSearch
from lightning_modules.svm.data import LabelledPart, shown_units, unit_table
from lightning_modules.svm.modules import (
    FittedArrays,
    LinearMachines,
    SupportVectorClassifier,
    TemperatureScaling,
)
from lightning_modules.svm.scaling import FeatureScaling
from lightning_modules.svm.search import Protocol, StepResults, Trial, best


class _Machines(nn.Module):
    """Fitted machines, and the scaling of the features that they read.

    Args:
        machine: Reads features [B, F], scaled if there is a scaling.
        scaling: None where machines read features as they are.
    """

    def __init__(
        self, machine: SupportVectorClassifier | LinearMachines, scaling: FeatureScaling | None
    ) -> None:
        super().__init__()
        self.scaling = scaling
        self.machine = machine

    def forward(self, features: Tensor) -> Tensor:
        """Return what the machine says of features [B, F] that are not yet scaled."""
        return cast(Tensor, self.machine(self.scale(features)))

    def scale(self, features: Tensor) -> Tensor:
        """Return the features [B, F] that the machine reads, of those that a face has."""
        return features if self.scaling is None else cast(Tensor, self.scaling(features))

    def fill(self, arrays: Mapping[str, Tensor]) -> None:
        """Take over what :func:`fit_once` returned."""
        for part in self._fitted_parts():
            part.fill(arrays)

    def clear(self) -> None:
        """Forget the fit."""
        for part in self._fitted_parts():
            part.clear()

    def _fitted_parts(self) -> list[FittedArrays]:
        return [part for part in self.children() if isinstance(part, FittedArrays)]


class ExpressionRecogniser(_Machines):
    """An RBF machine that names expressions, and the calibration of its scores.

    Args:
        num_classes: Number of classes K.
        scaling: Of the features; None leaves them as they are.
    """

    def __init__(self, num_classes: int, scaling: FeatureScaling | None = None) -> None:
        super().__init__(SupportVectorClassifier(num_classes), scaling)
        self.calibration = TemperatureScaling()
        self.num_classes = num_classes

    def prepare(self, data: Any) -> None:
        """Make the measures of the test lists that a data module has.

        Raises:
            UserError: If it has faces without an expression.
        """
        if getattr(data, "annotated", "expressions") != "expressions":
            raise UserError(
                "data.annotated is action_units, which takes faces without an expression in, but "
                "model.task is emotions: set it to action_units too."
            )
        self.quality = ExpressionScores(self.num_classes, getattr(data, "subset_names", ()))

    def fit(
        self, features: Tensor, faces: LabelledPart, protocol: Protocol, results: StepResults
    ) -> dict[str, Tensor]:
        """Search and fit a machine, from where the results have come.

        Args:
            features: Scaled features of the faces [N, F].
            faces: The training part.
            protocol: How to search.
            results: Where the result of each step is written.

        Returns:
            The arrays that :meth:`fill` takes, but those of the scaling.

        Raises:
            UserError: If no machine can be fitted on them.
        """
        search = KernelSearch(
            features,
            faces.label,
            faces.subject,
            folds=protocol.folds,
            seed=protocol.seed,
            class_weight=protocol.class_weight,
            device=self.machine.fitted.device,
        )

        def note(trials: list[Trial]) -> None:
            results.save("trials", _plain(trials))
            _report(f"SVM, trial {len(trials)} of {protocol.trials}", trials[-1], "accuracy")

        trials = search.search(protocol.trials, _trials(results.load("trials")), note)
        _report("SVM, best", best(trials), "accuracy")
        temperature: Tensor | None = results.load("temperature")
        if temperature is None:
            temperature = search.calibrate(trials)
            results.save("temperature", temperature)
        return {**search.fit(trials), "temperature": temperature}

    def answer(self, features: Tensor) -> dict[str, Tensor]:
        """Return one-vs-rest ``scores`` and ``probabilities`` [B, K] of features [B, F]."""
        scores = self(features)
        return {"scores": scores, "probabilities": self.calibration(scores)}

    def measure(self, features: Tensor, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Answer and count a batch; return what :meth:`answer` does."""
        answers = self.answer(features)
        self.quality.update(answers["scores"], batch["label"], batch.get("subsets"))
        return answers

    def summarize(self, class_names: Sequence[str] | None) -> dict[str, Tensor]:
        """Compute the scalars over all processes, then start anew."""
        return self.quality.summarize(class_names)


class UnitRecogniser(_Machines):
    """A linear machine for each action unit.

    Args:
        scaling: Of the features; None leaves them as they are.
    """

    def __init__(self, scaling: FeatureScaling | None = None) -> None:
        super().__init__(LinearMachines(len(ACTION_UNITS)), scaling)
        self.quality = UnitScores(ACTION_UNITS)

    def prepare(self, data: Any) -> None:
        """Take the classes of a data module, by which units are told where faces have none."""
        self.class_names: Sequence[str] = getattr(data, "class_names", ())

    def fit(
        self, features: Tensor, faces: LabelledPart, protocol: Protocol, results: StepResults
    ) -> dict[str, Tensor]:
        """Search and fit the machines, as :meth:`ExpressionRecogniser.fit` does.

        Raises:
            UserError: If no unit is both present and absent in the training part.
        """
        search = LinearSearch(
            features,
            shown_units(faces, self.class_names),
            faces.subject,
            folds=protocol.folds,
            seed=protocol.seed,
            class_weight=protocol.class_weight,
        )
        names = [f"AU{unit}" for unit in ACTION_UNITS]
        skipped = search.skipped()
        if len(skipped) == len(names):
            raise UserError(
                f"None of the {len(names)} Action Units is both present and absent in the "
                "training part: there is nothing to learn."
            )
        if skipped:
            rank_zero_info(
                "n/a, because all or none of the training faces show it: "
                + ", ".join(names[unit] for unit in skipped)
            )
        tried = [_trials(plain) for plain in results.load("trials") or [[]] * len(names)]
        for unit, name in enumerate(names):
            if unit in skipped:
                continue

            def note(trials: list[Trial], unit: int = unit) -> None:
                tried[unit] = trials
                results.save("trials", [_plain(one) for one in tried])

            tried[unit] = search.search(unit, protocol.trials, tried[unit], note)
            _report(f"SVM of {name}, best", best(tried[unit]), "AUC")
        return search.fit(tried)

    def answer(self, features: Tensor) -> dict[str, Tensor]:
        """Return ``unit_margins`` [B, A] of features [B, F]."""
        return {"unit_margins": self(features)}

    def measure(self, features: Tensor, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Answer and count a batch; return the answers and the true ``action_units`` [B, A]."""
        answers, shown = self.answer(features), batch.get("action_units")
        if shown is None:
            shown = unit_table(self.class_names).to(features.device)[batch["label"]]
        self.quality.update(answers["unit_margins"], shown)
        return {**answers, "action_units": shown}

    def summarize(self, class_names: Sequence[str] | None) -> dict[str, Tensor]:
        """Compute the scalars over all processes, then start anew; classes play no part."""
        return self.quality.summarize()


Recogniser = ExpressionRecogniser | UnitRecogniser


def fit_once(
    recogniser: Recogniser,
    extract: Callable[[], Tensor],
    faces: LabelledPart,
    protocol: Protocol,
    results: StepResults,
) -> dict[str, Tensor]:
    """Extract features, fit scaling and machines, unless an earlier process did before a kill.

    Args:
        recogniser: What to fit.
        extract: Returns the features of the training part [N, F].
        faces: The training part.
        protocol: How to search.
        results: Where the result of each step is written.

    Returns:
        The arrays that the recogniser is filled with.
    """
    arrays: dict[str, Tensor] | None = results.load("machine")
    if arrays is not None:
        return arrays
    features: Tensor | None = results.load("features")
    if features is None:
        features = extract()
        results.save("features", features)
    rank_zero_info(f"SVM: {len(features)} faces of {features.shape[1]} features.")
    # The folds of the search share the statistics, which know no label.
    scaled = {} if recogniser.scaling is None else recogniser.scaling.fit(features)
    arrays = scaled | recogniser.fit(recogniser.scale(features), faces, protocol, results)
    results.save("machine", arrays)
    return arrays


def _plain(trials: list[Trial]) -> list[list[Any]]:
    return [[trial.parameters, trial.score] for trial in trials]


def _trials(plain: Any) -> list[Trial]:
    return [Trial(parameters, score) for parameters, score in plain or []]


def _report(what: str, trial: Trial, measure: str) -> None:
    parameters = ", ".join(f"{name} {value:.3g}" for name, value in trial.parameters.items())
    rank_zero_info(f"{what}: {measure} {trial.score:.3f} in its folds, with {parameters}.")

"""What watches a run: pictures, predictions, tables, records; each file watches one thing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datamodules.lazy import lazy

if TYPE_CHECKING:
    from callbacks.figures.classification import (
        ConfusionMatrix,
        FeatureMap,
        ReliabilityDiagram,
        ROCCurves,
    )
    from callbacks.figures.faces import FacePictures
    from callbacks.figures.flow_pictures import FlowPictures, OcclusionPictures
    from callbacks.figures.generated_samples import GeneratedSamples
    from callbacks.records.feature_export import FeatureExport
    from callbacks.records.predictions import Predictions
    from callbacks.records.run_record import RunRecord
    from callbacks.tables.frontalization import FrontalizationTable
    from callbacks.tables.occlusion import OcclusionTable
    from callbacks.tables.scores import ScoreTable
    from callbacks.training.acceleration import Acceleration
    from callbacks.training.nan_guard import NaNGuard
    from callbacks.training.step_seed import StepSeed
    from callbacks.training.weight_average import WeightAverage

__all__ = [
    "Acceleration",
    "ConfusionMatrix",
    "FacePictures",
    "FeatureExport",
    "FeatureMap",
    "FlowPictures",
    "FrontalizationTable",
    "GeneratedSamples",
    "NaNGuard",
    "OcclusionPictures",
    "OcclusionTable",
    "Predictions",
    "ROCCurves",
    "ReliabilityDiagram",
    "RunRecord",
    "ScoreTable",
    "StepSeed",
    "WeightAverage",
]

__getattr__ = lazy(__name__, __file__)

"""What watches a run: pictures, predictions, tables, records; each file watches one thing."""

from __future__ import annotations

from callbacks.acceleration import Acceleration
from callbacks.confusion_matrix import ConfusionMatrix
from callbacks.face_pictures import FacePictures
from callbacks.feature_export import FeatureExport
from callbacks.feature_map import FeatureMap
from callbacks.flow_pictures import FlowPictures
from callbacks.frontalization_table import FrontalizationTable
from callbacks.generated_samples import GeneratedSamples
from callbacks.nan_guard import NaNGuard
from callbacks.occlusion_pictures import OcclusionPictures
from callbacks.occlusion_table import OcclusionTable
from callbacks.predictions import Predictions
from callbacks.reliability_diagram import ReliabilityDiagram
from callbacks.roc_curves import ROCCurves
from callbacks.run_record import RunRecord
from callbacks.score_table import ScoreTable
from callbacks.step_seed import StepSeed
from callbacks.unit_predictions import UnitPredictions
from callbacks.weight_average import WeightAverage

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
    "UnitPredictions",
    "WeightAverage",
]

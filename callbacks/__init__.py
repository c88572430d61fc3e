"""What watches a run: pictures, predictions, tables, records; each file watches one thing."""

from __future__ import annotations

from callbacks.acceleration import Acceleration
from callbacks.flow_pictures import FlowPictures
from callbacks.frontalization_table import FrontalizationTable
from callbacks.nan_guard import NaNGuard
from callbacks.occlusion_pictures import OcclusionPictures
from callbacks.occlusion_table import OcclusionTable
from callbacks.predictions import Predictions
from callbacks.run_record import RunRecord
from callbacks.step_seed import StepSeed

__all__ = [
    "Acceleration",
    "FlowPictures",
    "FrontalizationTable",
    "NaNGuard",
    "OcclusionPictures",
    "OcclusionTable",
    "Predictions",
    "RunRecord",
    "StepSeed",
]

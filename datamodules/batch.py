"""The batches as they reach the methods: keys, shapes, units and ranges, said once.

Axis letters: B batch, C channels, H height, W width, K classes, A Action Units.
A flow is in pixels of its own H x W grid; its channel 0 points right and its channel 1 down. An
image is RGB in [0, 1].
"""

from __future__ import annotations

from typing import TypedDict

import torch
from torch import Tensor
from typing_extensions import NotRequired

REFERENCE_SIDE = 128
"""Side, in pixels, of the grid in whose pixels clips and errors are given at every size."""


def mirror_flow(flow: Tensor) -> Tensor:
    """Return what flows [..., 2, H, W] are in a mirror: what moved right moves left."""
    right, down = flow.flip(-1).unbind(-3)
    return torch.stack((-right, down), -3)


def send(host: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor from the host to a device without waiting for what the device has to do yet."""
    # From memory that is not pinned, a copy waits.
    pinned = host.pin_memory() if device.type == "cuda" else host
    return pinned.to(device, non_blocking=True)


class FlowBatch(TypedDict):
    """Optical flows of labelled faces.

    Attributes:
        flow: float32 [B, 2, H, W] in pixels.
        label: int64 [B], class index of the expression.
        subject: int64 [B], index of the person.
        sample_id: int64 [B], row of the sample in the index of its data set.
        subsets: bool [B, S], which of the data module's `subset_names` a sample is in, such as the
            movements of the head; in test batches only, where the data say so.
    """

    flow: Tensor
    label: Tensor
    subject: Tensor
    sample_id: Tensor
    subsets: NotRequired[Tensor]


class OccludedFlowBatch(FlowBatch):
    """Flows of whole faces beside those of the same faces under every occlusion of a run.

    Axis letter: R occlusions, in the order of the data module's ``regions``. A sample comes once
    with all of its occlusions, so that it counts once in every condition.

    Attributes:
        occluded_flow: float32 [B, R, 2, H, W] in pixels; the boxes were drawn on the frames.
        occluded_face: float32 [B, R, 3, H, W] in [0, 1], the frame at which the flow ends; not in
            training.
    """

    occluded_flow: Tensor
    occluded_face: Tensor


class PosedFlowBatch(FlowBatch):
    """Frontal flows beside the flows of the same moments seen with head motion.

    Attributes:
        posed_flow: float32 [B, 2, H, W] in pixels, from the camera that sees the head move;
            `flow` is from the one that sees the face from the front.
        neutral: float32 [B, 3, H, W], the frontal frame at which the flow starts.
        apex: float32 [B, 3, H, W], the frontal frame at which it ends.
        is_neutral_apex: bool [B], true where those are a neutral face and the apex of its
            expression, false for a pair of frames in between. It stays on the host: a step that
            branched on values of the device would wait for it.
        registered_flow: float32 [B, 2, H, W] in pixels, the flow after a classical registration
            of the posed frames, by their correlation (ECC); in test batches only.
        feature_registered_flow: The same by keypoints (SIFT).
        posed_apex: float32 [B, 3, H, W], the frame of the moving head at which `posed_flow` ends;
            in test batches only.
        rival_flow_<name>: float32 [B, 2, H, W] in pixels, the flow between the frames that another
            method frontalised, of each of the data module's `rivals`; in test batches only. NaN
            where data sets are mixed and that of a sample has none.
        rival_apex_<name>: float32 [B, 3, H, W], the frame at which it ends.
    """

    posed_flow: Tensor
    neutral: Tensor
    apex: Tensor
    is_neutral_apex: Tensor
    registered_flow: NotRequired[Tensor]
    feature_registered_flow: NotRequired[Tensor]
    posed_apex: NotRequired[Tensor]


class SequenceBatch(TypedDict):
    """Pairs of frames of recordings that have neither label nor frontal camera.

    Attributes:
        posed_flow: float32 [B, 2, H, W] in pixels, from the neutral frame of the recording.
        neutral: float32 [B, 3, H, W], the neutral frame.
        apex: float32 [B, 3, H, W], the frame at which the flow ends.
        frame: int64 [B], index from 0 of the frame at which the flow ends.
        seconds: B times of these frames; NaN where the recording does not say.
        track: B numbers of the person in the recording.
        box: int64 [B, 4], what was cut out of the frames: x, y, width, height in their pixels.
        sequence: B names of recordings.
        sample_id: int64 [B], running number of the pair.
    """

    posed_flow: Tensor
    neutral: Tensor
    apex: Tensor
    frame: Tensor
    seconds: list[float]
    track: list[int]
    box: Tensor
    sequence: list[str]
    sample_id: Tensor


class FaceBatch(TypedDict):
    """Still images of labelled faces.

    Attributes:
        image: float32 [B, 3, H, W]; a grey image has three equal channels, which may share
            memory: write into a copy.
        label: int64 [B], class index of the expression; -1 for an image without one, which comes
            in training only and only where a run asks for such images.
        sample_id: int64 [B], row of the image in the index of its data set.
        votes: float32 [B, K], share of the raters who chose each class; rows sum to 1, to 0 for
            images without a label.
        action_units: float32 [B, A], 1 where an Action Unit of `labels.ACTION_UNITS` is present,
            else 0.
        subsets: bool [B, S], which of the data module's `subset_names` an image is in; in test
            batches only.
    """

    image: Tensor
    label: Tensor
    sample_id: Tensor
    votes: NotRequired[Tensor]
    action_units: NotRequired[Tensor]
    subsets: NotRequired[Tensor]


class FaceInputBatch(TypedDict):
    """Faces found in images and videos that nobody labelled.

    Attributes:
        image: float32 [B, 3, H, W].
        sample_id: int64 [B], running number of the face.
        source: B names of image or video files, below the input.
        frame: int64 [B], index from 0 of the frame; 0 for a still image.
        seconds: B times of the frames; NaN where nobody knows.
        track: B numbers of the people of the source, from 1; one person, one number while in sight.
        box: int64 [B, 4], what was cut out of the picture: x, y, width, height in its pixels; it
            may stick out of it.
    """

    image: Tensor
    sample_id: Tensor
    source: list[str]
    frame: Tensor
    seconds: list[float]
    track: list[int]
    box: Tensor

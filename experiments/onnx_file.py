"""Writing a network as ONNX, and comparing the file with the network."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

INSTALL = "Export needs onnx, onnxscript and onnxruntime: pip install 'fer-lightning[export]'."


def eliminate(matrix: Tensor, right: Tensor) -> Tensor:
    """Solve small systems by elimination, in operations that ONNX has.

    Args:
        matrix: Symmetric and positive definite [B, N, N], such as normal equations: without
            exchange of rows, other matrices may divide by 0.
        right: [B, N, M].

    Returns:
        [B, N, M], what ``matrix`` turns into ``right``.
    """
    size = matrix.shape[-1]
    rows = torch.cat((matrix, right), dim=-1)  # (B, N, N + M)
    for index, unit in enumerate(torch.eye(size, dtype=matrix.dtype).unbind()):
        pivot = rows[:, index : index + 1] / rows[:, index : index + 1, index : index + 1]
        rows = rows - (rows[:, :, index : index + 1] - unit.unsqueeze(1)) * pivot
    return rows[:, :, size:]


# ONNX has no operation that solves equations.
_DECOMPOSITIONS = {torch.ops.aten.linalg_solve.default: eliminate}


def save_onnx(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    path: Path,
    *,
    outputs: Sequence[str],
    metadata: Mapping[str, str],
) -> None:
    """Write a network as one ONNX file for any number of samples.

    Args:
        model: The network, in evaluation mode.
        inputs: An example of each input by its name; the first axis is the batch.
        path: Where the file goes.
        outputs: Names of the outputs.
        metadata: What to write into the file, by key.
    """
    # One name for all inputs: they have as many samples as each other.
    batch = torch.export.Dim("batch")
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # Of the exporter's own code between torch 2.13 and onnxscript.
            warnings.simplefilter("ignore")
            traced = torch.export.export(
                model,
                tuple(inputs.values()),
                dynamic_shapes=tuple({0: batch} for _ in inputs),
            )
            program = torch.onnx.export(
                traced.run_decompositions(_DECOMPOSITIONS),
                input_names=list(inputs),
                output_names=list(outputs),
                dynamo=True,
                verbose=False,
            )
    finally:
        exporter.setLevel(level)
    if program is None:
        raise RuntimeError("torch.onnx.export returned nothing.")
    program.model.metadata_props.update(metadata)
    program.save(path, external_data=False)


def largest_difference(
    model: nn.Module, batches: Iterable[Mapping[str, Tensor]], path: Path
) -> float:
    """Compare what a network and its file answer.

    Args:
        model: The network, on the CPU, in evaluation mode.
        batches: Inputs by name.
        path: The file.

    Returns:
        The largest difference of any output, relative to the largest magnitude of that output, or
        to 1 where that is less; infinite where one answers with a number and the other does not.
    """
    runtime: Any = importlib.import_module("onnxruntime")  # an extra, so perhaps not there
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    largest = 0.0
    for batch in batches:
        with torch.no_grad():
            answer = model(*batch.values())
        expected = (answer,) if isinstance(answer, Tensor) else tuple(answer)
        given = session.run(None, {name: value.numpy() for name, value in batch.items()})
        for ours, theirs in zip(expected, map(torch.from_numpy, given), strict=True):
            if ours.shape != theirs.shape or not (ours.isfinite() & theirs.isfinite()).all():
                return float("inf")
            scale = max(1.0, float(ours.abs().max()))
            largest = max(largest, float((ours - theirs).abs().max()) / scale)
    return largest

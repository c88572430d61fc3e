"""`lightning export`: a trained method as one ONNX file that says what it reads and tells."""

from __future__ import annotations

import importlib.util
import inspect
import json
import logging
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.nn import functional

from callbacks.records.source import source_state
from datamodules.base import FERDataModule
from datamodules.detectors import HaarCascade
from datamodules.inputs.given import given_frames
from datamodules.inputs.reading import FoundInput, InputOptions
from datamodules.inputs.report import InputReport
from datamodules.recordings import FrameArrays
from datamodules.store.replacing import replacing
from datamodules.synthetic import Frame, HeadPose
from datamodules.synthetic.people import cast as cast_person
from experiments.command.console import say
from experiments.command.errors import CommandError, usage_error
from experiments.command.usage import no_export
from experiments.export_arguments import parse
from experiments.recognition.checkpoint import load_data, load_model
from experiments.recognition.onnx_file import inputs_of, saved_reading
from lightning_modules.networks.weights import read_checkpoint
from lightning_modules.onnx_runtime import open_session

_NEEDED = ("onnx", "onnxruntime", "onnxscript")
_INSTALL = "Export needs onnx, onnxscript and onnxruntime: pip install 'fer-lightning[export]'."
# Of the largest value of an output, and of 1 where that is less: sums in another order differ.
_TOLERANCE = 1e-3
_LICENSE = "Apache-2.0 (the code; weights are under the terms of the training data too)"
_FLOW = "float32 [batch, 2, H, W] in pixels of this grid; channel 0 points right and 1 down"
_IMAGE = "float32 [batch, 3, H, W] {} in [0, 1]; further normalisation is inside the model"


def export(args: Sequence[str]) -> None:
    """Run `lightning export`.

    Raises:
        CommandError: If the method cannot be exported, or the file would answer otherwise.
    """
    options = parse(args)
    checkpoint_path: Path = options.ckpt_path
    output: Path = options.output or checkpoint_path.with_suffix(".onnx")
    _check_paths(checkpoint_path, output)
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        raise CommandError(_INSTALL)
    checkpoint = read_checkpoint(checkpoint_path)
    if "config" not in checkpoint:
        raise CommandError(
            f"The checkpoint {checkpoint_path} says nothing of its config, so its method is not "
            "known: export one that lightning fit wrote."
        )
    method, data = load_model(checkpoint), load_data(checkpoint)
    model = exportable(method)
    names = input_names(model)
    random = random_inputs(model, names, batch=3)
    samples = {"random inputs": [random, {name: value[:1] for name, value in random.items()}]}
    if isinstance(data, FERDataModule):
        what = "drawn faces" if options.check_on is None else str(options.check_on)
        samples[what] = [read_inputs(data, names, options.check_on)]
    with replacing(output) as aside:
        save_onnx(
            model,
            random,
            aside,
            outputs=getattr(model, "output_names", ("logits",)),
            metadata=describe(checkpoint, data, method, names, random),
        )
        checked = {
            what: largest_difference(model, batches, aside) for what, batches in samples.items()
        }
        for what, difference in checked.items():
            if not difference <= _TOLERANCE:  # not a number is no agreement either
                raise CommandError(
                    f"On {what} the ONNX file differs from PyTorch by {difference:.1e} of its "
                    f"largest value, more than {_TOLERANCE:.0e}: {output} was not written."
                )
    for what, difference in checked.items():
        say(f"Largest difference to PyTorch on {what}: {difference:.1e} of the largest value.")
    print(output, flush=True)


def exportable(method: pl.LightningModule) -> nn.Module:
    """Return what of a method is exported: itself, unless it says otherwise."""
    made = getattr(method, "exportable", None)
    return method if made is None else cast(nn.Module, made())


def input_names(model: nn.Module) -> list[str]:
    """Name the inputs of a method: the arguments of its forward, which are keys of its batches.

    Raises:
        CommandError: If the method gives no example of what it reads.
    """
    names = list(inspect.signature(model.forward).parameters)
    return names[: len(_example(model))]


def random_inputs(model: nn.Module, names: Sequence[str], batch: int) -> dict[str, Tensor]:
    """Draw flows of some pixels and images in [0, 1], by name, the same at every call."""
    generator = torch.Generator().manual_seed(0)
    drawn = {}
    for name, example in zip(names, _example(model), strict=True):
        channels, height, width = example.shape[1:]
        # Smooth as real ones are: to fit a head motion to white noise is no stable problem.
        coarse = torch.randn(batch, channels, 4, 4, generator=generator)
        smooth = functional.interpolate(coarse, (height, width), mode="bilinear")
        drawn[name] = 2 * smooth if name.endswith("flow") else smooth.sigmoid()
    return drawn


def describe(
    checkpoint: Mapping[str, Any],
    data: pl.LightningDataModule,
    model: pl.LightningModule,
    names: Sequence[str],
    inputs: Mapping[str, Tensor],
) -> dict[str, str]:
    """Say what the file is, for who has nothing but the file.

    Returns:
        Metadata: ``method``, ``class_names`` (JSON, in the order of the logits), ``input_size``
        (JSON, [H, W]), ``inputs`` (JSON, what each is), ``preprocessing`` (JSON, in words what
        predict does to a picture before it is an input), ``reading`` (JSON, the same for
        `onnx_file.reading_of`), ``detector``, ``margin`` and ``flow`` of it, ``trained_on``, the
        source of the training data, ``synthetic``, whether these were drawn faces, ``commit`` of
        the code that exported it, and ``license`` of the code.
    """
    preprocessing: dict[str, Any] = {}
    reading: dict[str, Any] = {}
    if isinstance(data, FERDataModule):
        preprocessing = data.preprocessing()
        reading = saved_reading(data.reading())
        clip = checkpoint["config"]["model"].get("init_args", {}).get("clip")
        preprocessing |= {} if clip is None else {"clip_px": clip}  # of a 128x128 grid, in the file
    colour = preprocessing.get("colour", "RGB")
    source = getattr(data, "trained_on", "") or getattr(data, "source", "unknown")
    git = source_state() or {}
    return {
        "method": type(model).__name__,
        "class_names": json.dumps(
            list(checkpoint.get("class_names", getattr(data, "class_names", ())))
        ),
        "input_size": json.dumps(list(inputs[names[0]].shape[-2:])),
        "inputs": json.dumps(
            {name: _FLOW if name.endswith("flow") else _IMAGE.format(colour) for name in names}
        ),
        "preprocessing": json.dumps(preprocessing),
        "reading": json.dumps(reading),
        "detector": HaarCascade.name if preprocessing.get("margin") else "none",
        "margin": json.dumps(preprocessing.get("margin")),
        "flow": str(preprocessing.get("flow", "none")),
        "trained_on": source,
        "synthetic": json.dumps(source == "synthetic"),
        "commit": f"{git.get('commit', 'unknown')}{' (changed)' if git.get('dirty') else ''}",
        "license": _LICENSE,
    }


def _check_paths(checkpoint: Path, output: Path) -> None:
    if not checkpoint.is_file():
        raise CommandError(no_export(checkpoint))
    if output.suffix != ".onnx":
        raise usage_error(f"export: --output must end in .onnx, but is {output}.")
    if not output.parent.is_dir():
        raise CommandError(f"The folder {output.parent} does not exist: make it first.")


def _example(model: nn.Module) -> tuple[Tensor, ...]:
    example = getattr(model, "example_input_array", None)
    if isinstance(example, Tensor):
        return (example,)
    if not isinstance(example, tuple):
        raise CommandError(
            f"{type(model).__name__} cannot be exported: it has no example_input_array, which "
            "says what its forward reads."
        )
    return example


def read_inputs(
    data: FERDataModule, names: Sequence[str], folder: Path | None
) -> dict[str, Tensor]:
    """Read inputs as a prediction does, a batch of them.

    Args:
        data: The data module of the checkpoint.
        names: Of the inputs.
        folder: Pictures or recordings; None for a drawn recording.

    Raises:
        CommandError: If no face or motion is found in it.
    """
    options, report = InputOptions(batch_size=8), InputReport()
    found = FoundInput(folder or draw_film(), data.reading(), options, report)
    batch = next(found.batches(), None)
    if batch is None:
        raise CommandError(f"No face was found in {folder}, so the file cannot be checked on it.")
    return {name: torch.from_numpy(value) for name, value in inputs_of(batch, names).items()}


def draw_film(frames: int = 3) -> FrameArrays:
    """Draw a person who becomes happy, the same at every call."""
    model, light = cast_person(0, 0, 0, Frame.square(320))
    happy: dict[int | str, float] = {6: 1.0, 12: 1.0}  # by action units
    pictures = []
    for index in range(frames):
        units = {unit: strength * index / (frames - 1) for unit, strength in happy.items()}
        drawn = model.picture(model.express(units), HeadPose(), light)
        pictures.append(drawn.image)
    return given_frames(pictures)


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
                model, tuple(inputs.values()), dynamic_shapes=tuple({0: batch} for _ in inputs)
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
    _name_batch(program.model.graph)
    program.model.metadata_props.update(metadata)
    program.save(path, external_data=False)


def _name_batch(graph: Any) -> None:
    """Call the axis of the samples ``batch``, which the exporter calls by a number of its own."""
    for node in graph:
        for value in node.outputs:
            if value not in graph.outputs:
                value.shape = None  # a runtime infers these; some of the exporter's are wrong
    for value in (*graph.inputs, *graph.outputs):
        value.shape[0] = "batch"


def largest_difference(
    model: nn.Module, batches: Iterable[Mapping[str, Tensor]], path: Path
) -> float:
    """Compare what a network, on the CPU and in evaluation mode, and its file answer.

    Returns:
        The largest difference of any output, relative to the largest magnitude of that output, or
        to 1 where that is less; infinite where one answers with a number and the other does not,
        or none does.
    """
    session = open_session(path)
    largest = 0.0
    for batch in batches:
        with torch.no_grad():
            answer = model(*batch.values())
        expected = (answer,) if isinstance(answer, Tensor) else tuple(answer)
        given = session.run(None, {name: value.numpy() for name, value in batch.items()})
        for ours, theirs in zip(expected, map(torch.from_numpy, given), strict=True):
            if ours.shape != theirs.shape:
                return float("inf")
            known = ours.isfinite()  # an action unit without a machine has NaN
            if not known.any() or not torch.equal(known, theirs.isfinite()):
                return float("inf")
            ours, theirs = ours[known], theirs[known]
            scale = max(1.0, float(ours.abs().max()))
            largest = max(largest, float((ours - theirs).abs().max()) / scale)
    return largest

"""`lightning export`: a trained method as one ONNX file that says what it reads and tells."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import logging
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from jsonargparse import ArgumentParser
from torch import Tensor, nn
from torch.nn import functional

from datamodules.base import FERDataModule
from datamodules.errors import DatasetError
from datamodules.store.replacing import replacing
from experiments.command.console import say
from experiments.command.errors import CommandError, usage_error
from experiments.command.privacy import is_path
from experiments.command.usage import no_export
from experiments.export_arguments import parse
from lightning_modules.networks.weights import read_checkpoint

_NEEDED = ("onnx", "onnxruntime", "onnxscript")
_INSTALL = "Export needs onnx, onnxscript and onnxruntime: pip install 'fer-lightning[export]'."
# Of the largest value of an output, and of 1 where that is less: sums in another order differ.
_TOLERANCE = 1e-3
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
    model = _load_model(checkpoint)
    spec = checkpoint["config"]["data"]
    given = {"root": options.root, "cache_dir": options.cache_dir}
    data = _build(pl.LightningDataModule, _without_paths(spec, **given))
    names = input_names(model)
    random = random_inputs(model, names, batch=3)
    outputs = getattr(model, "output_names", ("logits",))
    if options.root is None and (root := spec.get("init_args", {}).get("root")) is not None:
        real, why = None, f"its data were at {root}; give --data.root to read them."
    else:
        real, why = _real_inputs(data, names)
    with replacing(output) as aside:
        save_onnx(
            model,
            random,
            aside,
            outputs=outputs,
            metadata=describe(checkpoint, data, model, names, random),
        )
        # Another number of samples than it was traced with.
        single = {name: value[:1] for name, value in random.items()}
        checked = {"random inputs": largest_difference(model, [random, single], aside)}
        if real is not None:
            checked["real inputs"] = largest_difference(model, [real], aside)
        for what, difference in checked.items():
            if not difference <= _TOLERANCE:  # not a number is no agreement either
                raise CommandError(
                    f"On {what} the ONNX file differs from PyTorch by {difference:.1e} of its "
                    f"largest value, more than {_TOLERANCE:.0e}: {output} was not written."
                )
    for what, difference in checked.items():
        say(f"Largest difference to PyTorch on {what}: {difference:.1e} of the largest value.")
    if real is None:
        say(f"It was not checked on real inputs: {why}")
    print(output, flush=True)


def input_names(model: pl.LightningModule) -> list[str]:
    """Name the inputs of a method: the arguments of its forward, which are keys of its batches.

    Raises:
        CommandError: If the method gives no example of what it reads.
    """
    names = list(inspect.signature(model.forward).parameters)
    return names[: len(_example(model))]


def random_inputs(model: pl.LightningModule, names: Sequence[str], batch: int) -> dict[str, Tensor]:
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
        (JSON, [H, W]), ``inputs`` (JSON, what each is), ``preprocessing`` (JSON, what predict does
        to a picture before it is an input) and ``source`` of the training data.
    """
    saved: dict[str, Any] = checkpoint.get(type(data).__qualname__, {})
    preprocessing = {}
    if isinstance(data, FERDataModule):
        if saved:
            data.show_as_trained(saved)
        preprocessing = data.preprocessing()
        clip = checkpoint["config"]["model"].get("init_args", {}).get("clip")
        preprocessing |= {} if clip is None else {"clip_px": clip}  # of a 128x128 grid, in the file
    colour = preprocessing.get("colour", "RGB")
    return {
        "method": type(model).__name__,
        "class_names": json.dumps(list(getattr(data, "class_names", ()))),
        "input_size": json.dumps(list(inputs[names[0]].shape[-2:])),
        "inputs": json.dumps(
            {name: _FLOW if name.endswith("flow") else _IMAGE.format(colour) for name in names}
        ),
        "preprocessing": json.dumps(preprocessing),
        "source": str(saved.get("source", getattr(data, "source", "unknown"))),
    }


def _check_paths(checkpoint: Path, output: Path) -> None:
    if not checkpoint.is_file():
        raise CommandError(no_export(checkpoint))
    if output.suffix != ".onnx":
        raise usage_error(f"export: --output must end in .onnx, but is {output}.")
    if not output.parent.is_dir():
        raise CommandError(f"The folder {output.parent} does not exist: make it first.")


def _example(model: pl.LightningModule) -> tuple[Tensor, ...]:
    example = model.example_input_array
    if isinstance(example, Tensor):
        return (example,)
    if not isinstance(example, tuple):
        raise CommandError(
            f"{type(model).__name__} cannot be exported: it has no example_input_array, which "
            "says what its forward reads."
        )
    return example


def _load_model(checkpoint: dict[str, Any]) -> pl.LightningModule:
    spec = checkpoint["config"]["model"]
    # Optimizers and schedulers train; they are left at their defaults.
    arguments = {
        name: value
        for name, value in spec.get("init_args", {}).items()
        if not (isinstance(value, Mapping) and "class_path" in value)
    }
    built = _without_paths({"class_path": spec["class_path"], "init_args": arguments})
    model: pl.LightningModule = _build(pl.LightningModule, built)
    model.on_load_checkpoint(checkpoint)
    model.load_state_dict(checkpoint["state_dict"])
    return model.eval()


def _without_paths(spec: Mapping[str, Any], **given: str | None) -> dict[str, Any]:
    """Leave out of a class and its arguments what names something on this machine.

    Args:
        spec: The class and its arguments.
        **given: What a person gives in place of it; None for nothing.
    """
    kept = {
        k: v for k, v in spec.get("init_args", {}).items() if not is_path(k, v) and k not in given
    }
    told = {name: value for name, value in given.items() if value is not None}
    return {"class_path": spec["class_path"], "init_args": {**kept, **told}}


def _build(base: type, spec: Mapping[str, Any]) -> Any:
    """Make an object of the class and arguments that a config names."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(base, "made")
    return parser.instantiate_classes(parser.parse_object({"made": dict(spec)})).made


def _real_inputs(
    data: pl.LightningDataModule, names: Sequence[str]
) -> tuple[dict[str, Tensor] | None, str]:
    """Take a validation batch of the cache, or say why there is none."""
    try:
        data.prepare_data()
        data.setup("validate")
        batch: Any = next(iter(data.val_dataloader()), None)
    except (DatasetError, OSError) as error:
        return None, " ".join(str(error).split())
    if batch is None:
        return None, "its data have no validation part."
    batch = data.on_after_batch_transfer(batch, 0)
    return {name: batch[name][:8] for name in names}, ""


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
    """Compare what a network, on the CPU and in evaluation mode, and its file answer.

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

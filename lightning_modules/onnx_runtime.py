"""Opens ONNX files; nothing here needs torch."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from datamodules.errors import UserError


def open_session(path: Path) -> Any:
    """Open a network in an ONNX file, on the CPU.

    Args:
        path: The file.

    Returns:
        onnxruntime's session.

    Raises:
        UserError: If there is no such file, it is damaged, or onnxruntime is missing.
    """
    if not path.is_file():
        raise UserError(f"The ONNX file {path} does not exist.")
    try:
        runtime: Any = importlib.import_module("onnxruntime")  # an extra, so perhaps not there
    except ImportError as error:
        raise UserError("ONNX files need onnxruntime: pip install onnxruntime.") from error
    try:
        return runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # of a module that is not imported here
        raise UserError(f"{path} is no ONNX file that onnxruntime reads.") from error

"""A trained method asked from Python: `Recognizer`, of a checkpoint or an ONNX file."""

from experiments.recognition.recognizer import Recognizer

__all__ = ["Recognizer"]

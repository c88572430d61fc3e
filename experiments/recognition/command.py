"""`lightning predict --onnx`: rows of an input from an ONNX file alone. Without torch."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from callbacks.records.rows import append_rows
from datamodules.errors import DatasetError, printable
from datamodules.input_report import InputReport
from datamodules.inputs import Input, folder_name, given_input
from datamodules.live import LiveStream
from datamodules.smoothing import DEFAULT_SECONDS
from datamodules.store.replacing import replacing
from experiments.command.arguments import CommandParser, positive
from experiments.command.errors import CommandError, usage_error
from experiments.command.usage import translate
from experiments.recognition.recognizer import Recognizer

_EVERY_SECONDS = 15.0  # between two lines of progress


def predict(args: Sequence[str]) -> None:
    """Run `lightning predict --onnx`.

    Writes ``predict/<input>/predictions.csv`` below ``--output``, with the rows that the
    checkpoint would give.

    Raises:
        CommandError: If something of the command line or the input cannot be used.
    """
    parser = CommandParser(
        prog="lightning predict",
        allow_abbrev=False,
        description="Predict the expressions of pictures, videos or folders by an ONNX file.",
    )
    parser.add_argument("--onnx", type=Path, required=True, help="File of lightning export.")
    parser.add_argument("--data.input", dest="input", required=True, help="See lightning predict.")
    parser.add_argument(
        "--data.every", dest="every", type=positive, default=1, help="Every n-th frame; or --every."
    )
    parser.add_argument("--data.detector", dest="detector", help="haar, or YuNet's ONNX file.")
    parser.add_argument("--data.neutral", dest="neutral", help="Neutral frame's number, or a face.")
    parser.add_argument("--data.smoothing", dest="smoothing", type=float, default=DEFAULT_SECONDS)
    parser.add_argument("--data.batch_size", dest="batch_size", type=positive, default=16)
    parser.add_argument(
        "--data.on_bad_sample", dest="on_bad_sample", choices=("raise", "skip"), default="raise"
    )
    parser.add_argument("--output", type=Path, help="Folder; default: that of the ONNX file.")
    options = parser.parse_args(translate(args))
    given = given_input(options.input)
    if given is None:
        raise usage_error("predict: --data.input is empty.")
    recognizer = Recognizer.load(
        options.onnx,
        every=options.every,
        detector=options.detector,
        neutral=options.neutral,
        smoothing=options.smoothing,
        batch_size=options.batch_size,
    )
    folder = (options.output or options.onnx.parent) / "predict" / folder_name(given)
    path = folder / "predictions.csv"
    folder.mkdir(parents=True, exist_ok=True)
    report = InputReport()
    if isinstance(given, LiveStream):  # its rows are there as they come, for who watches them
        path.unlink(missing_ok=True)
        _write(recognizer, given, path, report)
    else:
        with replacing(path) as aside:
            _write(recognizer, given, aside, report)
            if not report.answers:
                report.close(options.on_bad_sample)
                raise DatasetError("Nothing is answered: the input has no frame to answer.")
    report.close(options.on_bad_sample)
    print(path, flush=True)


def _write(recognizer: Recognizer, given: Input, path: Path, report: InputReport) -> None:
    """Write the rows as they come, and say now and then how far it is."""
    said = time.monotonic()
    path.touch()
    try:
        for columns in recognizer.columns(given, report):
            append_rows(path, columns)
            if time.monotonic() - said >= _EVERY_SECONDS:
                said = time.monotonic()
                print(printable(f"predict: {report.progress()}"), file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        raise CommandError("Stopped before the end of the input.", 128 + signal.SIGINT) from None

"""`lightning predict --onnx`: an input answered by an ONNX file alone. Without torch."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from callbacks.records.rows import append_rows
from datamodules.errors import DatasetError, printable
from datamodules.inputs.given import Input, folder_name, given_input
from datamodules.inputs.live import LiveStream
from datamodules.inputs.report import InputReport
from datamodules.inputs.smoothing import DEFAULT_SECONDS
from datamodules.store.replacing import replacing
from experiments.command.arguments import CommandParser, positive
from experiments.command.errors import CommandError, close_match, usage_error
from experiments.command.usage import translate
from experiments.recognition.onnx_file import OnnxMethod
from experiments.recognition.recognizer import Recognizer

_EVERY_SECONDS = 15.0  # between two lines of progress


def predict(args: Sequence[str]) -> None:
    """Run `lightning predict --onnx`.

    Writes ``predict/<input>/predictions.csv`` below ``--output``, with the rows that the
    checkpoint would give, and the pictures of `drawing.draw_answers` beside it.

    Raises:
        CommandError: If something of the command line or the input cannot be used.
    """
    options = _parse(translate(args))
    given = given_input(options.input)
    if given is None:
        raise usage_error("predict --onnx needs an input: add --data.input clip.mp4.")
    method = OnnxMethod(options.onnx)
    recognizer = Recognizer(
        method,
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
    if report.answers:
        # Only here: Matplotlib takes a second to import, for which no wrong option should wait.
        from experiments.recognition.drawing import draw_answers

        draw_answers(
            recognizer,
            given,
            path,
            method=method.metadata["method"],
            annotated=options.annotated,
            timeline=options.timeline,
        )
    report.close(options.on_bad_sample)
    print(path, flush=True)


def _parse(args: Sequence[str]) -> argparse.Namespace:
    parser = CommandParser(
        "predict",
        usage="lightning predict --onnx FILE --data.input INPUT [--KEY VALUE ...]",
        description="Predict the expressions of pictures, films, cameras and streams by an ONNX "
        "file of lightning export, which says itself how its inputs are read. Beside "
        "predictions.csv go, of each film, the film with boxes and answers and a timeline, and "
        "each picture with its faces; heat maps and animated faces need the checkpoint.",
    )
    parser.add_argument("--onnx", metavar="FILE", type=Path, help="File of lightning export.")
    parser.add_argument(
        "--data.input",
        dest="input",
        metavar="INPUT",
        help="A picture, a film, a folder of such, the number of a camera, or the address of a "
        "stream (rtsp://, http://), which is read until Ctrl-C.",
    )
    parser.add_argument(
        "--data.every",
        "--every",
        dest="every",
        metavar="N",
        type=positive,
        default=1,
        help="Of films and streams look at every N-th frame.",
    )
    parser.add_argument(
        "--data.detector",
        dest="detector",
        metavar="HAAR_OR_FILE",
        help="haar, or YuNet's ONNX file; default: FER_LIGHTNING_YUNET, else haar.",
    )
    parser.add_argument(
        "--data.neutral",
        dest="neutral",
        metavar="FRAME_OR_FILE",
        help="Of methods that see motion: number of the neutral frame, from 0, or a picture of the "
        "neutral face; default: the first frame.",
    )
    parser.add_argument(
        "--data.smoothing",
        "--smoothing",
        dest="smoothing",
        metavar="SECONDS",
        type=float,
        default=DEFAULT_SECONDS,
        help="Time constant of the smoothed probabilities, 0 for none; default: %(default)s.",
    )
    parser.add_argument(
        "--data.batch_size",
        dest="batch_size",
        metavar="N",
        type=positive,
        default=16,
        help="Faces or pairs of frames at once; default: %(default)s.",
    )
    parser.add_argument(
        "--data.on_bad_sample",
        dest="on_bad_sample",
        choices=("raise", "skip"),
        default="raise",
        help="What cannot be read is named and the rest answered; raise ends with exit code 1.",
    )
    for name, what in (("annotated", "write films with boxes"), ("timeline", "draw timelines")):
        parser.add_argument(
            f"--films.{name}",
            dest=name,
            metavar="BOOL",
            type=_truth,
            default=True,
            help=f"Whether to {what}; default: true.",
        )
    parser.add_argument(
        "--output", metavar="FOLDER", type=Path, help="Default: the folder of the ONNX file."
    )
    options, others = parser.parse_known_args(args)
    if others:
        name = others[0].partition("=")[0]
        known = parser._option_string_actions
        raise usage_error(f"predict --onnx takes no {name}{close_match(name, known)}")
    return options


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"must be true or false, but is {text!r}")
    return text == "true"


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

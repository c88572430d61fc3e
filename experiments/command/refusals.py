"""Tells an argument that torch or Lightning refuses from a mistake of this project."""

from __future__ import annotations

import traceback

from experiments.command.errors import CommandError
from experiments.command.usage import TRACEBACK

# Which raise on purpose what a person gave; others come from further inside of torch.
_LIBRARIES = ("lightning.", "torch.optim.", "torch.utils.data.", "torch.cuda", "torch.distributed.")
_PURPOSE = (ValueError, TypeError, RuntimeError, ImportError)
_UNMADE = (*_PURPOSE, ArithmeticError, AssertionError, IndexError)


def refused_argument(error: BaseException) -> CommandError | None:
    """Translate an error of a library over what a config or a command line says.

    A class that a config names may refuse its arguments, such as an optimizer a negative learning
    rate; and Lightning and the loaders and optimizers of torch check values when they come to use
    them. Both are told by where the error was raised.

    Args:
        error: Any error, perhaps with the one that it wraps as its cause.

    Returns:
        The sentence to print; None where the error is not of this kind.
    """
    while error.__cause__ is not None:  # jsonargparse wraps what a class says of its arguments
        error = error.__cause__
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    modules = [str(frame.f_globals.get("__name__")) for frame in frames]
    made = [
        frame.f_locals["class_type"].__name__
        for frame, module in zip(frames, modules, strict=True)
        if module == "jsonargparse._instantiation" and "class_type" in frame.f_locals
    ]
    where = f"({TRACEBACK}=1 shows where.)"
    said = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    if "Expected more than 1 value per channel" in said:
        return CommandError(
            "A batch of a single sample came to a batch norm, which has no statistics of one: "
            f"choose another --data.batch_size, of which no single sample is left over. {where}"
        )
    if made and isinstance(error, _UNMADE):
        return CommandError(f"{made[-1]} refuses its arguments: {said}. {where}")
    if modules and modules[-1].startswith(_LIBRARIES) and isinstance(error, _PURPOSE):
        library = modules[-1].partition(".")[0].replace("lightning", "Lightning")
        return CommandError(f"{library} refuses what was given: {said}. {where}")
    return None

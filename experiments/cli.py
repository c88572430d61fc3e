"""The `lightning` command."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from experiments.command.errors import CommandError
from experiments.command.precheck import check


def main(args: Sequence[str] | None = None) -> None:
    """Run the `lightning` command.

    Args:
        args: The command line; by default that of the process.

    Raises:
        SystemExit: If the command failed, after one sentence on the standard error; with 1, with 2
            for a wrong command line, 130 after Ctrl-C, 143 after SIGTERM.
    """
    args = list(sys.argv[1:] if args is None else args)
    try:
        check(args)
    except CommandError as error:
        print(f"lightning: {error}", file=sys.stderr, flush=True)
        code = error.exit_code
    else:
        # Only now: torch and Lightning take seconds to import.
        from experiments.command.execute import execute

        code = execute(args)
    # Outside the handler: the interpreter prints what SystemExit came from, were it chained.
    if code:
        raise SystemExit(code)

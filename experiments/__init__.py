"""What a person runs: the `lightning` command and one YAML file an experiment."""

from __future__ import annotations


def __getattr__(name: str) -> str:
    """Return ``__version__``, that of the installed package."""
    if name != "__version__":
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from importlib.metadata import version  # takes as long as all else of an answer

    return version("fer-lightning")

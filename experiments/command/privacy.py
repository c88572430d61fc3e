"""What of a config is written down and sent: no value of the environment, password or home."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.command.usage import config_files

_USER_OF_ADDRESS = re.compile(r"(?<=://)[^\s/?#]*(?=@)")
_REFERENCE = re.compile(r"\$\{oc\.env:(\w+)")
# Arguments that take a path.
_PATH = re.compile(
    r"(^|_)(root|dir|csv|lists|input|detector|neutral|weights|pretrained|checkpoint|judges"
    r"|frontalized)$"
)


def environment_hider(args: Sequence[str]) -> Callable[[Any], Any]:
    """Make a function that takes out of plain values what is for this process alone.

    References stand in place of what came from the environment: a config may say `${oc.env:TOKEN}`.
    User and password of an address are left out.

    Args:
        args: The command line; its config files are read too.

    Returns:
        Takes and returns plain values, such as a config; its texts hold `${oc.env:TOKEN}` again,
        and `rtsp://***@camera`.
    """
    files = [Path(file).expanduser() for file in config_files(args)]
    texts = [*args, *(file.read_text("utf-8-sig") for file in files if file.is_file())]
    names = {name for text in texts for name in _REFERENCE.findall(text)}
    values = {os.environ[name]: f"${{oc.env:{name}}}" for name in names if os.environ.get(name)}

    def hide(text: str) -> str:
        for value, reference in values.items():
            # A value of a few characters may be part of any word.
            text = reference if text == value else text
            text = text.replace(value, reference) if len(value) > 3 else text
        return without_user(text)

    return lambda content: map_texts(hide, content)


def without_user(text: str) -> str:
    """Put `***` in place of user and password of every address in a text."""
    return _USER_OF_ADDRESS.sub("***", text)


def without_home(content: Any) -> Any:
    """Put `~` in place of the home folder in every text of plain values."""
    home = str(Path.home())
    return map_texts(lambda text: text.replace(home, "~") if len(home) > 1 else text, content)


def is_path(name: str, value: Any) -> bool:
    """Tell whether an argument of a config names something on this machine.

    By what it says, not by what lies in the working directory: a folder called `votes` there makes
    no path of `labels: votes`. A mapping does if all that it holds does.
    """
    if isinstance(value, Mapping):
        return bool(value) and all(is_path(name, part) for part in value.values())
    if not isinstance(value, str):
        return False
    return "/" in value or "\\" in value or _PATH.search(name) is not None


def map_texts(change: Callable[[str], str], content: Any) -> Any:
    """Change every text in plain values, but no key."""
    if isinstance(content, str):
        return change(content)
    if isinstance(content, Mapping):
        return {key: map_texts(change, value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return type(content)(map_texts(change, value) for value in content)
    return content

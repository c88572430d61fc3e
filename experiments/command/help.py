"""What `--help` shows, read from config files and sources. Nothing here imports torch."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.command.config_file import read_config
from experiments.command.signatures import calls, find_class, strings
from experiments.command.usage import COMMANDS, EXPERIMENT_CLI, PACKAGE, TRAINER

_DATA = "datamodules.base.FERDataModule"
_EXAMPLES = {
    "fit": (
        "--config experiments/emotion_gan.yaml \\\n      --config experiments/presets/laptop.yaml",
        "--config experiments/pcnn.yaml \\\n      --data.root /data/RAF-DB --trainer.max_epochs 5",
        "--config experiments/ssim_vae.yaml \\\n      --data.fold 3 --model.width 32",
    ),
    "validate": ("--config experiments/pcnn.yaml --ckpt_path best",),
    "test": (
        "--config experiments/pcnn.yaml --ckpt_path best",
        "--config experiments/pcnn.yaml \\\n      --ckpt_path runs/pcnn/RUN/checkpoints/last.ckpt",
    ),
    "predict": (
        "--config experiments/pcnn.yaml --ckpt_path best \\\n      --data.input clip.mp4 --every 5",
        "--config experiments/pcnn.yaml --ckpt_path best \\\n      --data.input 0",
        "--onnx model.onnx --data.input folder",
    ),
}
_COMMON = {
    "--config FILE": "A YAML file; later files win, and keys given by hand win over all.",
    "--data.root FOLDER": "The data set; without it faces are drawn.",
    "--data.fold N": "The fold to test; the one after it validates, the others train.",
    "--data.batch_size N": "Samples a step.",
    "--model.KEY VALUE": "What the method takes: listed below where a --config is given.",
    "--trainer.max_epochs N": "Passes over the training part.",
    "--trainer.accelerator cpu": "Or gpu; default: what there is.",
    "--seed_everything N": "Of weights, folds and order; default 0.",
    "--ckpt_path best": "Or last, of the newest run, or a path; fit starts from its weights.",
    "--print_config": "Print all keys with their values, and run nothing.",
}
_OF_PREDICT = {
    "--config FILE": _COMMON["--config FILE"],
    "--ckpt_path best": "Or last, of the newest run, or a path.",
    "--onnx FILE": "In place of both: a file of lightning export, answered without PyTorch; "
    "lightning predict --onnx FILE --help lists its keys.",
    "--data.input INPUT": "A picture, a film, a folder of such, the number of a camera, or the "
    "address of a stream (rtsp://, http://), which is read until Ctrl-C.",
    "--every N": "Of films and streams look at every N-th frame; short for --data.every.",
    "--smoothing SECONDS": "Of the smoothed probabilities, 0 for none; short for --data.smoothing.",
    "--data.detector FILE": "YuNet's ONNX file, which finds faces in place of OpenCV's cascade.",
    "--data.neutral 12": "Of methods that see motion: number of the neutral frame, from 0, or a "
    "picture of the neutral face; default: the first frame.",
    "--data.on_bad_sample skip": "Exit with 0 though something could not be read.",
    "--films.annotated false": "Write no film with boxes; --films.timeline false: no timeline.",
    "--trainer.accelerator cpu": _COMMON["--trainer.accelerator cpu"],
}


def help_text() -> str:
    """List the commands and the experiments."""
    experiments = {path.stem: _summary(path) for path in sorted(PACKAGE.glob("[!_]*.yaml"))}
    return "\n".join(
        [
            "usage: lightning COMMAND [--config FILE ...] [--KEY VALUE ...]\n",
            *_table("commands (lightning COMMAND --help lists the keys):", COMMANDS),
            *_table("experiments (--config experiments/NAME.yaml):", experiments),
            "Files in experiments/data and experiments/presets change its data and its size.",
        ]
    )


def _table(title: str, rows: dict[str, str]) -> Iterator[str]:
    yield title
    indent = min(28, max(map(len, rows), default=0) + 4)
    for name, text in rows.items():
        if len(name) + 4 > indent:
            yield f"  {name}"
            name = ""
        first = f"  {name}".ljust(indent)
        yield textwrap.fill(text, 79, initial_indent=first, subsequent_indent=" " * indent)
    yield ""


def _summary(path: Path) -> str:
    """Return the first sentence of the comment at the top of a config file, on one line."""
    comment = re.match(r"(?:#.*\n)*", path.read_text("utf-8"))
    text = " ".join(comment.group().replace("#", "").split()) if comment else ""
    # Who wrote the paper stands in the file.
    return re.sub(r" \([^)]*\)", "", re.split(r"[.:] ", text)[0])


def command_help(command: str, configs: Sequence[str]) -> str:
    """Describe one of Lightning's commands: examples, what is mostly changed, then all keys.

    Args:
        command: `fit`, `validate`, `test` or `predict`.
        configs: Config files given beside it, whose model and data are described.

    Raises:
        CommandError: If a config file cannot be read.
    """
    chosen = {"data": _DATA}
    for file in configs:
        content = read_config(file)
        chosen |= {part: path for part in ("model", "data") if (path := _class_path(content, part))}
    lines = [
        f"usage: lightning {command} --config FILE [--config FILE ...] [--KEY VALUE ...]",
        f"\n{COMMANDS[command]}\n\nexamples:",
        *(f"  lightning {command} {example}" for example in _EXAMPLES[command]),
        "",
        *_table("what is mostly changed:", _OF_PREDICT if command == "predict" else _COMMON),
        *_table("further keys:", dict(_own_keys(command))),
    ]
    for part, class_path in chosen.items():
        lines += _table(f"{part}, {class_path.rsplit('.', 1)[-1]}:", _keys(part, class_path))
    for call in _calls_of_cli("add_lightning_class_args"):
        group, source = strings(call.args)[0], ast.unparse(call.args[0])
        module = EXPERIMENT_CLI.rpartition(".")[0]
        lines += _table(f"{group}:", _keys(group, f"{module}.{source}"))
    lines += _table("trainer (Lightning's own, see its documentation):", _keys("trainer", TRAINER))
    lines.append("Types and defaults of a class: --model.help CLASS, --data.help CLASS.")
    return "\n".join(lines)


def _class_path(config: Mapping[str, Any], part: str) -> str | None:
    value = config.get(part)
    path = value.get("class_path") if isinstance(value, Mapping) else value
    return path if isinstance(path, str) else None


def _calls_of_cli(name: str) -> Iterator[ast.Call]:
    cli = find_class(EXPERIMENT_CLI)
    yield from () if cli is None else calls(cli.node, name)


def _own_keys(command: str) -> Iterator[tuple[str, str]]:
    """Yield the keys of this project's own CLI that stand at the top, and their help."""
    for call in _calls_of_cli("add_argument"):
        for name in strings(call.args):
            told = next((k.value for k in call.keywords if k.arg == "help"), None)
            taken = name not in ("--config", *(() if command == "fit" else ("--fresh",)))
            if name.startswith("--") and taken and told is not None:
                yield name, ast.literal_eval(told)


def _keys(group: str, class_path: str) -> dict[str, str]:
    found = find_class(class_path)
    documented = {} if found is None else found.documentation()
    return {f"--{group}.{name}": text for name, text in documented.items()}

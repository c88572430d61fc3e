"""`lightning generate`: expressions of training people put onto neutral faces, to train on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from callbacks.figures.transfer_grid import animate as animate_picture
from callbacks.records.source import source_state
from datamodules.errors import BadSample, UserError
from datamodules.files import MARKER, file_name, is_image, is_synthetic, walk
from datamodules.folds.leak_guard import fingerprint
from datamodules.index.generated import GeneratedFace, is_generated, write_list
from datamodules.motion.module import FlowDataModule
from datamodules.motion.targets import Target
from datamodules.motion.training_fold import Motion
from experiments.command.console import say
from experiments.command.errors import close_match, usage_error
from experiments.command.privacy import without_home
from experiments.command.resolve import ResolvedExperiment
from experiments.generate_arguments import parse
from experiments.recognition.checkpoint import build, load_model
from lightning_modules.emotion_gan import EMotionGAN
from lightning_modules.networks.warp import arriving
from lightning_modules.networks.weights import read_checkpoint
from lightning_modules.transfer import animate, transferred


def generate(args: Sequence[str]) -> None:
    """Run `lightning generate`.

    Faces are written aside, and the folder is there once it is whole: of an interrupted command
    nothing is left but a hidden folder, which the next one removes.

    Raises:
        UserError: If there is no such class, motion or face, or too few of them.
    """
    options = parse(args)
    resolved = ResolvedExperiment(options.fit).resolved
    gain = resolved["model"].get("init_args", {}).get("gain")
    data = build(pl.LightningDataModule, resolved["data"])
    if gain is None or not isinstance(data, FlowDataModule):
        raise usage_error(
            "generate: faces are moved by the flows of eMotion-GAN's data, so give its experiment: "
            "--config experiments/emotion_gan.yaml."
        )
    for name in options.classes:
        if name not in data.class_names:
            raise usage_error(
                f"generate: --class names {name}{close_match(name, data.class_names)}; "
                f"data.expressions {data.expressions} has {', '.join(data.class_names)}."
            )
    files = _pictures(options.faces)
    model = None if options.ckpt_path is None else _load(options.ckpt_path, data)
    maker = FaceMaker(
        data,
        model,
        gain=gain,
        checkpoint=without_home(str(options.ckpt_path or "")),
        faces=options.faces,
        seed=resolved["seed_everything"],
    )
    data.prepare_data()
    out: Path = options.out
    aside = out.with_name(f".{out.name}.unfinished")
    if aside.exists():
        shutil.rmtree(aside)
    made: list[GeneratedFace] = []
    for name in options.classes:
        (aside / name).mkdir(parents=True)
        motions = data.motions(name)
        if not motions:
            raise UserError(
                f"The training fold of {data.source} has no sequence of {name}, whose motion could "
                "be put onto a face: name other classes, or other data."
            )
        made += maker.make(aside, name, files, motions, options.per_class)
        say(f"{name}: {options.per_class} faces, by {len(motions)} motions")
    if maker.without_face:
        left_out = len(maker.without_face)
        say(f"{left_out} pictures were left out: no face was found, or they cannot be read")
    write_list(aside, made)
    if is_synthetic(options.faces):
        (aside / MARKER).touch()
    aside.replace(out)
    say(f"Train on it with: --data.extra {out}")
    print(out, flush=True)


@dataclass
class FaceMaker:
    """Moves neutral faces along flows.

    Args:
        data: Cuts faces out.
        model: Draws on the moved faces; None leaves them as they are moved.
        gain: By what flows are multiplied.
        checkpoint: Of the model, for the list.
        faces: The folder that pictures are named by their path in.
        seed: Of the choice of faces and motions.
    """

    data: FlowDataModule
    model: EMotionGAN | None
    gain: float
    checkpoint: str
    faces: Path
    seed: int

    def __post_init__(self) -> None:
        self.without_face: set[Path] = set()
        self._read = lru_cache(maxsize=64)(self._read_face)  # of few faces none is read again
        state = source_state() or {}
        self._commit = f"{state.get('commit', '')}{' (changed)' if state.get('dirty') else ''}"

    def make(
        self, folder: Path, name: str, files: Sequence[Path], motions: Sequence[Motion], count: int
    ) -> list[GeneratedFace]:
        """Write faces of a class.

        Args:
            folder: Where; each class has a folder in it.
            name: The class.
            files: Pictures of neutral faces.
            motions: Of the class.
            count: How many to make.

        Raises:
            UserError: If there are not so many pairs of a face and a motion.
        """
        made: list[GeneratedFace] = []
        rng = np.random.default_rng((self.seed, self.data.class_names.index(name)))
        for number, motion in pairs(len(files), len(motions), rng):
            file = files[number]
            if file not in self.without_face and (face := self._read(file)) is not None:
                made.append(self._write(folder, name, file, *face, motions[motion]))
            if len(made) == count:
                return made
        raise UserError(
            f"{len(made)} faces of {name} can be made of the {len(files) - len(self.without_face)} "
            f"faces found in {self.faces} and {len(motions)} motions, but --per_class is {count}: "
            "ask for fewer, or give pictures that show more faces."
        )

    def _read_face(self, file: Path) -> tuple[Target, int] | None:
        try:
            return self.data.read_face(file), fingerprint(file.read_bytes())
        except BadSample:
            self.without_face.add(file)
            return None

    def _write(
        self, folder: Path, name: str, file: Path, target: Target, content: int, motion: Motion
    ) -> GeneratedFace:
        shown = file.relative_to(self.faces)
        title = f"{shown.with_suffix('').as_posix()}__{motion.sequence}"
        path = folder / name / f"{file_name(title)}.png"
        picture = move(target, motion.flow, self.model, self.gain)
        grey = (picture[..., :1] == picture).all()
        stored = picture[..., 0] if grey else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        path.write_bytes(cv2.imencode(".png", stored)[1].tobytes())
        return GeneratedFace(
            file=path.relative_to(folder).as_posix(),
            expression=name,
            face=shown.as_posix(),
            source=motion.source,
            person=motion.person,
            sequence=motion.sequence,
            gain=self.gain,
            made_by="warp" if self.model is None else type(self.model).__name__,
            checkpoint=self.checkpoint,
            commit=self._commit,
            seed=self.seed,
            face_content=content,
            motion_content=motion.content,
        )


def pairs(faces: int, motions: int, rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Yield every pair of a face and a motion once, each face once before any comes again."""
    first = rng.integers(motions, size=faces)
    for turn in range(motions):
        for face in rng.permutation(faces).tolist():
            yield face, int(first[face] + turn) % motions


def move(
    target: Target, flow: NDArray[np.float32], model: EMotionGAN | None, gain: float
) -> NDArray[np.uint8]:
    """Move the face of a picture along a flow.

    Args:
        target: The picture, and its face [3, size, size].
        flow: [2, size, size] in pixels of that grid.
        model: What draws on the moved face; None for nothing.
        gain: By what the flow is multiplied.

    Returns:
        uint8 [H, W, 3] RGB, of the size of the picture.
    """
    motion = torch.from_numpy(flow)[None]
    with torch.inference_mode():
        if model is None:
            correction, ending = torch.zeros(target.face.shape), arriving(gain * motion)[0]
        else:
            correction, ending = _draw(model, torch.from_numpy(target.face)[None], motion, gain)
    return animate_picture(target.picture, target.box, ending.numpy(), correction.numpy())


def _draw(model: EMotionGAN, face: Tensor, motion: Tensor, gain: float) -> tuple[Tensor, Tensor]:
    encoded = model.codec.scale(model.codec.encode(motion), gain)
    after = animate(model.g_w, model.codec, face, encoded, gain)
    made = transferred([face], [after], model.codec.decode(encoded))
    return made["corrections"][0, 0], made["arriving_flow"][0]


def _pictures(folder: Path) -> list[Path]:
    """List the pictures of a folder, at any depth.

    Raises:
        UserError: If there is none, or they were generated, so that nobody would know of what.
    """
    if is_generated(folder):
        raise UserError(f"The faces in {folder} were generated: give real neutral faces.")
    found = [place / name for place, _, names in walk(folder) for name in names]
    if files := [file for file in found if is_image(file)]:
        return files
    raise UserError(f"{folder} holds no picture of a face, nor does any folder in it.")


def _load(path: Path, data: FlowDataModule) -> EMotionGAN:
    """Load what draws the faces.

    Raises:
        UserError: If it is no trained eMotion-GAN of this size, or has seen people held out here.
    """
    checkpoint = read_checkpoint(path)
    model = load_model(checkpoint) if "config" in checkpoint else None
    if not isinstance(model, EMotionGAN):
        raise UserError(
            f"{path} draws no face along a flow: give a checkpoint of eMotion-GAN that lightning "
            "fit wrote, or none."
        )
    model.on_predict_start()
    if model.hparams["size"] != data.size:
        raise UserError(
            f"{path} draws faces of {model.hparams['size']} pixels, but data.size is {data.size}: "
            "give the config files that it was trained with."
        )
    data.refuse_leak(checkpoint)
    return model

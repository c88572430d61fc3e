"""Who is drawn: the traits of one face, all a pure function of a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]
"""RGB, each channel in [0, 1]."""

# Skin of people from light to dark, forehead under white light.
_SKIN_TONES = np.array(
    [
        (233, 202, 183),
        (226, 188, 164),
        (216, 172, 144),
        (205, 154, 120),
        (176, 124, 90),
        (138, 92, 64),
        (104, 68, 48),
    ],
    dtype=np.float64,
)
_HAIR_COLOURS: dict[str, Colour] = {
    "black": (0.09, 0.08, 0.08),
    "dark brown": (0.19, 0.13, 0.10),
    "brown": (0.32, 0.21, 0.14),
    "auburn": (0.42, 0.22, 0.13),
    "blond": (0.66, 0.52, 0.33),
    "grey": (0.55, 0.54, 0.53),
}
_IRIS_COLOURS: dict[str, Colour] = {
    "brown": (0.30, 0.18, 0.10),
    "dark brown": (0.20, 0.12, 0.08),
    "hazel": (0.42, 0.34, 0.16),
    "green": (0.35, 0.45, 0.30),
    "blue": (0.34, 0.48, 0.62),
    "grey": (0.45, 0.50, 0.54),
}
HAIR_STYLES = ("short", "parted", "fringe", "bob", "tied", "curly", "cropped", "receding")
BEARDS = ("none", "stubble", "moustache", "goatee", "full")


@dataclass(frozen=True)
class Identity:
    """One person. Lengths are in face units: 1 is half the width between the cheekbones.

    Args:
        seed: Seeds the skin texture, the strands of hair and the asymmetries.
        femininity: 0 to 1, shifts brows, jaw, lips and lashes together.
        age: Years, 18 to 75; deepens the lines and the folds.
        skin: Colour of the skin.
        hair: Colour of the hair; brows and beard follow it.
        hair_style: One of `HAIR_STYLES`.
        beard: One of `BEARDS`.
        glasses: "none", "round" or "square".
        iris: Colour of the iris.
        lips: Colour of the lips.
        clothes: Colour of the clothes.
        face_length: From the eyes to the chin.
        cheek_width: Half width at the cheekbones.
        jaw_width: Half width at the jaw angle.
        chin_width: Half width of the chin.
        forehead: From the eyes to the hairline.
        eye_spacing: From the middle to the centre of an eye.
        eye_width: Half width of an eye.
        eye_opening: Height of an open eye.
        eye_tilt: How much the outer corner is above the inner one.
        lid_crease: Distance from the upper lid to its crease.
        brow_height: From the eye to the brow.
        brow_thickness: Thickness of the brow.
        brow_arch: Height of the arch of the brow.
        nose_length: From the eyes to the base of the nose.
        nose_width: Half width of the base of the nose.
        nose_height: How far the tip stands out.
        mouth_height: From the eyes to the line between the lips.
        mouth_width: Half width of the mouth.
        upper_lip: Thickness of the upper lip.
        lower_lip: Thickness of the lower lip.
        freckles: 0 to 1.
        expressiveness: Factor on every action unit of this person.
    """

    seed: int
    femininity: float
    age: float
    skin: Colour
    hair: Colour
    hair_style: str
    beard: str
    glasses: str
    iris: Colour
    lips: Colour
    clothes: Colour
    face_length: float
    cheek_width: float
    jaw_width: float
    chin_width: float
    forehead: float
    eye_spacing: float
    eye_width: float
    eye_opening: float
    eye_tilt: float
    lid_crease: float
    brow_height: float
    brow_thickness: float
    brow_arch: float
    nose_length: float
    nose_width: float
    nose_height: float
    mouth_height: float
    mouth_width: float
    upper_lip: float
    lower_lip: float
    freckles: float
    expressiveness: float

    @property
    def lines(self) -> float:
        """How deep the lines of the face are: 0.25 at 18 years, 1 at 75."""
        return 0.25 + 0.75 * (self.age - 18.0) / 57.0

    @classmethod
    def sample(cls, seed: int) -> Identity:
        """Draw a person.

        Args:
            seed: Any non-negative integer; the same seed is the same person.

        Returns:
            The person's traits.
        """
        rng = np.random.default_rng([seed, 0x1D])

        def between(low: float, high: float) -> float:
            return float(rng.uniform(low, high))

        def around(mean: float, deviation: float) -> float:
            return mean + deviation * float(np.clip(rng.standard_normal(), -1.8, 1.8))

        feminine = bool(rng.random() < 0.5)
        f = between(0.7, 1.0) if feminine else between(0.0, 0.3)
        age = between(18, 70)
        tone = 6.0 * float(rng.beta(1.0, 1.35))
        skin = _mix_skin(tone, rng)
        hair = _hair_colour(tone, age, rng)
        return cls(
            seed=seed,
            femininity=f,
            age=age,
            skin=skin,
            hair=hair,
            hair_style=_hair_style(feminine, age, rng),
            beard="none" if feminine else str(rng.choice(BEARDS, p=(0.45, 0.2, 0.1, 0.1, 0.15))),
            glasses=str(rng.choice(("none", "round", "square"), p=(0.8, 0.1, 0.1))),
            iris=_iris_colour(tone, rng),
            lips=_lip_colour(skin, f, rng),
            clothes=_clothes(rng),
            face_length=around(1.62 - 0.05 * f, 0.05),
            cheek_width=around(1.0, 0.025),
            jaw_width=around(0.885 - 0.075 * f, 0.03),
            chin_width=around(0.45 - 0.08 * f, 0.03),
            forehead=around(0.92, 0.05),
            eye_spacing=around(0.455, 0.015),
            eye_width=around(0.215 + 0.01 * f, 0.01),
            eye_opening=around(0.132 + 0.022 * f, 0.012),
            eye_tilt=around(0.02 + 0.01 * f, 0.018),
            lid_crease=around(0.055, 0.014),
            brow_height=around(0.29 + 0.035 * f, 0.018),
            brow_thickness=around(0.105 - 0.035 * f, 0.012),
            brow_arch=around(0.055 + 0.03 * f, 0.018),
            nose_length=around(0.70, 0.035),
            nose_width=around(0.27 - 0.03 * f + 0.012 * tone, 0.018),
            nose_height=around(0.40 - 0.05 * f, 0.04),
            mouth_height=around(1.05, 0.025),
            mouth_width=around(0.40 - 0.015 * f, 0.022),
            upper_lip=around(0.075 + 0.02 * f + 0.006 * tone, 0.012),
            lower_lip=around(0.105 + 0.02 * f + 0.006 * tone, 0.014),
            freckles=float(rng.random() < 0.25) * between(0.4, 1.0) if tone < 3 else 0.0,
            expressiveness=float(np.clip(around(1.0, 0.1), 0.8, 1.2)),
        )


def _mix_skin(tone: float, rng: np.random.Generator) -> Colour:
    """A tone between two neighbours of the scale, a little redder or yellower."""
    low = int(tone)
    high = min(low + 1, len(_SKIN_TONES) - 1)
    rgb = _SKIN_TONES[low] + (tone - low) * (_SKIN_TONES[high] - _SKIN_TONES[low])
    rgb = rgb / 255.0 * (1.0 + rng.normal(0, 0.012, 3))
    return _colour(rgb)


def _hair_colour(tone: float, age: float, rng: np.random.Generator) -> Colour:
    """Light skin has any hair, dark skin dark hair; grey comes with the years."""
    light = tone < 2.5
    names = ("dark brown", "brown", "auburn", "blond") if light else ("black", "dark brown")
    rgb = np.array(_HAIR_COLOURS[str(rng.choice(names))])
    grey = float(np.clip((age - 42) / 28, 0, 1)) * float(rng.uniform(0.2, 1.0))
    return _colour(rgb + grey * (np.array(_HAIR_COLOURS["grey"]) - rgb))


def _hair_style(feminine: bool, age: float, rng: np.random.Generator) -> str:
    if feminine:
        return str(rng.choice(("bob", "tied", "fringe", "curly"), p=(0.4, 0.3, 0.2, 0.1)))
    if age > 45 and rng.random() < 0.45:
        return "receding"
    return str(rng.choice(("short", "parted", "cropped", "curly"), p=(0.35, 0.3, 0.2, 0.15)))


def _iris_colour(tone: float, rng: np.random.Generator) -> Colour:
    names = tuple(_IRIS_COLOURS) if tone < 2.5 else ("brown", "dark brown")
    return _IRIS_COLOURS[str(rng.choice(names))]


def _lip_colour(skin: Colour, femininity: float, rng: np.random.Generator) -> Colour:
    """Lips are the skin, redder and darker; some wear lipstick."""
    rgb = np.array(skin) * np.array((0.86, 0.62, 0.62))
    if femininity > 0.5 and rng.random() < 0.4:
        rgb = 0.5 * rgb + 0.5 * np.array((0.66, 0.17, 0.22))
    return _colour(rgb)


def _clothes(rng: np.random.Generator) -> Colour:
    palette = (
        (0.18, 0.23, 0.34),
        (0.30, 0.30, 0.31),
        (0.42, 0.16, 0.17),
        (0.16, 0.30, 0.24),
        (0.70, 0.70, 0.68),
        (0.36, 0.42, 0.54),
        (0.12, 0.12, 0.13),
        (0.62, 0.52, 0.40),
    )
    return palette[int(rng.integers(len(palette)))]


def _colour(rgb: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Colour:
    red, green, blue = (float(np.clip(v, 0.0, 1.0)) for v in rgb)
    return red, green, blue

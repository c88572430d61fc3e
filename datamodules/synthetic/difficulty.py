"""The few numbers that make a drawn data set easy or hard; nothing else is tuned."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difficulty:
    """How much people, takes, heads and cameras vary.

    Args:
        weakest: Intensity of the weakest apex, as a share of the prototype's.
        strongest: Intensity of the strongest apex.
        unit_spread: Relative deviation of single action units from the common intensity.
        missing: Probability that a unit of the prototype stays out.
        extra: Probability that a unit that does not belong to the expression joins in.
        restlessness: Deviation of the units that move without any expression.
        sway: Degrees of head motion that nobody intends; the free head of cam2 only.
        yaw: Largest turn at the apex, in degrees; the smallest is 0.4 of it, as for the others.
        pitch: Largest nod at the apex, in degrees.
        roll: Largest tilt at the apex, in degrees.
        translation: Largest shift at the apex, as a share of the width of the face.
        helmet: Degrees of jitter of the camera on the helmet (cam1).
        noise: Deviation of the sensor's noise in grey levels.
        light_drift: Relative deviation of the exposure from frame to frame.
    """

    weakest: float = 0.5
    strongest: float = 1.0
    unit_spread: float = 0.30
    missing: float = 0.25
    extra: float = 0.40
    restlessness: float = 0.06
    sway: float = 0.6
    yaw: float = 9.0
    pitch: float = 7.0
    roll: float = 6.0
    translation: float = 0.045
    helmet: float = 0.12
    noise: float = 2.5
    light_drift: float = 0.015

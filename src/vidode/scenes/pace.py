"""How fast things move, and along which curves.

Lengths are in the plane's units (the frame's shorter side is 2), times in frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vidode.scenes.motion import STILL, Curve


@dataclass(frozen=True)
class Pace:
    """How fast things move in this scene. top: units per frame. span: frames of the clip."""

    top: float
    span: int

    def speed(self, rng: np.random.Generator) -> float:
        """Units per frame, evenly in octaves over a factor of four."""
        return float(self.top * np.exp(rng.uniform(math.log(0.25), 0)))

    def path(self, rng: np.random.Generator, offset: complex) -> Curve:
        """A path through `offset` in the middle of the clip: straight, bent, there and back, or a mixture."""
        speed, way, bend = self.speed(rng), direction(rng), direction(rng)
        omega = 2 * math.pi / rng.uniform(10, 60)
        swing = rng.choice([0.0, 0.0, 0.5, 1.0])
        return Curve(
            offset=offset,
            velocity=way * speed * (1 - swing),
            acceleration=bend * speed * rng.choice([0, 0.5, 1.0]) * rng.random() / self.span,
            amplitude=bend * speed * swing / omega,
            omega=omega,
            phase=rng.uniform(0, 2 * math.pi),
        )

    def turning(self, rng: np.random.Generator, radius: float, offset: float = 0.0) -> Curve:
        """An angle whose rim, at `radius`, moves at this pace; often none."""
        rate = min(self.speed(rng) / radius, 0.4) * rng.choice([-1, 1])
        return one_of(rng, Curve(offset=offset), Curve(offset=offset, velocity=rate), swing(rng, rate, offset))

    def growing(self, rng: np.random.Generator, radius: float) -> Curve:
        """The logarithm of a size that stays within a factor of 1.4; often still."""
        there = swing(rng, self.speed(rng) / radius, 0.0)
        return one_of(
            rng, STILL, Curve(amplitude=min(abs(there.amplitude), 0.33), omega=there.omega, phase=there.phase)
        )


def swing(rng: np.random.Generator, rate: float, offset: float) -> Curve:
    """There and back about `offset`, at up to `rate` a frame."""
    omega = 2 * math.pi / rng.uniform(10, 60)
    return Curve(offset=offset, amplitude=rate / omega, omega=omega, phase=rng.uniform(0, 6.28))


def direction(rng: np.random.Generator) -> complex:
    """Any way in the plane, of length 1."""
    return complex(np.exp(1j * rng.uniform(0, 2 * math.pi)))


def one_of(rng: np.random.Generator, *curves: Curve) -> Curve:
    """Any of the curves, all as likely."""
    return curves[rng.integers(len(curves))]

"""What stands before the background: free objects, people of hinged limbs, and chains of bars.

Lengths are in the plane's units (the frame's shorter side is 2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vidode.scenes import textures
from vidode.scenes.motion import STILL, Curve, Joint
from vidode.scenes.pace import Pace
from vidode.scenes.scene import Ripple
from vidode.scenes.style import SceneStyle


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer over the background: its joint, the part of its plane it covers, its look and its place in depth."""

    joint: Joint
    extent: tuple[float, float]
    centre: complex
    texture: Tensor  # (4, r, r)
    ripple: Ripple | None = None
    depth: int = 0


def cast(
    rng: np.random.Generator, generator: torch.Generator, style: SceneStyle, pace: Pace, side: int, detail: int
) -> list[Layer]:
    """The layers of a scene, from the farthest to the nearest."""
    fields = textures.noise(torch.from_numpy(rng.uniform(0.6, 2.2, 12)).float(), side, generator)
    figure, chain = rng.random() < style.figures, rng.random() < style.chains
    free = (
        int(rng.integers(0 if figure or chain else 1, max(style.objects - 2 * figure, 0) + 1)) if style.objects else 0
    )
    layers = [_object(rng, pace, fields[rng.permutation(12)[:3]], detail) for _ in range(free)]
    if chain:
        layers += _hinged(rng, pace, fields, _chain(rng), detail, len(layers))
    if figure:
        layers += _hinged(rng, pace, fields, _figure(rng), detail, len(layers))
    return layers


def _object(rng: np.random.Generator, pace: Pace, fields: Tensor, detail: int) -> Layer:
    radius = float(np.exp(rng.uniform(math.log(0.12), math.log(0.7))))
    depth = rng.choice([1.0, rng.uniform(0.8, 1.5)])
    where = complex(*rng.uniform(-0.8, 0.8, 2))
    still = rng.random() < 0.15
    joint = Joint(
        path=Curve(offset=where) if still else pace.path(rng, where),
        angle=Curve(offset=rng.uniform(0, 6.28)) if still else pace.turning(rng, radius, rng.uniform(0, 6.28)),
        log_scale=STILL if still else pace.growing(rng, radius),
        depth=depth,
    )
    narrow = rng.choice([1.0, 1.0, rng.uniform(0.15, 0.6)])  # long thin things too
    colours = textures.paint(rng, fields[:2], radius * detail)
    texture = torch.cat([colours, textures.outline(rng, fields[2])[None]])
    waves = ripple(rng, pace.speed(rng) / radius) if rng.random() < 0.3 and not still else None
    return Layer(joint, (radius, radius * narrow), 0j, texture, waves)


@dataclass(frozen=True)
class Limb:
    """A bar hinged on another: which (-1 for the root, which also travels), where along it, at rest and in swing.

    dress: limbs of one number look alike. depth: painting order, from far to near.
    """

    parent: int
    at: float
    length: float
    widths: tuple[float, float]
    rest: float
    dress: int
    depth: int
    root: complex = 0j


def _figure(rng: np.random.Generator) -> list[Limb]:
    """A person: trunk, head, and two arms and two legs of two parts each. Angles at rest point down from the trunk."""
    size = float(np.exp(rng.uniform(math.log(0.45), math.log(1.8))))
    trunk, arm, leg = 0.5 * size, 0.3 * size, 0.38 * size
    broad, thin = size * rng.uniform(0.09, 0.16), size * rng.uniform(0.035, 0.06)
    sleeves, spread = int(rng.choice([0, 2])), rng.uniform(-0.5, 2.8)
    limbs = [
        Limb(
            -1,
            0,
            trunk,
            (broad * 0.8, broad),
            -math.pi / 2,
            0,
            5,
            complex(rng.uniform(-0.5, 0.5), rng.uniform(-0.1, 0.4)),
        )
    ]
    for sign, depth in ((-1, 2), (1, 9)):
        upper = len(limbs)
        limbs.append(Limb(0, trunk, arm, (thin, thin), math.pi - sign * rng.normal(spread, 0.3), sleeves, depth + 1))
        limbs.append(Limb(upper, arm, arm, (thin, thin * 0.8), rng.normal(0, 0.5), 2, depth))
        limbs.append(Limb(0, 0, leg, (thin * 1.4, thin * 1.2), math.pi - sign * rng.uniform(0, 0.3), 1, depth - 1))
        limbs.append(Limb(upper + 2, leg, leg, (thin * 1.2, thin), rng.normal(0, 0.15), 1, depth - 2))
    limbs.append(Limb(0, trunk * 1.2, 0.1 * size, (0.08 * size, 0.07 * size), 0, 2, 6))
    return limbs


def _chain(rng: np.random.Generator) -> list[Limb]:
    """Two to four bars, each hinged on the last, anywhere in the frame."""
    root = complex(*rng.uniform(-0.8, 0.8, 2))
    width = float(np.exp(rng.uniform(math.log(0.02), math.log(0.1))))
    lengths = rng.uniform(0.2, 0.6, int(rng.integers(2, 5)))
    rest = rng.uniform(-math.pi, math.pi, len(lengths))
    return [
        Limb(i - 1, lengths[i - 1] if i else 0, lengths[i], (width, width), rest[i], i, i, root)
        for i in range(len(lengths))
    ]


def _hinged(
    rng: np.random.Generator, pace: Pace, fields: Tensor, limbs: list[Limb], detail: int, before: int
) -> list[Layer]:
    """The layers of hinged limbs, whose indices start at `before`."""
    looks: dict[int, Tensor] = {}
    walks, active = rng.random() < 0.5, rng.uniform(0.3, 1)
    omega, depth = 2 * math.pi / rng.uniform(12, 60), rng.choice([1.0, rng.uniform(0.9, 1.3)])
    layers = []
    for limb in limbs:
        if limb.dress not in looks:
            looks[limb.dress] = textures.paint(rng, fields[rng.permutation(12)[:2]], 4 * limb.widths[0] * detail)
        extent = (limb.length / 2 + 1.5 * max(limb.widths), 1.5 * max(limb.widths))
        shape = textures.capsule(fields.shape[-1], extent, limb.length, limb.widths)
        rocks = rng.random() < (0.3 if limb.parent < 0 else active)
        peak = min(pace.speed(rng) * 2, pace.top) / max(limb.length, 0.2) * (0.3 if limb.parent < 0 else 1)
        swing = min(peak / omega, 1.2) if rocks else 0.0
        if limb.parent < 0:
            path = pace.path(rng, limb.root) if walks else Curve(offset=limb.root)
        else:
            path = Curve(offset=limb.at)
        joint = Joint(
            path=path,
            angle=Curve(
                offset=limb.rest, amplitude=swing, omega=omega * rng.choice([1, 1, 2]), phase=rng.uniform(0, 6.28)
            ),
            parent=limb.parent + before + 1 if limb.parent >= 0 else -1,  # joint 0 is the background's
            depth=depth,
        )
        layers.append(
            Layer(
                joint,
                extent,
                complex(limb.length / 2),
                torch.cat([looks[limb.dress], shape[None]]),
                None,
                before + limb.depth,
            )
        )
    return layers


def ripple(rng: np.random.Generator, speed: float) -> Ripple:
    """A deformation whose points move by up to `speed` texture units per frame and whose slope stays below 0.6."""
    wave = rng.uniform(-4, 4, (2, 2))
    steep = np.hypot(wave[:, 0], wave[:, 1]).clip(1)
    omega = 2 * math.pi / rng.uniform(10, 60, 2)
    amplitude = np.minimum(np.minimum(speed / omega, 0.12), 0.4 / steep)
    return Ripple(amplitude, wave, omega * rng.choice([-1, 1], 2), rng.uniform(0, 2 * math.pi, 2))

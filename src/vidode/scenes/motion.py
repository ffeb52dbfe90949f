"""Where every layer of a scene is at a time, in closed form.

The plane is the complex numbers, x + iy, with y pointing down as in images. A layer's pose is the similarity
`z -> turn * z + shift`, so that turning, scaling, hinging and the camera are one product each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]


@dataclass(frozen=True)
class Curve:
    """A function of time: offset + velocity s + acceleration s^2 / 2 + amplitude sin(omega s + phase).

    s counts frames from the middle of the clip. A path in the plane has complex coefficients.
    """

    offset: complex = 0.0
    velocity: complex = 0.0
    acceleration: complex = 0.0
    amplitude: complex = 0.0
    omega: float = 0.0
    phase: float = 0.0

    def __call__(self, s: Array) -> ComplexArray:
        """Its value at each time (T,)."""
        polynomial = self.offset + s * (self.velocity + s * self.acceleration / 2)
        return np.asarray(polynomial + self.amplitude * np.sin(self.omega * s + self.phase), dtype=np.complex128)


STILL = Curve()


@dataclass(frozen=True)
class Joint:
    """How one layer moves: along `path`, turning by `angle` (radians) and growing by exp(`log_scale`).

    parent: index of the earlier layer that it hangs on, at the point `path` of it; -1 for the world.
    depth: how strongly the camera moves it, 1 for the plane that the camera looks at.
    """

    path: Curve = STILL
    angle: Curve = STILL
    log_scale: Curve = STILL
    parent: int = -1
    depth: float = 1.0


@dataclass(frozen=True)
class Rig:
    """All layers' joints, each after its parent, seen by a camera that pans, turns and zooms.

    lens: how much larger than life the picture is. eye: the point of the plane, before any motion, that it is
    centred on.
    """

    joints: Sequence[Joint]
    camera: Joint = field(default_factory=Joint)
    lens: float = 1.0
    eye: complex = 0.0

    def poses(self, s: Array) -> tuple[ComplexArray, ComplexArray]:
        """Each layer's turn and shift (T, N): the point z of a layer is seen at `turn * z + shift`."""
        turns: list[ComplexArray] = []
        shifts: list[ComplexArray] = []
        for joint in self.joints:
            turn, shift = np.exp(joint.log_scale(s) + 1j * joint.angle(s)), joint.path(s)
            if joint.parent >= 0:
                above = turns[joint.parent]
                turn, shift = above * turn, above * shift + shifts[joint.parent]
            turns.append(turn)
            shifts.append(shift)
        depth = np.array([joint.depth for joint in self.joints])
        view = np.exp(depth * (self.camera.log_scale(s) + 1j * self.camera.angle(s))[:, None])
        pan = depth * self.camera.path(s)[:, None]
        turn, shift = np.stack(turns, axis=1), np.stack(shifts, axis=1)
        lens = complex(self.lens)
        return lens * view * turn, lens * (view * (shift - pan) - self.eye)

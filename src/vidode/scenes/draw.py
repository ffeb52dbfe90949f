"""Inventing scenes: what stands where, how it looks, and how it moves.

Lengths are in the plane's units (the frame's shorter side is 2), speeds in pixels per frame at the scene's detail.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vidode.clip import InvalidInput
from vidode.scenes import textures
from vidode.scenes.motion import STILL, Curve, Joint, Rig
from vidode.scenes.scene import Ripple, Scene

BACKGROUND_EXTENT = 1.3
TEXELS_PER_PIXEL = (
    1.5  # of the background; bilinear resampling of a band-limited texture then hardly changes its sharpness
)


@dataclass(frozen=True)
class SceneStyle:
    """What a scene may be; the shares are probabilities.

    max_speed: the fastest that anything moves in the middle of the clip, pixels per frame. slowest: the top speed of a
    scene is spread evenly in octaves down to this share of it. static: nothing moves at all. still_camera: of the
    others. figures: a person of hinged limbs. chains: hinged bars. objects: the most free objects. grey, low_contrast:
    of the pictures (a low-contrast one is grey half the time). flicker: the light changes slowly. lens: the picture is
    enlarged by 1 to this, about a point anywhere in it, evenly in octaves; what is seen is then larger and smoother,
    and moves at the same speeds. cartoon: every surface is of one colour.
    """

    max_speed: float = 10.0
    slowest: float = 0.05
    static: float = 0.04
    still_camera: float = 0.45
    figures: float = 0.35
    chains: float = 0.15
    objects: int = 4
    grey: float = 0.25
    low_contrast: float = 0.25
    flicker: float = 0.1
    lens: float = 1.0
    cartoon: float = 0.0

    def __post_init__(self) -> None:
        for name in ("static", "still_camera", "figures", "chains", "grey", "low_contrast", "flicker", "cartoon"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}; expected a share from 0 to 1")
        if self.max_speed <= 0 or not 0 < self.slowest <= 1 or self.objects < 0 or self.lens < 1:
            raise InvalidInput(
                f"max_speed is {self.max_speed}, slowest {self.slowest}, objects {self.objects} and lens {self.lens};"
                " expected a positive speed, a share of it, a count, and an enlargement of at least 1"
            )


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer over the background: its joint, the part of its plane it covers, its look and its place in depth."""

    joint: Joint
    extent: tuple[float, float]
    centre: complex
    texture: Tensor  # (4, r, r)
    ripple: Ripple | None = None
    depth: int = 0


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
        speed, way, bend = self.speed(rng), _direction(rng), _direction(rng)
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
        return _one_of(rng, Curve(offset=offset), Curve(offset=offset, velocity=rate), _swing(rng, rate, offset))

    def growing(self, rng: np.random.Generator, radius: float) -> Curve:
        """The logarithm of a size that stays within a factor of 1.4; often still."""
        swing = _swing(rng, self.speed(rng) / radius, 0.0)
        return _one_of(
            rng, STILL, Curve(amplitude=min(abs(swing.amplitude), 0.33), omega=swing.omega, phase=swing.phase)
        )


def draw_scene(
    seed: int, detail: int, span: int = 20, frame_gap: float = 1 / 25, style: SceneStyle | None = None
) -> Scene:
    """The scene of a seed, sharp for frames whose shorter side is `detail` pixels, moving over `span` frames."""
    style = style or SceneStyle()
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    moves = rng.random() >= style.static
    lens, eye = _lens(rng, style.lens)
    fastest = style.max_speed * 2 / detail / lens
    pace = Pace(fastest * float(np.exp(rng.uniform(math.log(style.slowest), 0))), span)
    side = int(TEXELS_PER_PIXEL * detail)
    layers = _cast(rng, generator, style, pace, side, detail) if moves or rng.random() < 0.7 else []
    still_camera = not moves or (bool(layers) and rng.random() < style.still_camera)
    camera = Joint() if still_camera else _camera(rng, pace)
    parallax = rng.uniform(0.3, 1.0) if rng.random() < 0.6 else 1.0
    joints = [Joint(angle=Curve(offset=rng.uniform(0, 2 * math.pi)), depth=parallax), *(each.joint for each in layers)]
    if not moves:
        joints = [_frozen(joint) for joint in joints]
    ripples = {1 + i: each.ripple for i, each in enumerate(layers) if each.ripple is not None and moves}
    if moves and not still_camera and rng.random() < 0.2:
        ripples[0] = _ripple(rng, pace.top / BACKGROUND_EXTENT)
    cartoon = style.cartoon > 0 and rng.random() < style.cartoon  # no draw at 0: a style keeps its scenes
    background, covers = _finish(rng, generator, style, layers, side, detail, cartoon)
    flickers = moves and rng.random() < style.flicker
    return Scene(
        background=background,
        layers=covers,
        centre=np.array([0, *(each.centre for each in layers)], dtype=np.complex128),
        extent=np.array([(BACKGROUND_EXTENT, BACKGROUND_EXTENT), *(each.extent for each in layers)]),
        order=tuple(sorted(range(len(layers)), key=lambda index: layers[index].depth)),
        rig=Rig(joints, camera, lens, eye),
        ripples=ripples,
        gain=_flicker(rng) if flickers else Curve(offset=1.0),
        detail=detail,
        frame_gap=frame_gap,
        middle=(span - 1) / 2,
    )


def _cast(
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
    ripple = _ripple(rng, pace.speed(rng) / radius) if rng.random() < 0.3 and not still else None
    return Layer(joint, (radius, radius * narrow), 0j, texture, ripple)


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


def _camera(rng: np.random.Generator, pace: Pace) -> Joint:
    shake = Curve(
        amplitude=_direction(rng) * pace.speed(rng), omega=2 * math.pi / rng.uniform(8, 30), phase=rng.uniform(0, 6.28)
    )
    path = _one_of(rng, pace.path(rng, 0j), pace.path(rng, 0j), shake, STILL)
    return Joint(path=path, angle=pace.turning(rng, 2.0), log_scale=pace.growing(rng, 1.0))


def _lens(rng: np.random.Generator, longest: float) -> tuple[float, complex]:
    """An enlargement, and a centre that keeps the picture within what it shows of the plane."""
    if longest == 1:
        return 1.0, 0j
    lens = float(np.exp(rng.uniform(0, math.log(longest))))
    room = 1 - 1 / lens
    return lens, complex(rng.uniform(-room, room), rng.uniform(-room, room))


def _ripple(rng: np.random.Generator, speed: float) -> Ripple:
    """A deformation whose points move by up to `speed` texture units per frame and whose slope stays below 0.6."""
    wave = rng.uniform(-4, 4, (2, 2))
    steep = np.hypot(wave[:, 0], wave[:, 1]).clip(1)
    omega = 2 * math.pi / rng.uniform(10, 60, 2)
    amplitude = np.minimum(np.minimum(speed / omega, 0.12), 0.4 / steep)
    return Ripple(amplitude, wave, omega * rng.choice([-1, 1], 2), rng.uniform(0, 2 * math.pi, 2))


def _finish(
    rng: np.random.Generator,
    generator: torch.Generator,
    style: SceneStyle,
    layers: list[Layer],
    side: int,
    detail: int,
    cartoon: bool,
) -> tuple[Tensor, Tensor]:
    """The background (3, R, R) and the layers (N, 4, r, r), seen through one lens and in one light."""
    fields = textures.noise(torch.from_numpy(rng.uniform([0.7, 0.6], [1.8, 1.4])).float(), int(1.3 * side), generator)
    background = textures.paint(rng, fields, detail)[None]
    covers = torch.stack([each.texture for each in layers]) if layers else torch.zeros(0, 4, side, side)
    if cartoon:
        background, surfaces = (_of_one_colour(rng, painted) for painted in (background, covers[:, :3]))
        covers = torch.cat([surfaces, covers[:, 3:]], dim=1)
    low = rng.random() < style.low_contrast
    grey = rng.random() < (0.5 if low else style.grey)
    if grey:
        background = background.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
        covers = torch.cat([covers[:, :3].mean(dim=1, keepdim=True).expand(-1, 3, -1, -1), covers[:, 3:]], dim=1)
    if low:
        level, contrast = rng.uniform(0.3, 0.8), rng.uniform(0.08, 0.4)
        background = level + contrast * (background - background.mean())
        contrast = max(contrast, rng.uniform(0.2, 1.0))
        covers = torch.cat([level + contrast * (covers[:, :3] - rng.uniform(0.4, 0.9)), covers[:, 3:]], dim=1)
    softness = rng.uniform(0.4, 0.9) * 2 / detail  # of the lens, on the plane
    extent = torch.tensor([(BACKGROUND_EXTENT, BACKGROUND_EXTENT)]).float()
    background = textures.blur(background, softness * background.shape[-1] / (2 * extent))
    if layers:
        extent = torch.tensor([each.extent for each in layers]).float()
        covers = textures.blur(covers, softness * side / (2 * extent))
    return background[0].clamp(0, 1).contiguous(), covers.clamp(0, 1).contiguous()


def _of_one_colour(rng: np.random.Generator, surfaces: Tensor) -> Tensor:
    """Surfaces (N, 3, r, r), each of any one colour."""
    return torch.from_numpy(rng.random((len(surfaces), 3, 1, 1))).float().expand_as(surfaces)


def _flicker(rng: np.random.Generator) -> Curve:
    return Curve(
        offset=1.0,
        amplitude=rng.uniform(0.02, 0.15),
        omega=2 * math.pi / rng.uniform(20, 80),
        phase=rng.uniform(0, 6.28),
    )


def _frozen(joint: Joint) -> Joint:
    def at_rest(curve: Curve) -> Curve:
        return Curve(offset=complex(curve(np.zeros(1))[0]))

    return Joint(at_rest(joint.path), at_rest(joint.angle), at_rest(joint.log_scale), joint.parent, joint.depth)


def _swing(rng: np.random.Generator, rate: float, offset: float) -> Curve:
    omega = 2 * math.pi / rng.uniform(10, 60)
    return Curve(offset=offset, amplitude=rate / omega, omega=omega, phase=rng.uniform(0, 6.28))


def _direction(rng: np.random.Generator) -> complex:
    return complex(np.exp(1j * rng.uniform(0, 2 * math.pi)))


def _one_of(rng: np.random.Generator, *curves: Curve) -> Curve:
    return curves[rng.integers(len(curves))]

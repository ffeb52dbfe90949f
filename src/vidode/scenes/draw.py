"""Inventing scenes: what stands where, how it looks, and how it moves.

Lengths are in the plane's units (the frame's shorter side is 2), speeds in pixels per frame at the scene's detail.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from vidode.scenes import textures
from vidode.scenes.cast import Layer, cast, ripple
from vidode.scenes.motion import STILL, Curve, Joint, Rig
from vidode.scenes.pace import Pace, direction, one_of
from vidode.scenes.scene import Scene
from vidode.scenes.style import SceneStyle

BACKGROUND_EXTENT = 1.3
TEXELS_PER_PIXEL = (
    1.5  # of the background; bilinear resampling of a band-limited texture then hardly changes its sharpness
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
    layers = cast(rng, generator, style, pace, side, detail) if moves or rng.random() < 0.7 else []
    still_camera = not moves or (bool(layers) and rng.random() < style.still_camera)
    camera = Joint() if still_camera else _camera(rng, pace)
    parallax = rng.uniform(0.3, 1.0) if rng.random() < 0.6 else 1.0
    joints = [Joint(angle=Curve(offset=rng.uniform(0, 2 * math.pi)), depth=parallax), *(each.joint for each in layers)]
    if not moves:
        joints = [_frozen(joint) for joint in joints]
    ripples = {1 + i: each.ripple for i, each in enumerate(layers) if each.ripple is not None and moves}
    if moves and not still_camera and rng.random() < 0.2:
        ripples[0] = ripple(rng, pace.top / BACKGROUND_EXTENT)
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


def _camera(rng: np.random.Generator, pace: Pace) -> Joint:
    shake = Curve(
        amplitude=direction(rng) * pace.speed(rng), omega=2 * math.pi / rng.uniform(8, 30), phase=rng.uniform(0, 6.28)
    )
    path = one_of(rng, pace.path(rng, 0j), pace.path(rng, 0j), shake, STILL)
    return Joint(path=path, angle=pace.turning(rng, 2.0), log_scale=pace.growing(rng, 1.0))


def _lens(rng: np.random.Generator, longest: float) -> tuple[float, complex]:
    """An enlargement, and a centre that keeps the picture within what it shows of the plane."""
    if longest == 1:
        return 1.0, 0j
    lens = float(np.exp(rng.uniform(0, math.log(longest))))
    room = 1 - 1 / lens
    return lens, complex(rng.uniform(-room, room), rng.uniform(-room, room))


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

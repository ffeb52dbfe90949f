"""What a scene may be."""

from __future__ import annotations

from dataclasses import dataclass

from vidode.clip import InvalidInput


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

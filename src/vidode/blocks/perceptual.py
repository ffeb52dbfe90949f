"""LPIPS: how far apart two images are to a network that learned to see (Zhang et al., CVPR 2018), version 0.1, AlexNet.

    y_l = normalise(layer_l(2 x - 1)),   d(a, b) = sum_l mean_hw( w_l . (y_l(a) - y_l(b))^2 )

over the five convolutions of AlexNet after their ReLU, normalised to unit length over channels at every position.

The weights are never shipped. They come from a safetensors file with `convN.weight`, `convN.bias` and `linearN.weight`
for N = 1 ... 5, else from torchvision (ImageNet AlexNet, downloaded by it) with the heads that torchmetrics carries.
"""

from __future__ import annotations

import importlib.resources
import os
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vidode.clip import InvalidInput

VARIABLE = "VIDODE_LPIPS"
"""The environment variable that names the weights file."""

CHANNELS = (3, 64, 192, 384, 256, 256)
KERNELS = (11, 5, 3, 3, 3)
STRIDES = (4, 1, 1, 1, 1)
PADDINGS = (2, 2, 1, 1, 1)
POOLED = (False, True, True, False, False)
"""Whether a 3x3 max-pool of stride 2 stands before each convolution."""
SMALLEST = 31
"""The least height and width in pixels that leave the second pool something to see."""

_TORCHVISION_LAYERS = (0, 3, 6, 8, 10)
_NAMES = {
    f"{theirs}{n}.{kind}": f"{ours}.{n - 1}.{kind}"
    for n in range(1, 6)
    for theirs, ours, kind in (("conv", "layers", "weight"), ("conv", "layers", "bias"), ("linear", "heads", "weight"))
}
"""Names in a weights file, and in the network."""


class MissingWeights(InvalidInput):
    """No LPIPS weights were found anywhere: LPIPS cannot be measured here."""


class Lpips(nn.Module):
    """The distance. It has no random state of use: give it weights with `load_lpips`."""

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(CHANNELS[i], CHANNELS[i + 1], KERNELS[i], STRIDES[i], PADDINGS[i]) for i in range(5)
        )
        self.heads = nn.ModuleList(nn.Conv2d(channels, 1, 1, bias=False) for channels in CHANNELS[1:])
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188]).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450]).reshape(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """The distance (N,) of images (N, C, H, W) in [0, 1].

        One channel is seen as grey; where there are neither one nor three, each channel is seen as a grey image of
        its own and the distances are averaged.

        Raises `InvalidInput` for shapes that differ and for images smaller than the network can see.
        """
        _require_pair(a, b)
        count, channels = a.shape[:2]
        if channels != 3:
            a, b = _as_grey_images(a), _as_grey_images(b)
        distance = torch.zeros(len(a), dtype=a.dtype, device=a.device)
        for x, y, head in zip(self.features(a), self.features(b), self.heads, strict=True):
            distance = distance + head((x - y).square()).mean(dim=(1, 2, 3))
        return distance if channels == 3 else distance.reshape(count, channels).mean(dim=1)

    def features(self, images: Tensor) -> list[Tensor]:
        """What the five layers see in images (N, 3, H, W) in [0, 1], of unit length over channels."""
        x = (2 * images - 1 - self.shift) / self.scale
        seen = []
        for layer, pooled in zip(self.layers, POOLED, strict=True):
            x = F.max_pool2d(x, kernel_size=3, stride=2) if pooled else x
            x = torch.relu(layer(x))
            seen.append(x / (x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10))
        return seen


def load_lpips(path: str | Path | None = None) -> Lpips:
    """LPIPS with weights from `path`, else from the file that VIDODE_LPIPS names, else from torchvision.

    Raises `InvalidInput` for a file that is not what it should be, and `MissingWeights` where there is none at all.
    """
    chosen = path or os.environ.get(VARIABLE) or None  # set to nothing is not set
    return with_weights(_from_torchvision() if chosen is None else _read(Path(chosen)))


def with_weights(state: Mapping[str, Tensor]) -> Lpips:
    """LPIPS from `convN.weight`, `convN.bias` and `linearN.weight` for N = 1 ... 5, in evaluation mode."""
    network = Lpips()
    own = network.state_dict()
    wrong = sorted(
        name
        for name in _NAMES.keys() | state.keys()
        if name not in _NAMES or name not in state or state[name].shape != own[_NAMES[name]].shape
    )
    if wrong:
        raise InvalidInput(
            f"LPIPS weights: {wrong[0]} is missing, unknown or of the wrong shape (and {len(wrong) - 1} others); "
            "expected convN.weight, convN.bias and linearN.weight of AlexNet for N = 1 ... 5"
        )
    if broken := next((name for name in sorted(state) if not bool(state[name].isfinite().all())), None):
        raise InvalidInput(f"LPIPS weights: {broken} holds numbers that are not finite; expected those of AlexNet")
    network.load_state_dict({_NAMES[name]: value for name, value in state.items()})
    return network.eval()


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InvalidInput(f"no LPIPS weights at {path}; expected a safetensors file: correct the path or {VARIABLE}")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InvalidInput(f"{path} cannot be read as safetensors ({error}); expected LPIPS weights") from error


def _from_torchvision() -> dict[str, Tensor]:
    """ImageNet AlexNet as torchvision downloads it, and the heads that torchmetrics carries."""
    try:
        from torchvision.models import AlexNet_Weights, alexnet  # type: ignore[import-not-found, unused-ignore]

        backbone = alexnet(weights=AlexNet_Weights.IMAGENET1K_V1).features
        carried = importlib.resources.files("torchmetrics.functional.image") / "lpips_models" / "alex.pth"
        with importlib.resources.as_file(carried) as path:
            heads = torch.load(path, map_location="cpu", weights_only=True)
    except (ImportError, OSError) as error:
        raise MissingWeights(
            f"no LPIPS weights: {VARIABLE} is not set and torchvision gave none ({_first_line(error)}); "
            f"set {VARIABLE} to a safetensors file of them, or install torchvision"
        ) from error
    state = {}
    for number, layer in enumerate(_TORCHVISION_LAYERS, start=1):
        state[f"conv{number}.weight"] = backbone[layer].weight.detach()
        state[f"conv{number}.bias"] = backbone[layer].bias.detach()
        state[f"linear{number}.weight"] = heads[f"lin{number - 1}.model.1.weight"]
    return state


def _require_pair(a: Tensor, b: Tensor) -> None:
    if a.dim() != 4 or a.shape != b.shape:
        raise InvalidInput(f"images have shapes {tuple(a.shape)} and {tuple(b.shape)}; expected one (N, C, H, W)")
    if min(a.shape[-2:]) < SMALLEST:
        raise InvalidInput(f"images have size {tuple(a.shape[-2:])}; LPIPS needs at least {SMALLEST}x{SMALLEST} pixels")


def _as_grey_images(images: Tensor) -> Tensor:
    """Each channel an image: (N, C, H, W) to (N * C, 3, H, W)."""
    return images.reshape(-1, 1, *images.shape[-2:]).expand(-1, 3, -1, -1)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

"""What VGG16 sees (Simonyan and Zisserman, ICLR 2015), up to its tenth convolution, conv4_3, before the ReLU.

The weights are never shipped. They come from a safetensors file with `convB_N.weight` and `convB_N.bias` for block B
and place N in it: 1_1, 1_2, 2_1, 2_2, 3_1, 3_2, 3_3, 4_1, 4_2, 4_3. In torchvision's `vgg16` these are, in this order,
`features.I.weight` and `features.I.bias` with I = 0, 2, 5, 7, 10, 12, 14, 17, 19, 21.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vidode.clip import InvalidInput

VARIABLE = "VIDODE_VGG16"
"""The environment variable that names the weights file."""

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512))
"""Channels of the convolutions; a 2x2 max-pool stands between blocks."""
SMALLEST = 8
"""The least height and width in pixels that leave the last pool something to see."""


class Vgg(nn.Module):
    """Images (N, 3, H, W), shifted as the weights expect, to features (N, 512, H // 8, W // 8).

    It learns nothing. Give it weights with `load_vgg`.
    """

    def __init__(self) -> None:
        super().__init__()
        inputs = 3
        for block, channels in enumerate(BLOCKS, start=1):
            for place, outputs in enumerate(channels, start=1):
                self.add_module(f"conv{block}_{place}", nn.Conv2d(inputs, outputs, 3, padding=1))
                inputs = outputs
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """See the class. Raises `InvalidInput` for images that are too small to be seen."""
        if min(images.shape[-2:]) < SMALLEST:
            raise InvalidInput(
                f"images have size {tuple(images.shape[-2:])}; VGG16 needs at least {SMALLEST}x{SMALLEST} pixels"
            )
        x = images
        for name, layer in self.named_children():
            if name != "conv1_1":
                x = F.relu(x)
                x = F.max_pool2d(x, kernel_size=2) if name.endswith("_1") else x
            x = layer(x)
        return x


def load_vgg(path: str | Path | None = None) -> Vgg:
    """VGG16 with weights from `path`, else from the file that VIDODE_VGG16 names.

    Raises `InvalidInput` where there is no such file, and for one that is not what it should be.
    """
    chosen = path or os.environ.get(VARIABLE) or None  # set to nothing is not set
    if chosen is None:
        raise InvalidInput(
            f"no VGG16 weights: {VARIABLE} is not set; set it to a safetensors file of them, or leave the perceptual"
            " term out (weight 0)"
        )
    network, state = Vgg(), _read(Path(chosen))
    own = network.state_dict()
    wrong = sorted(
        name
        for name in own.keys() | state.keys()
        if name not in own or name not in state or state[name].shape != own[name].shape
    )
    if wrong:
        raise InvalidInput(
            f"VGG16 weights: {wrong[0]} is missing, unknown or of the wrong shape (and {len(wrong) - 1} others);"
            " expected convB_N.weight and convB_N.bias of 1_1 to 4_3"
        )
    network.load_state_dict(state)
    return network.eval()


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InvalidInput(f"no VGG16 weights at {path}; expected a safetensors file: correct the path or {VARIABLE}")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InvalidInput(f"{path} cannot be read as safetensors ({error}); expected VGG16 weights") from error

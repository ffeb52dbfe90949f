"""Pictures: strips with their names before them."""

import numpy as np
import torch
from PIL import Image

from vidode.pictures import write_strips


def test_names_stand_before_the_frames_and_change_none(tmp_path):
    strips = [torch.rand(3, 1, 32, 32), torch.rand(2, 3, 32, 32)]
    write_strips(tmp_path / "bare.png", strips)
    write_strips(tmp_path / "named.png", strips, names=["truth", "deep_voxel_flow"])
    bare, named = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("bare", "named"))
    added = named.shape[1] - bare.shape[1]
    assert added > 0
    assert (named[:, added:] == bare).all()
    assert all(row.any() for row in np.split(named[:, :added], 2))


def test_a_name_on_a_strip_lower_than_its_letters_is_cut(tmp_path):
    write_strips(tmp_path / "low.png", [torch.zeros(1, 1, 4, 4)], names=["truth"])
    assert Image.open(tmp_path / "low.png").height == 6

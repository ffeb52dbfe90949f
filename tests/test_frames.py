"""E, G and f have the paper's sizes, and frames of any size pass through them."""

import pytest
import torch

from vidode.blocks.fields import ConvField
from vidode.blocks.frames import FrameDecoder, FrameEncoder, pad_to_multiple
from vidode.models import parameter_count


def test_the_papers_sizes():
    assert parameter_count(FrameEncoder(3, 32)) == 165_376
    assert parameter_count(FrameDecoder(256, 32, 6)) == 372_678
    assert parameter_count(ConvField(128, 64)) == 221_504


@pytest.mark.parametrize("downs", [1, 2, 3])
def test_g_undoes_the_size_of_e(downs):
    features = FrameEncoder(2, 3, downs)(torch.rand(2, 2, 24, 16))
    assert features.shape == (2, 3 * 2**downs, 24 // 2**downs, 16 // 2**downs)
    assert FrameDecoder(3 * 2**downs, 3, 5, downs)(features).shape == (2, 5, 24, 16)


@pytest.mark.parametrize(
    ("size", "padded"), [((1, 1), (4, 4)), ((5, 8), (8, 8)), ((8, 12), (8, 12)), ((13, 3), (16, 4))]
)
def test_padding_repeats_the_border_and_crops_back(size, padded):
    frames = torch.rand(2, 3, *size)
    wide = pad_to_multiple(frames, 4)
    assert wide.shape[-2:] == padded
    assert torch.equal(wide[..., : size[0], : size[1]], frames)
    assert torch.equal(wide[..., -1, -1], frames[..., -1, -1])


@pytest.mark.parametrize(("size", "padded"), [((1, 1), (8, 8)), ((9, 3), (12, 8)), ((8, 8), (8, 8))])
def test_padding_goes_up_to_a_least_side(size, padded):
    frames = torch.rand(2, 3, *size)
    wide = pad_to_multiple(frames, 4, least=8)
    assert wide.shape[-2:] == padded
    assert torch.equal(wide[..., : size[0], : size[1]], frames)


def test_a_frame_is_encoded_by_itself_in_evaluation():
    encoder = FrameEncoder(3, 4).eval()
    frames = torch.rand(3, 3, 8, 8)
    torch.testing.assert_close(encoder(frames)[1:2], encoder(frames[1:2]))


def test_the_field_has_tanh_between_its_convolutions_and_none_at_the_end():
    field = ConvField(3, 2, layers=1)
    with torch.no_grad():
        field.layers[-1].bias.fill_(7.0)
    assert [type(layer).__name__ for layer in field.layers] == ["Conv2d", "Tanh"] * 2 + ["Conv2d"]
    assert (field(torch.zeros(1, 3, 4, 4)) > 2).all()

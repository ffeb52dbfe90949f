"""Zero flow is the identity, an integer flow is a shift, and the composition is what its mask says."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidode.blocks.warp import compose, shift, warp


@settings(max_examples=20, deadline=None)
@given(height=st.integers(1, 33), width=st.integers(1, 33), seed=st.integers(0, 99))
def test_zero_flow_is_the_identity_even_after_a_hundred_warps(height, width, seed):
    frames = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(seed))
    moved = frames
    for _ in range(100):
        moved = warp(moved, torch.zeros(2, 2, height, width))
    torch.testing.assert_close(moved, frames, atol=1e-6, rtol=0)


def test_zero_flow_is_the_identity_on_a_large_frame():
    frames = torch.rand(1, 1, 270, 481)
    assert (warp(frames, torch.zeros(1, 2, 270, 481)) - frames).abs().max() < 1e-6


@settings(max_examples=20, deadline=None)
@given(x=st.integers(-3, 3), y=st.integers(-3, 3))
def test_an_integer_flow_is_a_shift_with_the_border_going_on(x, y):
    frames = torch.rand(1, 2, 7, 9)
    flow = torch.tensor([float(x), float(y)])[None, :, None, None].expand(1, 2, 7, 9)
    rows, columns = (torch.arange(7) + y).clamp(0, 6), (torch.arange(9) + x).clamp(0, 8)
    torch.testing.assert_close(warp(frames, flow), frames[:, :, rows][..., columns], atol=1e-6, rtol=0)


def test_half_a_pixel_is_the_mean_of_two():
    frames = torch.rand(1, 1, 4, 6)
    flow = torch.zeros(1, 2, 4, 6)
    flow[:, 0] = 0.5
    torch.testing.assert_close(warp(frames, flow)[..., :-1], (frames[..., 1:] + frames[..., :-1]) / 2)


def test_positions_are_wide_under_autocast():
    frames, flow = torch.rand(1, 3, 65, 65), torch.rand(1, 2, 65, 65)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(warp(frames, flow), warp(frames.clone(), flow))
        assert warp(frames, torch.zeros_like(flow)).sub(frames).abs().max() < 1e-6


def test_gradients_of_frames_and_flow():
    generator = torch.Generator().manual_seed(0)
    frames = torch.rand(1, 2, 4, 5, dtype=torch.float64, generator=generator, requires_grad=True)
    flow = torch.rand(1, 2, 4, 5, dtype=torch.float64, generator=generator) * 0.8 + 0.1
    assert torch.autograd.gradcheck(warp, (frames, flow.requires_grad_()))


def test_a_mask_of_one_is_the_warp_and_of_zero_the_synthesis():
    warped, difference = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    assert torch.equal(compose(warped, difference, torch.ones(2, 1, 4, 4)), warped)
    assert torch.equal(compose(warped, difference, torch.zeros(2, 1, 4, 4)), difference)
    middle = compose(warped, difference, torch.full((2, 1, 4, 4), 0.25))
    torch.testing.assert_close(middle, 0.25 * warped + 0.75 * difference)


def test_a_shift_reads_each_map_at_its_offset_and_zero_outside():
    maps = torch.rand(2, 3, 5, 6)
    offsets = torch.tensor([[[0.0, 0.0], [2.0, -1.0], [-0.5, 0.0]]]).expand(2, -1, -1)
    moved = shift(maps, offsets)
    torch.testing.assert_close(moved[:, 0], maps[:, 0], atol=1e-5, rtol=0)
    torch.testing.assert_close(moved[:, 1, 1:, :4], maps[:, 1, :-1, 2:], atol=1e-5, rtol=0)
    assert not moved[:, 1, 0].any()
    assert moved[:, 1, :, 4:].abs().max() < 1e-5
    torch.testing.assert_close(moved[:, 2, :, 1:], (maps[:, 2, :, 1:] + maps[:, 2, :, :-1]) / 2, atol=1e-5, rtol=0)


@settings(max_examples=20, deadline=None)
@given(x=st.integers(-3, 3), y=st.integers(-3, 3))
def test_where_all_is_zero_outside_an_integer_flow_is_a_shift_with_zeros(x, y):
    frames = torch.rand(1, 2, 7, 9)
    flow = torch.tensor([float(x), float(y)])[None, :, None, None].expand(1, 2, 7, 9)
    wide = torch.nn.functional.pad(frames, (3, 3, 3, 3))
    expected = wide[..., 3 + y : 10 + y, 3 + x : 12 + x]
    torch.testing.assert_close(warp(frames, flow, outside="zeros"), expected, atol=1e-6, rtol=0)

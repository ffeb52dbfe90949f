"""What a recurrence reads: each frame's own features, and how long ago it was."""

import torch

from vidode.blocks.context import ContextEncoder, with_time


@torch.no_grad()
def test_a_frame_is_read_by_itself_at_a_quarter_of_its_size():
    torch.manual_seed(0)
    encoder, frames = ContextEncoder(3, 4, 6), torch.rand(2, 3, 16, 24)
    read = encoder(frames)
    assert read.shape == (2, 6, 4, 6)
    torch.testing.assert_close(read, torch.cat([encoder(one) for one in frames.split(1)]), atol=1e-5, rtol=0)


def test_a_time_is_one_more_channel_of_its_map():
    maps, time = torch.rand(2, 3, 4, 2, 5), torch.tensor([[-2.0, -0.5, 0.0], [1.0, 2.0, 4.0]])
    told = with_time(maps, time)
    assert torch.equal(told[:, :, :4], maps)
    assert torch.equal(told[:, :, 4], time[:, :, None, None].expand(2, 3, 2, 5))
    assert torch.equal(with_time(maps[0], time[0]), told[0])

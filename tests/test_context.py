"""What a recurrence reads: each frame's own features, and how long ago it was."""

import torch

from vidode.blocks.context import ContextEncoder, with_age


@torch.no_grad()
def test_a_frame_is_read_by_itself_at_a_quarter_of_its_size():
    torch.manual_seed(0)
    encoder, frames = ContextEncoder(3, 4, 6), torch.rand(2, 3, 16, 24)
    read = encoder(frames)
    assert read.shape == (2, 6, 4, 6)
    torch.testing.assert_close(read, torch.cat([encoder(one) for one in frames.split(1)]), atol=1e-5, rtol=0)


def test_ages_count_from_the_last_of_each_row():
    features, times = torch.rand(2, 3, 4, 2, 2), torch.tensor([[-2.0, -0.5, 0.0], [1.0, 2.0, 4.0]])
    aged = with_age(features, times)
    assert torch.equal(aged[:, :, :4], features)
    assert torch.equal(aged[:, :, 4, 1, 1], torch.tensor([[-2.0, -0.5, 0.0], [-3.0, -2.0, 0.0]]))
    assert torch.equal(with_age(features, times + 7)[:, :, 4], aged[:, :, 4])

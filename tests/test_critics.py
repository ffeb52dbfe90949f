"""Critics have the paper's sizes, and are shown the paper's sequences."""

import pytest
import torch

from vidode.blocks.critics import PatchCritic, sequences_between, sequences_beyond
from vidode.clip import Batch, Clip, InvalidInput
from vidode.models import parameter_count


@pytest.mark.parametrize(("inputs", "count"), [(3, 3_280_768), (18, 3_296_128), (15, 3_293_056)])
def test_the_papers_sizes(inputs, count):
    critic = PatchCritic(inputs)
    assert parameter_count(critic) == count
    assert critic(torch.rand(1, inputs, 32, 32)).shape == (1, 64, 6, 6)


@torch.no_grad()
def test_a_margin_of_one_pixel_gives_the_map_of_14_by_14():
    critic = PatchCritic(3, scores=1, margin=1, bias=True)
    assert parameter_count(critic) == 2_764_737  # as the critic of CycleGAN
    assert critic(torch.rand(1, 3, 128, 128)).shape == (1, 1, 14, 14)
    assert PatchCritic(3, width=4)(torch.rand(1, 3, 128, 128)).shape == (1, 4, 18, 18)
    assert PatchCritic(3, width=4, margin=1)(torch.rand(1, 3, 24, 24)).shape == (1, 4, 1, 1)


def numbered(values, batch=1):
    """Frames (B, T, 1, 1, 1) that hold their number."""
    return torch.tensor([values] * batch).float()[..., None, None, None]


def observe(numbers, unseen=()):
    clip = Clip(numbered(numbers)[0], torch.tensor(numbers).double())
    batch = Batch.collate([clip])
    for place in unseen:
        batch.seen[0, place] = False
    return batch


def test_beyond_slides_over_what_was_seen_and_what_came():
    observed, query = observe([0, 1, 2]), torch.tensor([[3.0, 4.0]])
    real, fake = sequences_beyond(observed, query, numbered([3, 4]), numbered([30, 40]), count=3)
    assert real.flatten(1).tolist() == [[0, 1, 2, 3], [1, 2, 3, 4]]
    assert fake.flatten(1).tolist() == [[0, 1, 2, 30], [1, 2, 30, 40]]


def test_the_papers_fake_has_one_generated_frame():
    observed, query = observe([0, 1, 2]), torch.tensor([[3.0, 4.0]])
    real, fake = sequences_beyond(observed, query, numbered([3, 4]), numbered([30, 40]), count=3, generated="last")
    assert fake.flatten(1).tolist() == [[0, 1, 2, 30], [1, 2, 3, 40]]
    assert torch.equal(real[:, :3], fake[:, :3])


def test_beyond_reads_the_last_seen_frames_and_orders_the_queries():
    observed, query = observe([0, 1, 2, 3, 4], unseen=(2, 4)), torch.tensor([[6.0, 5.0]])
    real, _ = sequences_beyond(observed, query, numbered([6, 5]), numbered([60, 50]), count=2)
    assert real.flatten(1).tolist() == [[1, 3, 5], [3, 5, 6]]


def test_between_replaces_one_frame_at_a_time():
    observed = observe([0, 1, 2])
    real, fake = sequences_between(observed, observed.times, numbered([0, 1, 2]), numbered([10, 11, 12]), count=3)
    assert real.flatten(1).tolist() == [[0, 1, 2]] * 3
    assert fake.flatten(1).tolist() == [[10, 1, 2], [0, 11, 2], [0, 1, 12]]


def test_between_reads_the_seen_frames_around_the_query():
    observed, query = observe([0, 1, 2, 3, 4, 5, 6], unseen=(3,)), torch.tensor([[0.2, 4.4, 6.0]])
    real, _ = sequences_between(observed, query, numbered([7, 8, 9]), numbered([7, 8, 9]), count=3)
    assert real.flatten(1).tolist() == [[7, 1, 2], [2, 8, 5], [4, 5, 9]]


def test_too_few_frames_are_refused():
    with pytest.raises(InvalidInput, match=r"2 seen frames; the sequence critic reads 3"):
        sequences_beyond(observe([0, 1]), torch.tensor([[2.0]]), numbered([2]), numbered([2]), count=3)

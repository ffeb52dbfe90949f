"""What only the Latent ODE with a map for a latent has; the rest is tested beside `latent_ode`."""

import pytest
import torch

from vidode.blocks.frames import encode_seen
from vidode.clip import Batch, Clip, InvalidInput
from vidode.models import build, parameter_count


def network(**options):
    torch.manual_seed(0)
    return build("latent_ode_conv", width=4, **options).eval()


def clip(steps=4, size=(12, 20)):
    frames = torch.rand(steps, 3, *size, generator=torch.Generator().manual_seed(0))
    return Batch.collate([Clip(frames, torch.arange(steps) / 10)])


def test_its_networks_are_those_of_vid_ode_but_for_the_decoder():
    mine, theirs = build("latent_ode_conv"), build("vid_ode", encoder={"unused_half": True})
    pairs = [("frame_encoder", "frame_encoder"), ("recognition", "encoder"), ("head", "z0"), ("field", "field")]
    for part, their_part in pairs:
        got, expected = mine.get_submodule(part).state_dict(), theirs.get_submodule(their_part).state_dict()
        assert {name: value.shape for name, value in got.items()} == {n: v.shape for n, v in expected.items()}


@torch.no_grad()
def test_every_place_of_the_map_is_drawn_and_diverges_by_itself():
    made = network()(clip(), torch.tensor([[0.05]]))
    assert made.draws.posterior.divergence().shape == (1, 16, 3, 5)
    assert made.latent.shape == (1, 1, 16, 3, 5)


@torch.no_grad()
def test_its_recognised_state_is_the_head_of_the_backward_encoder():
    model, observed = network(), clip()
    times = torch.arange(4.0)[None] / 10  # one unit is ten gaps
    features = encode_seen(model.frame_encoder, observed.frames, observed.seen)
    state = model.recognition(features, times, observed.seen, "backward")
    mean = model.head(state)[:, :16]
    made = model(observed, torch.tensor([[0.05]]))
    torch.testing.assert_close(made.draws.posterior.mean, mean, atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_recognition_can_be_solved_more_finely():
    answers = [
        network(**options)(clip(), torch.tensor([[0.15]])).frames
        for options in ({}, {"recognition": {"method": "rk4", "step": 0.02}})
    ]
    assert (answers[0] - answers[1]).abs().max() > 1e-7


def test_more_width_is_more_of_everything():
    assert parameter_count(build("latent_ode_conv", width=16)) < parameter_count(build("latent_ode_conv")) / 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 5}, "width is 5; expected an even number"),
        ({"neighbours": 0}, "neighbours is 0; expected at least 1"),
    ],
)
def test_what_makes_no_network_is_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        build("latent_ode_conv", **options)

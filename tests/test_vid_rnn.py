"""Vid-RNN: its states at slots and between them, and the ladder of Vid-ODE's ablation, which is configuration."""

import pytest
import torch
from torch import nn

from vidode.clip import Batch, Clip, InvalidInput
from vidode.experiments.paper.table5 import STEPS
from vidode.models import Example, build, parameter_count
from vidode.models.vid_ode import VidOdeObjective

SMALL = {"width": 4, "neighbours": 5}


def made(**options):
    torch.manual_seed(0)
    model = build("vid_rnn", **{**SMALL, **options}).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
    return model


def batch(count=5, size=(16, 16), gap=1.0, seed=0):
    frames = torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed))
    return Batch.collate([Clip(frames, gap * torch.arange(count, dtype=torch.float64))])


def answer(model, observed, *times):
    with torch.no_grad():
        return model(observed, torch.tensor([times], dtype=torch.float64))


@torch.no_grad()
def states(model, observed, count):
    h = torch.zeros(1, 16, 4, 4)
    for frame in observed.frames[0].flip(0):
        h = model.cell(model.frame_encoder(frame[None]), h)
    found = [model.z0(h)]
    for _ in range(count):
        x = found[-1] if model.config.reads == "state" else torch.zeros_like(found[-1])
        found.append(model.transition(x, found[-1]))
    return torch.cat(found)


@pytest.mark.parametrize("reads", ["state", "nothing"])
def test_at_slots_the_state_is_that_of_the_recurrence(reads):
    model, observed = made(reads=reads), batch()
    by_hand = states(model, observed, 6)
    torch.testing.assert_close(answer(model, observed, 2.0, 4.0, 5.0, 6.0).latent[0], by_hand[[2, 4, 5, 6]])


@pytest.mark.parametrize("first_state", ["features", "state"])
def test_the_drawn_frame_may_be_read_and_slots_then_count_from_the_last_one_seen(first_state):
    model, observed = made(reads="frame", chain={"first_state": first_state}), batch()
    found = answer(model, observed, 5.0, 6.0, 7.0)
    with torch.no_grad():
        x, g = model.frame_encoder(observed.frames[0, -1:]), states(model, observed, 0)
        for place in range(3):
            g = model.transition(x, g)
            torch.testing.assert_close(found.latent[0, place], g[0])
            x = model.frame_encoder(found.frames[:, place])
    torch.testing.assert_close(answer(model, observed, 6.5, 6.0).frames[:, 1], found.frames[:, 1])


def test_half_way_it_is_the_mean_of_its_neighbours_and_elsewhere_their_mixture():
    model, observed = made(), batch(gap=2.0)  # every second frame: a slot is an observed gap
    by_hand = states(model, observed, 5)
    found = answer(model, observed, 1.0, 5.0, 4.5).latent[0]
    torch.testing.assert_close(found[0], (by_hand[0] + by_hand[1]) / 2)
    torch.testing.assert_close(found[1], (by_hand[2] + by_hand[3]) / 2)
    torch.testing.assert_close(found[2], 0.75 * by_hand[2] + 0.25 * by_hand[3])


def test_it_is_vid_ode_with_cells_in_the_place_of_fields():
    latent, width = 128, 32
    cell = 9 * 2 * latent * 2 * latent + 2 * latent + 9 * 2 * latent * latent + latent
    field = 2 * 9 * latent * latent // 2 + 2 * 9 * (latent // 2) ** 2 + 3 * latent // 2 + latent
    assert parameter_count(build("vid_rnn")) == parameter_count(build("vid_ode")) - 2 * field + cell
    assert width * 4 == latent


def test_its_losses_and_critics_are_those_of_vid_ode():
    model, observed = made(), batch()
    objective = model.objective()
    assert isinstance(objective, VidOdeObjective)
    target = torch.rand(1, 2, 3, 16, 16)
    example = Example(observed, torch.tensor([[5.0, 6.0]], dtype=torch.float64), target, "extrapolation")
    prediction = objective.answer(model, example)
    assert set(objective.critic_terms(example, prediction)) == {"image", "sequence"}
    terms = objective.model_terms(example, prediction)
    assert set(terms) == {"reconstruction", "difference", "image", "sequence"}
    torch.testing.assert_close(terms["reconstruction"], (prediction.frames - target).abs().mean())


def test_frames_are_warped_along_the_chain_of_vid_ode():
    model, observed = made(), batch()
    with torch.no_grad():
        model.frame_decoder.layers[-1].weight[:2] = 0
        model.frame_decoder.layers[-1].bias[:2] = 0
    beyond, within = answer(model, observed, 5.5), answer(model, observed, 0.5)
    torch.testing.assert_close(beyond.warped[0, 0, 0], observed.frames[0, -1])
    torch.testing.assert_close(within.warped[0, 0, 0], observed.frames[0, 0])


def test_slots_may_be_counted_from_the_first_query_as_the_released_code_counts():
    model, observed = made(chain={"origin": "first_query", "points": "queried"}), batch()
    by_hand = states(model, observed, 2)
    torch.testing.assert_close(answer(model, observed, 5.0, 6.0, 7.0).latent[0], by_hand)
    torch.testing.assert_close(answer(model, observed, 5.5, 6.0).latent[0, 0], by_hand[0])
    with pytest.raises(InvalidInput, match="counted from the anchor alone"):
        build("vid_rnn", reads="frame", chain={"origin": "first_query", "points": "queried"})


def test_its_state_is_as_precise_as_vid_odes_under_mixed_precision():
    for reads in ("state", "nothing", "frame"):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert answer(made(reads=reads), batch(), 2.5, 6.0).latent.dtype == torch.float32


def test_training_meets_the_slots_alone():
    def frames(**chain):
        model = made(chain=chain).train()
        return [answer(model, batch(), 5.0, 6.0).frames for _ in range(2)]

    torch.testing.assert_close(*frames())
    assert not torch.equal(*frames(extra=1.0))  # with short steps, at places of their own each time
    assert build("vid_ode", **SMALL).config.chain.extra == 0.25
    assert build("vid_rnn", **SMALL, chain={"step": 0.2}).config.chain.extra == 0.0


LADDER = {
    "B": (STEPS["B: + ODE-ConvGRU"], 3),
    "C": (STEPS["C: + critics"], 3),
    "D": (STEPS["D: + flow"], 2),
    "E": ({}, 6),
}


def inputs_of(model):
    return next(layer for layer in model.frame_decoder.layers if isinstance(layer, nn.Conv2d)).in_channels


TERMS = {
    "B": {"reconstruction"},
    "C": {"reconstruction", "image", "sequence"},
    "D": {"reconstruction", "image", "sequence"},
    "E": {"reconstruction", "difference", "image", "sequence"},
}


@pytest.mark.parametrize("step", LADDER)
def test_the_steps_of_the_ablation_are_configuration_of_vid_ode(step):
    options, channels = LADDER[step]
    torch.manual_seed(0)
    model = build("vid_ode", **SMALL, **options)
    assert model.frame_decoder.layers[-1].out_channels == channels
    alone = build("vid_ode", **SMALL, **options, chain={"given": "state"})
    assert 2 * inputs_of(alone) == inputs_of(model)
    assert answer(alone.eval(), batch(), 5.0).frames.shape == (1, 1, 3, 16, 16)
    example = Example(
        batch(), torch.tensor([[5.0, 6.0]], dtype=torch.float64), torch.rand(1, 2, 3, 16, 16), "extrapolation"
    )
    objective = model.objective()
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    terms = objective.model_terms(example, objective.answer(model.train(), example))
    assert set(terms) == TERMS[step]
    sum(terms.values()).backward()
    torch.optim.Adamax(model.parameters()).step()
    assert any(not torch.equal(before[name], weight) for name, weight in model.named_parameters())

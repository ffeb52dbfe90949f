"""Retrospective Cycle GAN: its sizes, the four passes of its one generator, its losses, and how it goes on."""

import math

import pytest
import torch
from torch import nn

from vidode.clip import Batch, Clip, InvalidInput
from vidode.models import Example, OptimiserConfig, build, parameter_count
from vidode.models.retrospective_cycle_gan import Generator, filtered, laplacian_of_gaussian, random_run
from vidode.training.learner import schedule

PLACES = (0.5, 0.3, 0.1)
"""What each of three frames given counts in the stub of a generator."""


class Stub(nn.Module):
    """A generator that tells what it was given, and in which order: a weighted sum of the frames."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, frames):
        return self.gain * (frames * torch.tensor(PLACES)[:, None, None, None]).sum(dim=1)


def network(**options):
    torch.manual_seed(0)
    small = {"width": 8, "blocks": 2, "neighbours": 3, "objective": {"width": 4}}
    return build("retrospective_cycle_gan", **{**small, **options})


def stubbed(**options):
    model = network(**options)
    model.generator = Stub()
    return model


def numbered(*values, size=(1, 1)):
    """Frames (T, 1, H, W) that hold their number."""
    return torch.tensor(values).float()[:, None, None, None].expand(-1, 1, *size).clone()


def example(seen=5, asked=3, clips=2, size=(24, 24), channels=3, seed=0):
    """Random frames at a gap of 0.1; clips start at different times."""
    generator = torch.Generator().manual_seed(seed)
    frames = torch.rand(clips, seen + asked, channels, *size, generator=generator)
    times = 0.1 * torch.arange(seen + asked).double() + 3 * torch.arange(clips).double()[:, None]
    observed = Batch.collate([Clip(f[:seen], t[:seen]) for f, t in zip(frames, times, strict=True)])
    return Example(observed, times[:, seen:], frames[:, seen:], "extrapolation")


def numbered_example(seen, asked, unseen=(), clips=1):
    """Frames that hold their time, observed at `seen` and asked at `asked`."""
    clip = Clip(numbered(*seen), torch.tensor(seen).double())
    observed = Batch.collate([clip] * clips)
    for place in unseen:
        observed.seen[:, place] = False
    query = torch.tensor([asked] * clips).double()
    return Example(observed, query, query.float()[..., None, None, None], "extrapolation")


def conv(inputs, outputs, side):
    return outputs * (inputs * side**2 + 1)


# Sizes


@pytest.mark.parametrize(("frames", "count"), [(4, 11_767_427), (5, 11_786_243)])
def test_the_papers_generator(frames, count):
    with torch.device("meta"):
        model = build("retrospective_cycle_gan", neighbours=frames)
    convolutions = [(3 * frames, 128, 7), (128, 128, 3), (128, 256, 3), *[(256, 256, 3)] * 18]
    convolutions += [(256, 128, 3), (128, 256, 3), (256, 3, 7)]
    assert parameter_count(model) == sum(conv(*layer) for layer in convolutions) == count


def test_the_default_sees_five_frames():
    assert build("retrospective_cycle_gan").config.neighbours == 5


@pytest.mark.parametrize(("frames", "count"), [(4, 2_777_025), (5, 2_780_097)])
def test_the_papers_critics(frames, count):
    with torch.device("meta"):
        critics = build("retrospective_cycle_gan", neighbours=frames).objective().critics
        inputs = {"frame": 3, "sequence": 3 * (frames + 1)}
        for name, critic in critics.items():
            trunk = [(inputs[name], 64, 4), (64, 128, 4), (128, 256, 4), (256, 512, 4), (512, 1, 4)]
            assert parameter_count(critic) == sum(conv(*layer) for layer in trunk)
            assert critic(torch.empty(1, inputs[name], 128, 128)).shape == (1, 1, 14, 14)
    assert parameter_count(critics["frame"]) == 2_764_737
    assert parameter_count(critics["sequence"]) == count


def test_the_papers_maps():
    shapes = []
    with torch.device("meta"):
        model = build("retrospective_cycle_gan")
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                module.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape[1:])))
        model.generator(torch.empty(1, 5, 3, 128, 128))
    ends = [(128, 128, 128), (128, 64, 64), (256, 32, 32)], [(128, 64, 64), (256, 128, 128), (3, 128, 128)]
    assert shapes == ends[0] + [(256, 32, 32)] * 18 + ends[1]


def test_normalisation_is_everywhere_but_in_the_first_and_the_last_layer():
    kinds = [type(layer).__name__ for layer in network(blocks=1).generator.layers]
    normed = ["InstanceNorm2d", "ReLU"]
    down, up = ["Conv2d", *normed], ["ConvTranspose2d", *normed]
    assert kinds == ["Conv2d", *down, *down, "ResidualBlock", *up, *up, "Conv2d", "Tanh"]


# The four passes


def test_there_and_back_is_one_network():
    model = network()
    assert [type(module) for module in model.children()] == [Generator]
    assert not {id(p) for p in model.objective().parameters()} & {id(p) for p in model.parameters()}


@torch.no_grad()
def test_the_reverse_pass_is_the_generator_on_reversed_frames():
    model, run = network(), torch.rand(2, 4, 3, 12, 12)
    cycle, (a, b, c, d) = model.cycle(run), (2 * run - 1).unbind(dim=1)
    once = [model.generator(torch.stack(given, dim=1)) for given in ([a, b, c], [d, c, b])]
    twice = [model.generator(torch.stack(given, dim=1)) for given in ([once[1], b, c], [once[0], c, b])]
    torch.testing.assert_close(cycle.made, torch.stack(once + twice), rtol=0, atol=1e-5)
    torch.testing.assert_close(cycle.frames[:, 0], (once[0] + 1) / 2, rtol=0, atol=1e-5)
    assert (cycle.made[0] - cycle.made[1]).abs().max() > 1e-3


def told(*given):
    return sum(place * frame for place, frame in zip(PLACES, given, strict=True))


def test_what_the_critics_are_shown():
    run = torch.tensor([0.0, 0.6, 0.7, 1.0])
    cycle = stubbed(channels=1).cycle(run[None, :, None, None, None])
    a, b, c, d = (2 * run - 1).tolist()
    ahead, back = told(a, b, c), told(d, c, b)
    ahead_again, back_again = told(back, b, c), told(ahead, c, b)
    close = {"rtol": 0, "atol": 1e-6}
    torch.testing.assert_close(cycle.aims.flatten(), torch.tensor([d, a]), **close)
    made = torch.tensor([ahead, back, ahead_again, back_again])
    torch.testing.assert_close(cycle.made.flatten(), made, **close)
    true = torch.tensor([[a, b, c, d], [d, c, b, a]])
    torch.testing.assert_close(cycle.true.flatten(1), true, **close)
    fakes = torch.tensor([[a, b, c, ahead], [d, c, b, back], [back, b, c, ahead_again], [ahead, c, b, back_again]])
    torch.testing.assert_close(cycle.fakes.flatten(1), fakes, **close)
    pairs = [d - ahead, a - back, d - ahead_again, a - back_again, ahead - ahead_again, back - back_again]
    torch.testing.assert_close(cycle.apart.flatten(), torch.tensor(pairs), **close)


def test_gradients_flow_through_the_first_passes_into_the_second():
    model, run = stubbed(channels=1), torch.tensor([0.0, 0.6, 0.7, 1.0])
    model.cycle(run[None, :, None, None, None]).made[2].sum().backward()
    _, b, c, d = (2 * run - 1).tolist()
    # x'' = g (.5 g told(d, c, b) + .3 b + .1 c), at g = 1
    assert float(model.generator.gain.grad) == pytest.approx(2 * PLACES[0] * told(d, c, b) + told(0, b, c), abs=1e-6)


# What is learned from


def starts(asked, count, draws=60):
    return {tuple(run.flatten().tolist()) for _ in range(draws) for run in random_run(asked, count)}


def test_runs_are_successive_frames_from_any_place_and_both_parts():
    torch.manual_seed(0)
    asked = numbered_example([0, 1, 2, 3, 4], [7, 6, 5])
    assert starts(asked, 6) == {tuple(range(first, first + 6)) for first in range(3)}


def test_each_clip_of_a_batch_has_a_place_of_its_own_and_the_seed_decides():
    asked = numbered_example([0, 1, 2, 3, 4], [5, 6, 7], clips=20)
    torch.manual_seed(3)
    first = random_run(asked, 6)
    assert len(set(first[:, 0].flatten().tolist())) > 1
    torch.manual_seed(3)
    assert torch.equal(random_run(asked, 6), first)


def test_runs_do_not_cross_what_is_not_seen_or_not_asked():
    torch.manual_seed(0)
    assert starts(numbered_example([0, 1, 2, 3, 4, 5, 6], [7, 9], unseen=(2,)), 4) == {(3, 4, 5, 6), (4, 5, 6, 7)}


def test_times_that_a_container_rounded_are_even():
    assert starts(numbered_example([0, 0.99, 2.01, 3], [4.01]), 5, draws=1)


@pytest.mark.parametrize("asked", [([0, 1, 2], [3]), ([0, 1, 3, 4], [5, 7]), ([0, 1, 2, 3], [3, 4])])
def test_a_clip_without_an_even_run_is_refused(asked):
    with pytest.raises(InvalidInput, match=r"no 5 successive frames at even gaps.*set neighbours to fewer than 4"):
        random_run(numbered_example(*asked, clips=2), 5)
    with pytest.raises(InvalidInput, match=r"no 9 successive frames"):
        random_run(numbered_example(*asked), 9)


def edges_by_hand(image, size, sigma):
    """Every weight of the filter shifts one copy of the image (..., H, W), whose border is repeated."""
    half, (height, width) = size // 2, image.shape[-2:]
    steps = [(y, x) for y in range(-half, half + 1) for x in range(-half, half + 1)]
    bell = [((y**2 + x**2) / (2 * sigma**2) - 1) * math.exp(-(y**2 + x**2) / (2 * sigma**2)) for y, x in steps]
    found = torch.zeros_like(image)
    for (y, x), weight in zip(steps, bell, strict=True):
        rows = (torch.arange(height) + y).clamp(0, height - 1)
        columns = (torch.arange(width) + x).clamp(0, width - 1)
        found += (weight - sum(bell) / len(bell)) / (math.pi * sigma**4) * image[..., rows, :][..., columns]
    return found


def away(scores, aim):
    return ((scores - aim) ** 2).mean()


@pytest.mark.parametrize("filter_", [{}, {"kernel": 5, "sigma": 0.8}])
@torch.no_grad()
def test_the_terms_of_the_generator(filter_):
    model = network(objective={"width": 4, **filter_})
    objective, asked = model.objective(), example()
    cycle = objective.answer(model, asked)
    x, y = cycle.true[0, :, -1], cycle.true[0, :, 0]  # x_(n+1) and x_m
    x1, y1, x2, y2 = cycle.made
    pairs = [(x, x1), (x, x2), (x1, x2), (y, y1), (y, y2), (y1, y2)]
    size, sigma = filter_.get("kernel", 9), filter_.get("sigma", 1.4)
    inner = cycle.true[0, :, 1:-1]
    sequences = [
        torch.cat([y[:, None], inner, x1[:, None]], dim=1),
        torch.cat([y1[:, None], inner, x2[:, None]], dim=1),
        torch.cat([x[:, None], inner.flip(1), y1[:, None]], dim=1),
        torch.cat([x1[:, None], inner.flip(1), y2[:, None]], dim=1),
    ]
    frame, sequence = objective.critics["frame"], objective.critics["sequence"]
    filtered_pairs = [(edges_by_hand(a, size, sigma), edges_by_hand(b, size, sigma)) for a, b in pairs]
    expected = {
        "image": sum((a - b).abs().mean() for a, b in pairs),
        "laplacian": 0.005 * sum((a - b).abs().mean() for a, b in filtered_pairs),
        "frame": 0.003 * sum(away(frame(fake), 1) for fake in (x1, y1, x2, y2)),
        "sequence": 0.003 * sum(away(sequence(fake.flatten(1, 2)), 1) for fake in sequences),
    }
    got = objective.model_terms(asked, cycle)
    assert list(got) == list(expected)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-7)


@torch.no_grad()
def test_the_terms_of_the_critics_are_unweighted():
    model = network()
    objective, asked = model.objective(), example()
    cycle = objective.answer(model, asked)
    frame, sequence = objective.critics["frame"], objective.critics["sequence"]
    true = [image for image in (cycle.true[0, :, -1], cycle.true[0, :, 0]) for _ in range(2)]
    both = [run.flatten(1, 2) for run in (cycle.true[0], cycle.true[0].flip(1)) for _ in range(2)]
    fakes = [fake.flatten(1, 2) for fake in cycle.fakes]
    expected = {
        "frame": sum((away(frame(a), 1) + away(frame(b), 0)) / 2 for a, b in zip(true, cycle.made, strict=True)),
        "sequence": sum((away(sequence(a), 1) + away(sequence(b), 0)) / 2 for a, b in zip(both, fakes, strict=True)),
    }
    torch.testing.assert_close(objective.critic_terms(asked, cycle), expected, rtol=1e-4, atol=1e-6)


def test_generator_and_critics_learn_apart():
    model = network()
    objective, asked = model.objective(), example()
    cycle = objective.answer(model, asked)
    sum(objective.critic_terms(asked, cycle).values()).backward()
    assert not any(p.grad is not None for p in model.parameters())
    assert all(p.grad is not None for p in objective.parameters())
    objective.zero_grad()
    sum(objective.model_terms(asked, cycle).values()).backward()
    assert all(p.grad is not None for p in model.parameters())
    assert not any(p.grad is not None for p in objective.parameters())
    assert all(p.requires_grad for p in objective.parameters())


@pytest.mark.parametrize("term", ["image", "laplacian", "frame", "sequence"])
def test_every_term_reaches_the_generator(term):
    model = network()
    objective, asked = model.objective(), example(clips=1)
    objective.model_terms(asked, objective.answer(model, asked))[term].backward()
    assert all(layer.weight.grad.abs().max() > 0 for layer in model.modules() if isinstance(layer, nn.Conv2d))


def test_a_weight_scales_its_term_and_zero_leaves_a_critic_out():
    terms, asked = [], example(clips=1)
    for factor in (1, 2, 0):
        weights = {"laplacian": 0.005 * factor, "frame": 0.003 * factor, "sequence": 0.003 * factor}
        model = network(objective={"width": 4, **weights})
        torch.manual_seed(1)
        objective = model.objective()
        cycle = model.cycle(asked.target.repeat(1, 2, 1, 1, 1)[:, :4])
        terms.append((objective.model_terms(asked, cycle), objective.critic_terms(asked, cycle)))
    (once, critics), (twice, critics_again), (none, no_critics) = terms
    torch.testing.assert_close(twice, {name: (1 if name == "image" else 2) * term for name, term in once.items()})
    torch.testing.assert_close(critics_again, critics)
    torch.testing.assert_close(none, {"image": once["image"], "laplacian": torch.tensor(0.0)})
    assert no_critics == {}


@pytest.mark.parametrize("size", [(1, 1), (16, 30)])
def test_frames_of_any_size_are_learned_from(size):
    model = network()
    objective, asked = model.objective(), example(size=size)
    cycle = objective.answer(model, asked)
    assert cycle.made.shape == (4, 2, 3, *size)
    terms = [*objective.model_terms(asked, cycle).values(), *objective.critic_terms(asked, cycle).values()]
    assert bool(torch.stack(terms).isfinite().all())


def test_the_laplacian_of_gaussian():
    kernel = laplacian_of_gaussian(9, 1.4)
    assert kernel.shape == (9, 9)
    assert abs(float(kernel.double().sum())) < 1e-7
    assert float(kernel[4, 4]) == pytest.approx(-1 / (math.pi * 1.4**4), rel=1e-2)
    rows, columns = torch.meshgrid(torch.arange(20.0), torch.arange(24.0), indexing="ij")
    constant, ramp, bowl = torch.ones(20, 24), 0.3 * rows - 0.2 * columns, (rows**2 + columns**2) / 4
    found = filtered(torch.stack([constant, ramp, bowl])[None], kernel)[0]
    inside = found[:, 4:-4, 4:-4]
    assert float(found[0].abs().max()) < 1e-6
    assert float(inside[1].abs().max()) < 1e-5
    torch.testing.assert_close(inside[2], torch.ones_like(inside[2]), rtol=0, atol=0.1)  # the Laplacian, smoothed


# How it goes on


@torch.no_grad()
def test_recursion_is_a_loop_that_drops_the_oldest_frame():
    model, asked = network().eval(), example()
    frames, made = list((2 * asked.observed.frames - 1).unbind(dim=1)), []
    for _ in range(4):
        frames.append(model.generator(torch.stack(frames[-3:], dim=1)))
        made.append((frames[-1] + 1) / 2)
    last = asked.observed.times[:, -1:]
    got = model(asked.observed, last + 0.1 * torch.tensor([4, 1, 3, 1]).double()).frames
    torch.testing.assert_close(got, torch.stack([made[i] for i in (3, 0, 2, 0)], dim=1), rtol=0, atol=1e-5)
    assert (made[3] - made[0]).abs().max() > 1e-3


@torch.no_grad()
def test_frames_are_signed_inside_and_not_outside():
    model, asked, given = network(channels=1), numbered_example([0, 1, 2], [3]), []
    model.generator.register_forward_hook(lambda module, inputs, output: given.append(inputs[0]))
    asked.observed.frames[:] = numbered(0, 0.5, 1)
    for bias, white in ((50, 1), (-50, 0)):
        model.generator.layers[-2].bias.fill_(bias)
        assert float(model(asked.observed, asked.query).frames) == white
    assert given[0].flatten().tolist() == [-1, 0, 1]


@pytest.mark.parametrize(
    ("seen", "query", "message"),
    [
        ([0, 1, 2], 1.5, "retrospective_cycle_gan cannot do interpolation"),
        ([0, 1, 2], 3.5, "whole gaps only"),
        ([0, 1, 3], 4.0, "expects a regular sequence"),
        ([0, 1], 2.0, "2 observed frames; retrospective_cycle_gan expects at least 3"),
    ],
)
def test_what_it_cannot_do_is_refused(seen, query, message):
    with pytest.raises(InvalidInput, match=message):
        network(channels=1)(numbered_example(seen, [query]).observed, torch.tensor([[query]]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"neighbours": 0}, "neighbours is 0; expected at least 1"),
        ({"blocks": 0}, "blocks is 0"),
        ({"objective": {"frame": -1.0}}, "weights of at least 0"),
        ({"objective": {"kernel": 8}}, "an odd kernel"),
        ({"objective": {"sigma": 0.0}}, "a positive sigma"),
    ],
)
def test_what_it_cannot_be_built_from_is_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        network(**options)


def test_the_learning_rate_is_held_and_then_falls_to_zero():
    optimiser = network().optimiser
    assert optimiser == OptimiserConfig("adam", 3e-4, (0.5, 0.999), schedule="linear", hold=0.2, floor=0.0)
    factors = [schedule(optimiser, step, steps=500, steps_per_epoch=1) for step in (0, 100, 300, 500)]
    assert factors == pytest.approx([1, 1, 0.5, 0])

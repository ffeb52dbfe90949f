"""Free-running roll-out: the skeleton of ConvGRU, ConvGRU-dt and ConvGRU-Decay."""

import pytest
import torch
from torch import nn

from vidode.blocks.chain import ChainConfig
from vidode.blocks.rollout import FrameCoder, observe
from vidode.clip import Batch, Clip, InvalidInput
from vidode.models import Example, build, model_class, parameter_count

TIMED = ("conv_gru_dt", "conv_gru_decay")
every_timed = pytest.mark.parametrize("name", TIMED)
every_model = pytest.mark.parametrize("name", ["conv_gru", *TIMED])

SIZE = (13, 18)


def network(name, seed=0, **options):
    """A small model whose weights are far enough from zero for times to count."""
    torch.manual_seed(seed)
    model = build(name, **{"width": 4, **options})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3)
    return model.eval()


def clip(times, seed=0, size=SIZE):
    generator = torch.Generator().manual_seed(seed)
    times = torch.as_tensor(times, dtype=torch.float64)
    return Clip(torch.rand(len(times), 3, *size, generator=generator), times)


def ask(model, clips, query):
    return model(Batch.collate(clips), torch.as_tensor(query, dtype=torch.float64))


def coder_of(model):
    return model.coder if hasattr(model, "coder") else model.network.coder


def close(got, expected):
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)


def padded(frames):
    """To multiples of four, by repetition: (N, C, 16, 20)."""
    return nn.functional.pad(frames, (0, 2, 0, 3), mode="replicate")


def by_hand(model, frames, observed_gaps, steps):
    """One clip's frame after the given steps of model time, each from the frame before."""
    network = model.network
    h = torch.zeros(1, 16, 4, 5)
    for frame, gap in zip(frames, observed_gaps, strict=True):
        x = network.coder.frame_encoder(padded(frame[None]))
        h = network.cell(x, h, torch.tensor([gap]))
    for step in steps:
        h = network.cell(x, h, torch.tensor([step]))
        frame = network.coder.frame_decoder(h)[..., : SIZE[0], : SIZE[1]]
        x = network.coder.frame_encoder(padded(frame))
    return frame[0]


@every_timed
@torch.no_grad()
def test_the_rollout_is_the_loop_written_by_hand(name):
    model = network(name)
    seen = clip([7.0, 7.2, 7.5, 7.6, 7.7])  # the typical gap is 0.1, so that a unit is a second
    made = ask(model, [seen], [[7.95, 7.8, 7.73, 7.95]]).frames[0]
    gaps = [0.0, 0.2, 0.3, 0.1, 0.1]
    for place, steps in enumerate([[0.1, 0.1, 0.05], [0.1], [0.03], [0.1, 0.1, 0.05]]):
        close(made[place], by_hand(model, seen.frames, gaps, steps))


@every_timed
@torch.no_grad()
def test_gaps_of_each_sample_equal_a_loop_over_samples(name):
    model = network(name)
    clips = [clip([0.0, 0.1, 0.4, 0.5], 1), clip([3.0, 3.6, 3.7], 2), clip([0, 1, 2, 3, 4, 5, 6], 3), clip([1, 9], 4)]
    query = [[0.55, 0.9], [4.4, 3.71], [7.0, 6.5], [21.0, 17.0]]
    together = ask(model, clips, query)
    for row, (one, times) in enumerate(zip(clips, query, strict=True)):
        alone = ask(model, [one], [times])
        close(together.frames[row], alone.frames[0])
        close(together.latent[row], alone.latent[0])


@every_timed
@torch.no_grad()
def test_in_the_papers_regular_task_the_grid_is_the_queried_times(name):
    seen = clip([0.0, 0.1, 0.2, 0.3, 0.4])
    query = [[0.5, 0.6, 0.7, 0.8, 0.9]]
    close(
        ask(network(name), [seen], query).frames, ask(network(name, chain={"points": "queried"}), [seen], query).frames
    )


@every_timed
@torch.no_grad()
def test_in_the_papers_storms_the_grid_is_the_queried_times(name):
    """Seen at random hours, asked at the next slots of three hours: a unit is the window of 25 slots."""
    storm = [clip([0, 9, 21, 42, 57], 1), clip([0, 3, 27, 30, 57], 2)]
    clips = [Clip(one.frames, 3600.0 * one.times) for one in storm]
    query = (3600.0 * torch.arange(60.0, 75.0, 3.0)).expand(2, -1)
    slots = {"time_scale": {"kind": "absolute", "per_unit": 75 * 3600.0}}
    lawful = ask(network(name, chain={"step": 1 / 25}, **slots), clips, query).frames
    paper = ask(network(name, chain={"step": 1 / 25, "points": "queried"}, **slots), clips, query).frames
    close(lawful, paper)
    elsewhere = ask(network(name, chain={"step": 1 / 10}, **slots), clips, query).frames
    assert (elsewhere - paper).abs().max() > 1e-3


@every_timed
@torch.no_grad()
def test_the_papers_way_changes_with_what_else_is_asked_and_sees_the_whole_clip(name):
    seen = clip(0.1 * torch.arange(7))
    first_changed = Clip(torch.cat([1 - seen.frames[:1], seen.frames[1:]]), seen.times)
    for points, keeps in (("grid", True), ("queried", False)):
        model = network(name, chain={"points": points}, neighbours=5)
        alone = ask(model, [seen], [[0.9]]).frames[0, 0]
        beside = ask(model, [seen], [[0.63, 0.9]]).frames[0, 1]
        other = ask(model, [first_changed], [[0.9]]).frames[0, 0]
        assert bool((alone - beside).abs().max() < 1e-5) is keeps
        assert torch.equal(alone, other) is keeps


@every_timed
def test_in_training_extra_points_break_the_steps(name):
    seen, gaps = clip(0.1 * torch.arange(5), size=(16, 16)), []
    for extra, training, shortest in ((1.0, True, 0.09), (0.0, True, 0.1), (1.0, False, 0.1)):
        model = network(name, chain={"extra": extra}).train(training)
        gaps.clear()
        model.network.cell.register_forward_hook(lambda _, inputs, __: gaps.append(inputs[2]))
        ask(model, [seen], [[0.7]])
        rolled = torch.cat(gaps[5:])
        assert float(rolled.sum()) == pytest.approx(0.3)
        assert len(rolled) == (6 if shortest < 0.1 else 3)
        assert (float(rolled.min()) < 0.0999) is (shortest < 0.1)


@every_model
def test_it_is_trained_through_its_own_predictions(name):
    made = []

    def keep(module, inputs, output):
        output.retain_grad()
        made.append(output)

    model = network(name).train()
    coder_of(model).frame_decoder.register_forward_hook(keep)
    ask(model, [clip(0.1 * torch.arange(5), size=(16, 16))], [[0.7]]).frames.sum().backward()
    assert len(made) >= 3
    assert all(bool(frame.grad.any()) for frame in made)


@every_model
def test_in_training_only_seen_frames_and_predictions_enter_the_statistics(name):
    clips = [clip(0.1 * torch.arange(5), 1), clip(0.1 * torch.arange(2, 5), 2)]
    batch = Batch.collate(clips, length=9)
    batch.seen[0, 0] = False
    counts = []
    model = network(name, **({} if name == "conv_gru" else {"chain": {"extra": 0.0}})).train()
    coder_of(model).frame_encoder.register_forward_hook(lambda _, inputs, __: counts.append(len(inputs[0])))
    model(batch, torch.tensor([[0.5, 0.6], [0.5, 0.6]], dtype=torch.float64))
    assert counts == [4 + 3, 2]


@every_timed
@torch.no_grad()
def test_a_prediction_is_read_once_and_only_where_another_goes_on_from_it(name):
    counts, model = [], network(name)
    model.network.coder.frame_encoder.register_forward_hook(lambda _, inputs, __: counts.append(len(inputs[0])))
    # One grid point, 0.5, lies behind four of the queries; nothing goes on from the two before it.
    ask(model, [clip(0.1 * torch.arange(5))], [[0.43, 0.47, 0.5, 0.52, 0.55, 0.58]])
    assert counts == [5, 1]


@every_model
@torch.no_grad()
def test_the_state_stays_wide_under_mixed_precision(name):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        made = ask(network(name), [clip(0.1 * torch.arange(3))], [[0.3, 0.5]])
    assert made.latent.dtype == made.frames.dtype == torch.float32


def test_what_is_not_present_does_not_change_the_state():
    features, present = torch.randn(2, 3, 4, 2, 2), torch.tensor([[True, True, True], [False, True, False]])
    states = observe(lambda x, h: h + x, 4, features, present)
    close(states[-1][0], features[0].sum(dim=0))
    close(states[-1][1], features[1, 1])
    assert torch.equal(states[0][1], torch.zeros(4, 2, 2))


def test_the_decoder_is_half_as_wide_as_the_encoder():
    coder = FrameCoder(3, 32)
    shapes = [tuple(p.shape) for p in coder.frame_decoder.parameters() if p.dim() == 4]
    assert shapes == [(64, 128, 3, 3), (32, 64, 3, 3), (3, 32, 3, 3)]
    assert parameter_count(coder) == 165_376 + 93_315
    assert coder.decode(torch.randn(2, 128, 2, 3), (7, 9)).shape == (2, 3, 7, 9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": 0.0}, "chain step is 0.0; expected a positive model time"),
        ({"extra": 1.5}, "chain extra is 1.5; expected a probability"),
    ],
)
def test_a_chain_that_cannot_be_is_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        ChainConfig(**options)


@every_timed
@pytest.mark.parametrize("points", ["grid", "queried"])
def test_a_query_that_is_not_beyond_the_last_observation_is_refused(name, points):
    model = network(name, chain={"points": points})
    for time in (0.15, 0.2, -1.0):
        with pytest.raises(InvalidInput, match=f"{name} cannot do interpolation; use anchored_vid_ode"):
            ask(model, [clip([0.0, 0.1, 0.2])], [[0.3, time]])


@every_model
@pytest.mark.parametrize("option", [{"width": 1}, {"channels": 0}, {"neighbours": 0}])
def test_sizes_that_cannot_be_are_refused(name, option):
    (field, value) = next(iter(option.items()))
    with pytest.raises(InvalidInput, match=f"{field} is {value}; expected at least"):
        build(name, **option)


@every_model
def test_it_only_extrapolates(name):
    assert model_class(name).tasks == ("extrapolation",)
    assert model_class(name).any_time is (name != "conv_gru")


@every_model
@torch.no_grad()
def test_the_term_is_the_l1_of_what_is_asked(name):
    model, query = network(name), torch.tensor([[0.3, 0.4]], dtype=torch.float64)
    asked = Example(Batch.collate([clip([0.0, 0.1, 0.2])]), query, torch.rand(1, 2, 3, *SIZE), "extrapolation")
    made = model.objective().answer(model, asked)
    terms = model.objective().model_terms(asked, made)
    assert set(terms) == {"reconstruction"}
    assert float(terms["reconstruction"]) == pytest.approx(float((made.frames - asked.target).abs().mean()))

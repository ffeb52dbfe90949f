"""The laws of a frame at a time, over every model of the catalog.

A new file in the models' folder is tested here before anyone writes a test for it, and so are shipped weights.
`EXEMPT` says which model does not keep which law, and why; every other model keeps it to `CLOSE`.
"""

import dataclasses
from random import Random

import hypothesis
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from vidode import checkpoints
from vidode.clip import Batch, Clip, InvalidInput, Meaning
from vidode.configuration import plain
from vidode.generation import Options, generate
from vidode.models import Example, build, config_class, model_class, names
from vidode.models import model_name as model_of

CLOSE = 1e-5
APART = {"random": 1e-4, "shipped": 1e-3}
"""How far a frame moves, somewhere, with its time; random weights make slow dynamics."""
SHIPPED = "shipped "
"""Stands before the name of weights that come with the package."""

GAPS = {"time_scale": {"per_unit": 1.0}, "chain": {"step": 1.0}}
"""Model time in gaps: what random weights make of a tenth of that is below what a law can see."""
A_GAP = {
    "vid_ode": GAPS,
    "latent_ode": {"time_scale": GAPS["time_scale"]},
    "latent_ode_conv": {"time_scale": GAPS["time_scale"]},
}
"""For the same reason, where the encoder alone is told of half a gap."""
SMALL = {
    "vid_ode": {"width": 4, "neighbours": 2},
    "anchored_vid_ode": {"width": 4, "latent": 6, "reach": 1, "neighbours": 2},
    "retrospective_cycle_gan": {"width": 8, "blocks": 2, "neighbours": 2, "objective": {"width": 8}},
    "latent_ode": {"size": 32, "width": 4, "state": 32, "latent": 16, "units": 64, "neighbours": 2},
    "latent_ode_conv": {"width": 4, "neighbours": 2},
    "deep_voxel_flow": {"width": 4, "neighbours": 2},
    "unsupervised_interpolation": {"width": 4, "neighbours": 2},
    "conv_gru": {"width": 4, "neighbours": 2},
    "conv_gru_dt": {"width": 4, "neighbours": 2, **GAPS},
    "conv_gru_decay": {"width": 4, "neighbours": 2, **GAPS},
    "prednet": {"widths": (4, 6, 8), "neighbours": 2},
    "vid_rnn": {"width": 4, "neighbours": 2},
    "ode2vae": {
        "width": 4,
        "size": 16,
        "latent": 4,
        "hidden": 16,
        "neighbours": 2,
        "amort_len": 2,
        "objective": {"likelihood": "gaussian"},
        "time_scale": {"per_unit": 1.0},
        "solver": {"step": 0.2},
    },
    "ode_conv": {"width": 4, "neighbours": 3},
    "ode_fc": {"width": 4, "neighbours": 3, "size": (16, 16)},
}
"""Sizes at which a model is quick; a model that is not named here is built as it comes."""

NO_GAP = "relative model time needs a gap, measured or declared"
PAIR = "a frame is made from the two around it"
CHAIN = "its chain of warps starts at an observed frame and runs forward"
NO_TIMES = "it takes frames in order, not times"
AFTER = "it gives frames after the last one"
STACKED = "it reads a fixed number of frames at once, without their times"
EXEMPTIONS = {
    "anchored_vid_ode": {"single observation, clock alone": NO_GAP},
    "conv_gru": {
        "gap, observation": NO_TIMES,
        "before the first": AFTER,
        "single observation, clock alone": NO_GAP,
    },
    "conv_gru_decay": {"before the first": AFTER, "single observation, clock alone": NO_GAP},
    "conv_gru_dt": {"before the first": AFTER, "single observation, clock alone": NO_GAP},
    "copy_last": {"gap, query": "a step function of time", "gap, observation": "a step function of time"},
    "deep_voxel_flow": {
        "before the first": PAIR,
        "single observation, declared gap": PAIR,
        "single observation, clock alone": PAIR,
    },
    "ode2vae": {
        "gap, observation": "its encoder stacks frames and takes no times",
        "single observation, declared gap": "its velocity encoder stacks a fixed number of frames",
        "single observation, clock alone": "its velocity encoder stacks a fixed number of frames",
    },
    "ode_conv": {
        "gap, observation": STACKED,
        "streaming": STACKED,
        "single observation, declared gap": STACKED,
        "single observation, clock alone": STACKED,
    },
    "ode_fc": {
        "gap, observation": STACKED,
        "streaming": STACKED,
        "single observation, declared gap": STACKED,
        "single observation, clock alone": STACKED,
    },
    "latent_ode": {"single observation, clock alone": NO_GAP},
    "latent_ode_conv": {"single observation, clock alone": NO_GAP},
    "prednet": {
        "gap, observation": NO_TIMES,
        "before the first": AFTER,
        "single observation, clock alone": NO_GAP,
    },
    "retrospective_cycle_gan": {
        "gap, observation": NO_TIMES,
        "before the first": AFTER,
        "single observation, declared gap": "it goes on from N frames",
        "single observation, clock alone": "it goes on from N frames",
    },
    "unsupervised_interpolation": {
        "before the first": PAIR,
        "single observation, declared gap": PAIR,
        "single observation, clock alone": PAIR,
    },
    "vid_ode": {
        "before the first": CHAIN,
        "single observation, clock alone": NO_GAP,
    },
    "vid_rnn": {
        "gap, observation": "its encoder reads frames in order, and not their times",
        "before the first": CHAIN,
        "single observation, clock alone": NO_GAP,
    },
    "deep_voxel_flow, beyond": {"gap, observation": NO_TIMES},
}
"""Model -> law -> why it does not keep it. The laws are the names that tests ask for with `keeping`."""
EXEMPT = {
    law: {model: laws[law] for model, laws in EXEMPTIONS.items() if law in laws}
    for law in sorted({law for laws in EXEMPTIONS.values() for law in laws})
}
"""The same by law."""

IDLE: dict[str, tuple[str, ...]] = {
    "retrospective_cycle_gan": tuple(  # biases straight before an instance normalisation
        f"generator.layers.{layer}.bias"
        for layer in ("1", "4", "7.layers.0", "7.layers.3", "8.layers.0", "8.layers.3", "9", "12")
    ),
}
"""Parameters of a model as it is built here that rightly get no gradient, by name."""
TRIES = 16
ROUNDING = 1e-5
"""Of the gradient of a layer's weight: what is less in its bias is rounding, as where a normalisation takes it away."""


def silence(layer, channels):
    """Make the first channels of a layer's output zero."""
    layer.weight[:channels] = 0
    layer.bias[:channels] = 0


def still_vid_ode(model):
    silence(model.frame_decoder.layers[-1], 2)


def still_anchored_vid_ode(model):
    decoder = model.decoder
    for stage in (decoder.coarse, decoder.middle, decoder.again, decoder.fine):
        silence(stage.head, 2 * stage.shifts)
        for parameter in stage.matcher.parameters():  # everything matches everything, which is no motion
            parameter.zero_()
    if decoder.refiner is not None:
        silence(decoder.refiner.head, 4)


def still_deep_voxel_flow(model):
    silence(model.network.head, 2)


def still_unsupervised_interpolation(model):
    for network in (model.flow_network, model.frame_network):
        silence(network.head, 4)


STILL = {
    "vid_ode": still_vid_ode,
    "vid_rnn": still_vid_ode,
    "anchored_vid_ode": still_anchored_vid_ode,
    "deep_voxel_flow": still_deep_voxel_flow,
    "unsupervised_interpolation": still_unsupervised_interpolation,
}
"""What makes the flow of a model zero, for each that warps."""

VARIANTS = {
    "anchored_vid_ode, at once": ("anchored_vid_ode", {"beyond": "at_once"}),
    "deep_voxel_flow, beyond": ("deep_voxel_flow", {"task": "extrapolation"}),
}
"""Models that another configuration makes work in another way, which keep what the model keeps."""
trained = [name for name in names() if model_class(name).trainable] + list(VARIANTS)
shipped = {SHIPPED + name: checkpoints.describe(name).model for name in checkpoints.shipped()}
subjects = [*names(), *VARIANTS, *shipped]


def model_name(subject):
    """The catalog's name of a model, of a variant or of shipped weights."""
    return VARIANTS[subject][0] if subject in VARIANTS else shipped.get(subject, subject)


def built(subject, **options):
    """A model or a variant, at the size that is quick."""
    name, own = VARIANTS.get(subject, (subject, {}))
    size = {key: value for key, value in SMALL.get(name, {}).items() if key not in options}
    return build(name, **size, **own, **options)


def keeping(law):
    """Every model, every variant, and all shipped weights, that keep a law."""
    exempt = EXEMPT.get(law, {})
    kept = [subject for subject in subjects if subject not in exempt and model_name(subject) not in exempt]
    return pytest.mark.parametrize("name", kept)


def made(name, channels=3, seed=0, **options):
    """Shipped weights, or a model with random weights and statistics: nothing holds by an accident of the start."""
    if name in shipped:
        return checkpoints.load(name.removeprefix(SHIPPED))
    torch.manual_seed(seed)
    model = built(name, channels=channels, **options)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 2)
    return model.eval()


def with_statistics_of(model, observed, query):
    """The model with batch normalisation that fits the clips, so that no channel is shut by a strange mean."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    model.train()(observed, query)
    return model.eval()


def observed_clip(steps=6, size=(13, 18), channels=3, seed=0, start=0.0, even=False):
    """Frames of smooth noise, 25 a second, at uneven times or even ones."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(steps, channels, 5, 5, generator=generator)
    frames = nn.functional.interpolate(coarse, size=size, mode="bicubic", align_corners=True)
    frames = (frames + 0.05 * torch.randn(frames.shape, generator=generator)).clamp(0, 1)
    jitter = torch.rand(steps, generator=generator, dtype=torch.float64)
    return Clip(frames, start + (torch.arange(steps) + (0 if even else 0.4) * jitter) / 25)


def clip_for(model, steps=6, **options):
    """An observed clip as the model takes it: of exactly so many frames, or regular, where it asks for that."""
    steps = model.config.neighbours if model.exact else steps
    return observed_clip(steps, even=not model.any_time, **options)


@torch.no_grad()
def ask(model, clips, query, length=None):
    """Frames (B, K, C, H, W) of clips at query times (B, K)."""
    batch = clips if isinstance(clips, Batch) else Batch.collate(clips, length)
    return model(batch, torch.as_tensor(query, dtype=torch.float64)).frames


def spread(clip, places, model):
    """Times of a clip at places counted in frames; what the model cannot be asked is moved to where it can."""
    last, span = len(clip) - 1, clip.times[-1] - clip.times[0]
    early = model_of(model) in EXEMPT["before the first"]
    asked = [can_be_asked(model, max(0, place) if early else place, last) for place in places]
    return clip.times[0] + span * torch.tensor(asked, dtype=torch.float64) / last


def can_be_asked(model, place, last):
    """A place at which the model answers; different places stay different, but for a model of whole steps."""
    if "interpolation" not in model.tasks and place <= last:
        place = last + 0.1 + 0.3 * abs(place)
    if "extrapolation" not in model.tasks and place > last:
        place = last - 0.13 * min(place - last, 5)
    return place if model.any_time else last + max(1, round(place - last))


def close(got, expected):
    torch.testing.assert_close(got, expected, rtol=0, atol=CLOSE)


def test_exemptions_name_models_and_give_reasons():
    assert set(EXEMPTIONS) <= {*names(), *VARIANTS}
    assert all(reason for laws in EXEMPTIONS.values() for reason in laws.values())


@keeping("query sets")
@settings(max_examples=5, deadline=None)
@given(
    places=st.lists(st.one_of(st.integers(-1, 8), st.floats(-1, 8)), min_size=1, max_size=5),
    order=st.randoms(use_true_random=False),
)
@hypothesis.example(places=[5.2, 7.5, 2.0, 0.3, 5.6], order=Random(0))  # the first beyond the end, on a frame, in a gap
def test_a_frame_is_a_function_of_its_time(name, places, order):
    model = made(name)
    clip = clip_for(model)
    query = spread(clip, places, model)
    alone = torch.cat([ask(model, [clip], [[time]]) for time in query.tolist()], dim=1)
    shuffled = order.choices(range(len(places)), k=len(places) + 2)
    close(ask(model, [clip], query[None]), alone)
    close(ask(model, [clip], query[None, shuffled]), alone[:, shuffled])


@keeping("clock shift")
@settings(max_examples=5, deadline=None)
@given(shift=st.floats(-1e6, 1e6))
def test_shifting_the_clock_changes_nothing(name, shift):
    model = made(name)
    clip = clip_for(model)
    shifted = Clip(clip.frames, clip.times + shift)
    places = [-0.7, 0, 0.3, 2, 2.6, 5, 5.9, 7]
    query = spread(clip, places, model)
    close(ask(model, [shifted], query[None] + shift), ask(model, [clip], query[None]))


def moving_clip(steps=6, size=(24, 32)):
    """A bright disc that crosses the frame by two pixels a frame, 25 frames a second, at uneven times."""
    times = torch.arange(steps) + 0.4 * torch.rand(steps, generator=torch.Generator().manual_seed(0))
    rows, columns = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    away = torch.hypot(columns - (8 + 2 * times[:, None, None]), rows - size[0] / 2)
    frames = 0.2 + 0.7 * (4.5 - away).clamp(0, 1)
    return Clip(frames[:, None].expand(-1, 3, -1, -1), times.double() / 25)


def telling_clip(name, model):
    """What was trained is asked about what it learned."""
    return moving_clip() if name in shipped else clip_for(model)


def apart(name):
    return APART["shipped" if name in shipped else "random"]


@keeping("gap, query")
@pytest.mark.parametrize("places", [(2.3, 2.6), (0.2, 0.4), (4.5, 4.6)])
def test_moving_a_query_later_changes_the_frame(name, places):
    model = made(name)
    clip, places = telling_clip(name, model), places if model.any_time else (len(places) + 4, len(places) + 5)
    first, second = ask(model, [clip], spread(clip, places, model)[None])[0]
    assert (first - second).abs().max() > apart(name)


@pytest.mark.parametrize("name", subjects)
def test_an_observed_frame_stays_itself_when_it_is_kept(name):
    model = made(name)
    clip = clip_for(model)
    between = spread(clip, [place + 0.5 for place in range(len(clip) - 1)], model)
    asked = torch.cat([clip.times, between]).unique().tolist()
    kept = generate(model, clip, asked, keep_observed=True, options=Options(cuts=None))
    assert torch.equal(kept.frames[torch.isin(kept.times, clip.times)], clip.frames)


@keeping("gap, observation")
def test_moving_an_observation_earlier_changes_the_frame(name):
    model = made(name, **A_GAP.get(name, {}))
    clip = telling_clip(name, model)
    # With a declared gap, so that the unit of model time stays.
    meaning = Meaning(frame_gap=float(clip.times.diff().median()))
    times = clip.times.clone()
    place = 2 if "interpolation" in model.tasks else len(clip) - 2  # one that the query sees
    times[place] -= 0.5 * (times[place] - times[place - 1])
    query = spread(clip, [2.5], model)[None]
    here, moved = (ask(model, [Clip(clip.frames, at, meaning=meaning)], query) for at in (clip.times, times))
    assert (here - moved).abs().max() > apart(name)


@keeping("batch")
def test_a_sample_is_alone_in_its_batch(name):
    model = made(name)
    clips = [clip_for(model, steps, seed=steps, start=start) for steps, start in ((6, 0.0), (3, 4.0), (5, -9.0))]
    query = torch.stack([spread(clip, [-0.5, 0.4, 1.7, len(clip) + 0.3], model) for clip in clips])
    together = ask(model, clips, query)
    for row, clip in enumerate(clips):
        close(together[row], ask(model, [clip], query[row][None])[0])


@keeping("unseen")
def test_padding_and_its_content_have_no_effect(name):
    model = made(name)
    clips = [clip_for(model, steps, seed=steps) for steps in (5, 3)]
    query = torch.stack([spread(clip, [0.2, 1.5, 3.4], model) for clip in clips])
    padded = Batch.collate(clips, length=8)
    got = ask(model, padded, query)
    close(got, ask(model, clips, query))
    for content in (7.0, torch.nan):
        frames = torch.where(padded.seen[..., None, None, None], padded.frames, content)
        times = torch.where(padded.seen, padded.times, -3.0)
        assert torch.equal(ask(model, dataclasses.replace(padded, frames=frames, times=times), query), got)


@keeping("unseen")
def test_a_withheld_frame_is_as_if_it_had_never_been(name):
    model = made(name)
    clip = observed_clip(model.config.neighbours + 2 if model.exact else 6, even=not model.any_time)
    hidden = [2, 4] if model.any_time else [0, 1]  # a regular sequence has no holes
    query = spread(clip, [0.2, 1.5, 2.0, 4.5, 6.4], model)[None]
    batch = Batch.collate([clip])
    batch.seen[0, hidden] = False
    close(ask(model, batch, query), ask(model, [clip[[i for i in range(len(clip)) if i not in hidden]]], query))


@keeping("unseen")
def test_invalid_pixels_have_no_effect(name):
    model = made(name)
    clip = clip_for(model, 4)
    valid = torch.rand(len(clip), 1, *clip.size, generator=torch.Generator().manual_seed(5)) > 0.3
    query = spread(clip, [0.2, 1.5, 3.4], model)[None]
    answers = []
    for content in (0.25, torch.nan):
        frames = torch.where(valid, clip.frames, torch.tensor(content))
        answers.append(ask(model, [Clip(frames, clip.times, valid)], query))
    assert torch.equal(*answers)
    assert bool(answers[0].isfinite().all())


@keeping("streaming")
def test_only_the_nearest_observations_on_each_side_are_seen(name):
    model = made(name)
    seen = model.config.neighbours
    whole = observed_clip(2 * seen + 6, even=not model.any_time)
    if "interpolation" in model.tasks:
        inside = whole.times[seen + 2 : seen + 4].mean()[None, None]  # between frames seen + 2 and seen + 3
        close(ask(model, [whole], inside), ask(model, [whole[3 : 2 * seen + 3]], inside))
    if "extrapolation" in model.tasks:
        beyond = whole.times[-1:][None] + 0.04
        close(ask(model, [whole], beyond), ask(model, [whole[-seen:]], beyond))


@pytest.mark.parametrize("name", [subject for subject in subjects if model_name(subject) in trained])
def test_zero_flow_is_the_identity(name):
    model = made(name)
    clip = clip_for(model, 4)
    query = spread(clip, [0.3, 1.5, 2.2, 3.7], model)[None]  # farther beyond the end, a model may warp what it made
    with torch.no_grad():
        STILL.get(model_name(name), lambda _: None)(model)
        prediction = model(Batch.collate([clip]), query)
    assert (prediction.warped is not None) == (model_name(name) in STILL), "what warps says so, and what it warped"
    if prediction.warped is None:
        return
    assert prediction.flow.abs().max() < 1e-6, f"say in STILL what makes the flow of {name} zero"
    distance = (prediction.warped[0][:, :, None] - clip.frames).abs().amax(dim=(-1, -2, -3))  # (K, F, T)
    assert distance.amin(dim=-1).max() < 1e-6


@keeping("sizes")
@pytest.mark.parametrize(("size", "channels"), [((1, 1), 3), ((5, 17), 1), ((16, 24), 6), ((23, 9), 3)])
def test_any_size_and_number_of_channels(name, size, channels):
    channels = 3 if name in shipped else channels
    model = made(name, channels=channels)
    clip = clip_for(model, 3, size=size, channels=channels)
    got = ask(model, [clip], spread(clip, [0.4, 2.5], model)[None])
    assert got.shape == (1, 2, channels, *size)
    assert bool(got.isfinite().all())


@keeping("finite")
@pytest.mark.parametrize("content", ["black", "white", "grey", "noise"])
def test_frames_are_finite_on_hard_content(name, content):
    model = made(name)
    count = model.config.neighbours if model.exact else 4
    frames = torch.zeros(count, 3, 12, 12)
    frames = (
        torch.rand_like(frames).round() if content == "noise" else frames + {"white": 1, "grey": 0.5}.get(content, 0)
    )
    gaps = torch.tensor([1e-3, 0.5, 40.0]).repeat(count)[: count - 1] if model.any_time else torch.ones(count - 1)
    clip = Clip(frames, torch.cat([torch.zeros(1), gaps.cumsum(0)]))
    places = [0, 1e-5, 0.03, 1.5, count - 1, count]
    assert bool(ask(model, [clip], spread(clip, places, model)[None]).isfinite().all())


@keeping("mixed precision")
def test_mixed_precision_answers_alike(name):
    model = made(name)
    clip = clip_for(model, 4)
    query = spread(clip, [0.2, 1.5, 3.4], model)[None]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = ask(model, [clip], query)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, ask(model, [clip], query), rtol=0, atol=0.2)


@keeping("single observation, declared gap")
def test_one_observation_is_enough_where_its_gap_is_declared(name):
    model, clip = made(name), observed_clip(1)
    declared = Clip(clip.frames, clip.times, meaning=Meaning(frame_gap=1 / 25))
    later = torch.tensor([[0.0, 0.1] if model.any_time else [0.04, 0.08]])
    assert bool(ask(model, [declared], clip.times[None] + later).isfinite().all())


@keeping("single observation, clock alone")
def test_one_observation_is_enough(name):
    clip = observed_clip(1)
    assert bool(ask(made(name), [clip], clip.times[None] + torch.tensor([[0.0, 0.1]])).isfinite().all())


@pytest.mark.parametrize("name", sorted(EXEMPT["single observation, clock alone"]))
def test_one_observation_without_a_gap_is_refused_in_one_line(name):
    clip = observed_clip(1)
    with pytest.raises(InvalidInput, match=r"frame-gap|cannot do extrapolation|(reads|sees) exactly"):
        ask(made(name), [clip], clip.times[None] + 0.04)


@keeping("before the first")
def test_a_query_before_the_first_observation_is_answered(name):
    model = made(name)
    clip = clip_for(model, 3)
    assert bool(ask(model, [clip], clip.times[:1][None] - 0.03).isfinite().all())


@pytest.mark.parametrize("name", sorted(EXEMPT["before the first"]))
def test_a_query_before_the_first_observation_is_refused_in_one_line(name):
    model = made(name)
    clip = clip_for(model, 3)
    with pytest.raises(InvalidInput, match=r"before the first observed frame|cannot do interpolation") as refused:
        ask(model, [clip], clip.times[:1][None] - 0.04)
    assert "\n" not in str(refused.value)


def example(model, task):
    clip = clip_for(model, 6, size=(16, 16))
    last = len(clip) - 1
    places = [1.3, 2.3, last - 0.7] if task == "interpolation" else [last + 0.5, last + 1.2, last + 2.5]
    if not model.any_time:
        places = [last + 1, last + 2, last + 3]
    target = observed_clip(3, size=(16, 16), seed=9).frames
    return Example(Batch.collate([clip]), spread(clip, places, model)[None], target[None], task)


@pytest.mark.parametrize("name", trained)
def test_every_output_channel_of_every_parameter_gets_a_gradient(name):
    """In evaluation mode, where no batch normalisation takes a bias away again, from the frames or from the objective.

    A ReLU may be dead under some random weights, so that a channel has several tries.
    """
    reached: dict[str, torch.Tensor] = {}
    for seed in range(TRIES):
        model = made(name, seed=seed)
        examples = [example(model, task) for task in model.tasks]
        model, objective = with_statistics_of(model, examples[0].observed, examples[0].query), model.objective()
        for asked in examples:
            frames = model(asked.observed, asked.query).frames
            (frames * torch.randn(frames.shape, generator=torch.Generator().manual_seed(1))).sum().backward()
            sum(objective.model_terms(asked, objective.answer(model, asked)).values()).backward()
        gradients = {
            parameter_name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.abs()
            for parameter_name, parameter in model.named_parameters()
        }
        for parameter_name, gradient in gradients.items():
            layer, _, kind = parameter_name.rpartition(".")
            noise = ROUNDING * gradients.get(f"{layer}.weight", torch.zeros(1)).max() if kind == "bias" else 0.0
            channels = (gradient.reshape(gradient.shape[0] if gradient.dim() else 1, -1) > noise).any(dim=1)
            reached[parameter_name] = reached.get(parameter_name, channels) | channels
        dead = [parameter_name for parameter_name, channels in reached.items() if not bool(channels.all())]
        if set(dead) <= set(IDLE.get(name, ())):
            break
    assert dead == list(IDLE.get(name, ()))


@pytest.mark.parametrize(("name", "task"), [(name, task) for name in trained for task in built(name).tasks])
def test_a_few_steps_lower_the_loss(name, task):
    torch.manual_seed(0)
    model = built(name).train()
    objective, asked = model.objective(), example(model, task)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(16):
        torch.manual_seed(0)  # what an objective draws is the same at every step, so that its losses compare
        prediction = objective.answer(model, asked)
        loss = torch.stack(list(objective.model_terms(asked, prediction).values())).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-2:]) < 0.9 * sum(losses[:2])
    assert not any(p.grad is not None for p in objective.parameters()), "the model's terms reach the critics' weights"


@pytest.mark.parametrize("name", trained)
def test_saving_and_loading_is_bit_equal(name, tmp_path):
    model = made(name)
    clip = clip_for(model, 4)
    again = checkpoints.load(checkpoints.save(model, tmp_path / "saved", model_name(name)))
    assert {k: v.tolist() for k, v in model.state_dict().items()} == {
        k: v.tolist() for k, v in again.state_dict().items()
    }
    query = spread(clip, [0.2, 3.5], model)[None]
    assert torch.equal(ask(again, [clip], query), ask(model, [clip], query))


@pytest.mark.parametrize("name", names())
def test_the_configuration_survives_plain_values(name):
    model = made(name)
    assert build(name, **plain(model.config)).config == model.config
    assert {field.name for field in dataclasses.fields(config_class(name))} >= {"channels", "neighbours"}

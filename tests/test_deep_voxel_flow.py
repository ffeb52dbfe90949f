"""What only Deep Voxel Flow has: one flow for both frames, two tasks with weights of their own, lessons of triplets."""

import dataclasses
import math

import pytest
import torch
from torch.nn import functional

from vidode.clip import Batch, Clip, InvalidInput
from vidode.models import Example, build, parameter_count
from vidode.models.deep_voxel_flow import lesson
from vidode.sampling import SamplingConfig, collate, draw, generator_for


def made(task="interpolation", seed=0, **options):
    torch.manual_seed(seed)
    return build("deep_voxel_flow", **{"task": task, "width": 4, **options}).eval()


def with_voxel(model, x, y, mask):
    """The model with one flow, in half sides, and one mask everywhere."""
    with torch.no_grad():
        model.network.head.weight.zero_()
        model.network.head.bias.copy_(torch.tensor([math.atanh(2 * x), math.atanh(2 * y), math.atanh(2 * mask - 1)]))
    return model


def observed(times, size=(8, 16), channels=3, seed=0):
    frames = torch.rand(1, len(times), channels, *size, generator=torch.Generator().manual_seed(seed))
    times = torch.tensor([times], dtype=torch.float64)
    return Batch(frames, times, torch.ones(times.shape, dtype=torch.bool))


def ask(*times):
    return torch.tensor([times], dtype=torch.float64)


def read(frame, x, y):
    """X(p + (x, y)) of a frame (C, H, W), with x and y in half sides: the paper's normalised coordinates."""
    height, width = frame.shape[-2:]
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    grid = torch.stack([columns + x, rows + y], dim=-1)[None]
    return functional.grid_sample(frame[None], grid, padding_mode="border", align_corners=True)[0]


@pytest.mark.parametrize(
    ("task", "inputs", "count"),
    [("interpolation", 2, 3_821_891), ("extrapolation", 2, 3_821_891), ("extrapolation", 5, 3_836_291)],
)
def test_parameters(task, inputs, count):
    with torch.device("meta"):
        assert parameter_count(build("deep_voxel_flow", task=task, inputs=inputs)) == count


def test_the_configuration_decides_what_it_can_do():
    between, beyond = made(), made("extrapolation")
    assert (between.tasks, between.any_time) == (("interpolation",), True)
    assert (beyond.tasks, beyond.any_time) == (("extrapolation",), False)


def test_it_is_trained_as_the_co_author_did():
    model = made()
    assert dataclasses.asdict(model.optimiser) | {"name": "adam", "learning_rate": 1e-4, "weight_decay": 1e-4} == (
        dataclasses.asdict(model.optimiser)
    )
    assert (model.optimiser.schedule, model.optimiser.milestones) == ("steps", ())
    deviation = build("deep_voxel_flow", width=16).network.bottom[0].weight.std().item()
    assert deviation == pytest.approx(0.01, rel=0.03)


def test_without_flow_and_with_a_mask_of_one_half_it_is_the_blend():
    batch = observed([0.0, 1, 2])
    a, b, c = batch.frames[0]
    between = with_voxel(made(), 0, 0, 0.5)(batch, ask(0.2, 0.5, 1.9)).frames[0]
    torch.testing.assert_close(between, torch.stack([a + b, a + b, b + c]) / 2)
    beyond = with_voxel(made("extrapolation"), 0, 0, 0.5)(batch, ask(3, 4)).frames[0]
    torch.testing.assert_close(beyond, torch.stack([(b + c) / 2, (c + (b + c) / 2) / 2]))


def test_half_way_both_frames_are_read_as_far_away_and_elsewhere_in_proportion():
    model, batch = with_voxel(made(), 0.1, -0.2, 0.3), observed([1.0, 3.0])
    a, b = batch.frames[0]
    answer = model(batch, ask(2.0, 1.5, 1.0, 3.0))
    shares = [0.5, 0.25, 0.0, 1.0]
    half_way = 0.3 * read(a, -0.1, 0.2) + 0.7 * read(b, 0.1, -0.2)
    torch.testing.assert_close(answer.frames[0, 0], half_way, atol=1e-5, rtol=0)
    for frame, tau in zip(answer.frames[0], shares, strict=True):
        before = read(a, -2 * tau * 0.1, 2 * tau * 0.2)
        after = read(b, 2 * (1 - tau) * 0.1, -2 * (1 - tau) * 0.2)
        torch.testing.assert_close(frame, 0.3 * before + 0.7 * after, atol=1e-5, rtol=0)


def test_parts_are_in_pixels_older_frame_first():
    answer = with_voxel(made(), 0.5 - 1e-6, -0.2, 0.3)(observed([0.0, 1.0], size=(9, 17)), ask(0.5))
    flow = answer.flow[0, 0, :, :, 0, 0]
    torch.testing.assert_close(flow, torch.tensor([[-4, 0.8], [4, -0.8]]), atol=1e-4, rtol=0)
    torch.testing.assert_close(answer.mask, torch.full((1, 1, 1, 9, 17), 0.3))
    mixed = 0.3 * answer.warped[:, :, 0] + 0.7 * answer.warped[:, :, 1]
    torch.testing.assert_close(answer.frames, mixed)


def test_beyond_the_end_it_goes_on_from_what_it_made():
    model, batch = made("extrapolation"), observed([0.0, 1, 2])
    with torch.no_grad():
        answer = model(batch, ask(4, 3, 5, 3)).frames[0]
        older, newer, steps = batch.frames[0, 1], batch.frames[0, 2], []
        for _ in range(3):
            x, y, mask = model.network(torch.stack([older, newer])[None])[0]
            x, y, mask = 0.5 * x, 0.5 * y, 0.5 * (1 + mask)
            older, newer = newer, mask * read(older, -2 * x, -2 * y) + (1 - mask) * read(newer, -x, -y)
            steps.append(newer)
    expected = torch.stack([steps[1], steps[0], steps[2], steps[0]])
    torch.testing.assert_close(answer, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("task", "asked"), [("interpolation", 3.5), ("extrapolation", 5.0)])
def test_more_inputs_are_read_and_the_last_two_are_resampled(task, asked):
    model, batch = made(task, inputs=5), observed([0.0, 1, 2, 3, 4])
    answer = model(batch, ask(asked))
    torch.testing.assert_close(answer.voxel[:, 0], model.network(batch.frames))
    changed = dataclasses.replace(batch, frames=torch.cat([1 - batch.frames[:, :1], batch.frames[:, 1:]], dim=1))
    assert not torch.equal(model(changed, ask(asked)).frames, answer.frames)
    still = with_voxel(model, 0, 0, 0.5)(batch, ask(asked)).warped[0, 0]
    torch.testing.assert_close(still, batch.frames[0, 3:])


@pytest.mark.parametrize(("task", "asked"), [("interpolation", 0.5), ("extrapolation", 2.0)])
def test_where_there_are_fewer_frames_the_first_is_repeated(task, asked):
    model, batch = made(task, inputs=4), observed([0.0, 1])
    repeated = batch.frames[:, [0, 0, 0, 1]]
    torch.testing.assert_close(model(batch, ask(asked)).voxel[:, 0], model.network(repeated))


@torch.no_grad()
def test_the_laws_beyond_the_end():
    model = made("extrapolation", inputs=3, neighbours=3)
    clips = [observed([0.0, 1, 2, 3], size=(7, 9)), observed([4.0, 4.5, 5.0], size=(7, 9), seed=1)]
    both = Batch.collate([Clip(batch.frames[0], batch.times[0]) for batch in clips], length=6)
    query = torch.tensor([[4.0, 5, 6], [6.5, 5.5, 6]], dtype=torch.float64)
    both.frames[~both.seen] = torch.nan
    together = model(both, query).frames
    for row, batch in enumerate(clips):
        alone = [model(batch, query[row : row + 1, [i]]).frames for i in range(3)]
        torch.testing.assert_close(together[row : row + 1], torch.cat(alone, dim=1), atol=1e-5, rtol=0)
    first = Batch(clips[0].frames[:, 1:], clips[0].times[:, 1:], clips[0].seen[:, 1:])
    torch.testing.assert_close(model(first, query[:1]).frames, together[:1], atol=1e-5, rtol=0)


def moving(steps=10, size=16, speed=1.5):
    """A texture that moves to the right by `speed` pixels a frame."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    columns = columns - speed * torch.arange(steps)[:, None, None]
    waves = [torch.sin(0.7 * columns + 0.3 * rows), torch.sin(0.5 * columns - 0.6 * rows), torch.cos(0.4 * columns)]
    return Clip(0.5 + 0.4 * torch.stack(waves, dim=1), torch.arange(steps) / 25)


def sampled(task, test=False, **options):
    """The clip as a run samples it."""
    config = SamplingConfig(interpolation=float(task == "interpolation"), supervised=True, **options)
    return collate([draw(moving(), config, task, generator_for(0), test=test)], task)


def test_lessons_of_interpolation_ask_for_the_middle_of_every_triplet():
    example, asked = sampled("interpolation"), {}
    for seed in range(60):
        torch.manual_seed(seed)
        batch, query, target = lesson(example, "interpolation")
        middle = round(25 * query.item())
        asked[middle] = (25 * batch.times[batch.seen]).round().int().tolist()
        torch.testing.assert_close(target[0, 0], moving().frames[middle])
    assert asked == {middle: list(range(1 - middle % 2, middle + 2, 2)) for middle in range(1, 8)}


def test_lessons_of_extrapolation_ask_for_the_last_of_every_triplet():
    example, asked = sampled("extrapolation"), {}
    for seed in range(60):
        torch.manual_seed(seed)
        batch, query, target = lesson(example, "extrapolation")
        last = round(25 * query.item())
        asked[last] = (25 * batch.times[batch.seen]).round().int().tolist()
        torch.testing.assert_close(target[0, 0], moving().frames[last])
    assert asked == {last: list(range(last)) for last in range(2, 10)}


def test_a_frame_that_is_observed_and_asked_stands_in_a_lesson_once_and_padding_not_at_all():
    batch, query = observed([0.0, 2, 4, 6]), ask(2, 3)
    batch.seen[0, 3] = False
    example = Example(batch, query, torch.stack([batch.frames[0, 1], torch.rand(3, 8, 16)])[None], "interpolation")
    found = set()
    for seed in range(20):
        torch.manual_seed(seed)
        shown, asked, _ = lesson(example, "interpolation")
        found.add((*shown.times[shown.seen].tolist(), asked.item()))
    assert found == {(0, 3, 2), (2, 4, 3)}


@pytest.mark.parametrize("task", ["interpolation", "extrapolation"])
def test_the_terms_are_those_of_the_paper(task):
    model, example = made(task), sampled(task)
    objective = model.objective()
    torch.manual_seed(3)
    answer = objective.answer(model, example)
    torch.manual_seed(3)
    batch, query, target = lesson(example, task)
    torch.testing.assert_close(answer.frames, model(batch, query).frames)
    terms = objective.model_terms(example, answer)

    def charbonnier(x):
        return (x.double() ** 2 + 1e-6).sqrt().mean()

    def variation(x):
        return charbonnier(x[:, :, 1:] - x[:, :, :-1]) + charbonnier(x[:, 1:] - x[:, :-1])

    voxel = answer.voxel[0, 0]
    expected = {
        "reconstruction": charbonnier(2 * (answer.frames - target)),  # of frames in [-1, 1]
        "flow_variation": 0.01 * variation(voxel[:2]),
        "mask_variation": 0.005 * variation((1 + voxel[2:]) / 2),
    }
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(
        {name: term.item() for name, term in expected.items()}, rel=1e-5
    )


def test_the_release_learns_from_the_squared_distance_alone():
    model, example = made(loss="squared", flow_variation=0, mask_variation=0), sampled("interpolation")
    objective = model.objective()
    answer = objective.answer(model, example)
    terms = objective.model_terms(example, answer)
    expected = (2 * (answer.frames - answer.target)).double().square().mean().item()
    assert {name: term.item() for name, term in terms.items()} == pytest.approx({"reconstruction": expected}, rel=1e-5)
    asked = model(example.observed, example.query)  # an answer to what is asked is measured there
    alone = objective.model_terms(example, asked)["reconstruction"]
    assert alone.item() == pytest.approx(4 * (asked.frames - example.target).square().mean().item(), rel=1e-5)


def test_every_parameter_learns_beyond_the_end():
    model = made("extrapolation", inputs=3).train()
    objective, example = model.objective(), sampled("extrapolation")
    sum(objective.model_terms(example, objective.answer(model, example)).values()).backward()
    assert all(bool(parameter.grad.any()) for parameter in model.parameters())


@pytest.mark.parametrize(
    ("task", "times", "query", "message"),
    [
        ("interpolation", [0.0, 1, 2], 2.5, "deep_voxel_flow cannot do extrapolation; use .*vid_ode"),
        (
            "interpolation",
            [0.0, 1, 2],
            -0.5,
            r"0\.5 before the first observed frame; deep_voxel_flow makes frames between",
        ),
        ("interpolation", [0.0], 0.0, "cannot do extrapolation"),
        ("extrapolation", [0.0, 1, 2], 1.5, "deep_voxel_flow cannot do interpolation"),
        ("extrapolation", [0.0, 1, 2], 3.5, "gives whole gaps only"),
        ("extrapolation", [0.0, 1, 3], 4.0, "expects a regular sequence"),
        ("extrapolation", [0.0], 1.0, "frame-gap"),
    ],
)
def test_what_the_weights_are_not_for_is_refused_in_one_line(task, times, query, message):
    with pytest.raises(InvalidInput, match=message) as refused:
        made(task)(observed(times), ask(query))
    assert "\n" not in str(refused.value)


def test_beyond_the_end_two_frames_are_needed():
    batch = dataclasses.replace(observed([0.0]), frame_gap=torch.ones(1, dtype=torch.float64))
    with pytest.raises(InvalidInput, match="1 observed frames; deep_voxel_flow expects at least 2"):
        made("extrapolation")(batch, ask(1.0))


def test_it_is_not_named_where_it_may_not_be_able():
    with pytest.raises(InvalidInput) as refused:
        made()(observed([0.0, 1]), ask(2.0))
    assert "deep_voxel_flow" not in str(refused.value).partition("use")[2]


def test_a_lesson_needs_three_frames():
    batch = observed([0.0])
    with pytest.raises(InvalidInput, match="2 frames to learn from; expected at least 3"):
        lesson(Example(batch, ask(1.0), batch.frames, "extrapolation"), "extrapolation")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": 1}, "inputs is 1 with 5 neighbours; expected 2"),
        ({"inputs": 6}, "inputs is 6 with 5 neighbours"),
        ({"flow_variation": -1.0}, "weights of at least 0"),
        ({"task": "both"}, "task"),
        ({"loss": "l1"}, "loss"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        build("deep_voxel_flow", **options)

"""What only the anchored model has: one resampling of real pixels, anchored in the two nearest observed frames."""

import dataclasses

import pytest
import torch
from torch.nn import functional

from vidode.blocks.motion_decoder import work_size
from vidode.blocks.warp import warp
from vidode.clip import Batch, InvalidInput
from vidode.models import Example, build
from vidode.models.anchored_vid_ode import AnchoredVidOde, flow_distance

SMALL = {"width": 4, "latent": 4, "reach": 2, "refine": 4}


@pytest.fixture
def model() -> AnchoredVidOde:
    torch.manual_seed(0)
    made = build("anchored_vid_ode", **SMALL)
    with torch.no_grad():  # larger heads than a new model has, so that a law that is broken shows
        for stage in (made.decoder.coarse, made.decoder.middle, made.decoder.fine, made.decoder.refiner):
            stage.head.weight.mul_(5)
    return made.eval()


def observed(times, size=(16, 24), clips=1, seed=0):
    times = torch.as_tensor(times, dtype=torch.float64)
    frames = torch.rand(clips, len(times), 3, *size, generator=torch.Generator().manual_seed(seed))
    return Batch(frames, times.expand(clips, -1).clone(), torch.ones(clips, len(times), dtype=torch.bool))


def ask(*times):
    return torch.tensor([times], dtype=torch.float64)


def test_at_an_observed_time_the_frame_is_the_observed_one(model):
    batch = observed([0, 1, 2.5, 4])
    made = model(batch, batch.times).frames
    assert torch.allclose(made, batch.frames, atol=1e-4)


def test_a_frame_is_one_resampling_of_its_two_anchors(model):
    batch = observed([0, 1, 2, 3])
    made = model(batch, ask(1.25, 3.5))
    for query, (a, b) in enumerate([(1, 2), (3, 2)]):  # the second within a gap of the last frame
        pair = batch.frames[0, [a, b]]
        assert torch.allclose(made.warped[0, query], warp(pair, made.flow[0, query]), atol=1e-6)
    blended = torch.lerp(made.warped[:, :, 0], made.warped[:, :, 1], made.mask)
    assert torch.allclose(made.frames, blended + made.difference, atol=1e-6)


def test_time_runs_the_same_both_ways(model):
    batch = observed([0, 1, 2.5, 4])
    mirrored = Batch(batch.frames.flip(1), -batch.times.flip(1), batch.seen)
    beyond = model(batch, ask(5.0)).frames
    before = model(mirrored, ask(-5.0)).frames
    assert torch.allclose(beyond, before, atol=1e-5)


def test_beyond_the_end_the_frame_leaves_the_last_one_continuously(model):
    batch = observed([0, 1, 2])
    near = model(batch, ask(2 + 1e-6)).frames
    assert torch.allclose(near[:, 0], batch.frames[:, 2], atol=1e-3)


def test_on_a_processor_nothing_else_that_is_worked_on_changes_a_bit(model):
    query = ask(-0.4, 0.3, 1.75, 1.8, 3.0, 4.9)
    batch, both = observed([0, 1, 2.5, 4]), observed([0, 1, 2.5, 4], clips=2)
    assert torch.equal(both.frames[0], batch.frames[0])
    together = model(both, query.expand(2, -1)).frames[0]
    alone = [model(batch, query[:, one : one + 1]).frames[0, 0] for one in range(query.shape[1])]
    assert torch.equal(together, torch.stack(alone))


def test_a_single_frame_is_held(model):
    batch = dataclasses.replace(observed([1.0]), frame_gap=torch.tensor([0.5], dtype=torch.float64))
    made = model(batch, ask(0.5, 1.0, 7.0)).frames
    assert torch.allclose(made, batch.frames.expand_as(made), atol=1e-4)


def test_frames_farther_than_the_anchors_count_through_the_recurrence_alone(model):
    batch = observed([0, 1, 2, 3])
    changed = Batch(batch.frames.clone(), batch.times, batch.seen)
    changed.frames[:, 0] = 1 - changed.frames[:, 0]
    assert not torch.equal(model(batch, ask(1.5)).frames, model(changed, ask(1.5)).frames)
    torch.manual_seed(0)
    two_frames = build("anchored_vid_ode", **{**SMALL, "latent": 0}).eval()
    assert torch.equal(two_frames(batch, ask(1.5)).frames, two_frames(changed, ask(1.5)).frames)


@pytest.mark.parametrize("options", [{}, {"context": "matching"}, {"refine": 0}])
def test_when_the_frames_farther_away_were_seen_counts(options):
    torch.manual_seed(0)
    model = build("anchored_vid_ode", **{**SMALL, **options}).eval()
    batch, earlier = observed([0, 1, 2, 3]), observed([-0.7, 1, 2, 3])
    assert not torch.equal(model(batch, ask(1.5)).frames, model(earlier, ask(1.5)).frames)


def test_at_once_a_far_frame_is_made_from_what_was_observed_and_else_from_what_was_made(model):
    at_once = AnchoredVidOde(dataclasses.replace(model.config, beyond="at_once")).eval()
    at_once.load_state_dict(model.state_dict())
    batch, query = observed([0, 1, 2, 3]), ask(2.5, 3.5, 5.5)
    direct, stepped = at_once(batch, query), model(batch, query)
    assert torch.equal(direct.frames[:, :2], stepped.frames[:, :2])
    seen = warp(batch.frames[0, [3, 2]], direct.flow[0, 2])
    assert torch.allclose(direct.warped[0, 2], seen, atol=1e-6)
    assert not torch.allclose(stepped.warped[0, 2], warp(batch.frames[0, [3, 2]], stepped.flow[0, 2]), atol=1e-3)


def test_work_on_reduced_frames_keeps_their_size_and_their_pixels(model):
    reduced = AnchoredVidOde(dataclasses.replace(model.config, work_side=16)).eval()
    reduced.load_state_dict(model.state_dict())
    batch = observed([0, 1, 2], size=(37, 50))
    made = reduced(batch, ask(0.5, 1.0))
    assert made.frames.shape == (1, 2, 3, 37, 50)
    assert torch.allclose(made.frames[:, 1], batch.frames[:, 1], atol=1e-4)
    assert work_size((37, 50), 16) == (12, 16)
    assert work_size((12, 16), 16) == (12, 16)


def test_coarser_drafts_are_made_only_in_training(model):
    batch = observed([0, 1, 2])
    assert model(batch, ask(0.5)).drafts is None
    drafts = model.train()(batch, ask(0.5)).drafts
    assert [draft.frames.shape[-2:] for draft in drafts] == [(4, 6), (4, 6), (8, 12), (16, 24)]
    assert all(draft.flow.shape[:4] == (1, 1, 2, 2) for draft in drafts)
    matched = build("anchored_vid_ode", **{**SMALL, "refine": 0})
    assert len(matched(batch, ask(0.5)).drafts) == 3


@pytest.mark.parametrize(("size", "work_side"), [((33, 49), 0), ((50, 37), 24), ((32, 48), 0)])
def test_drafts_of_a_clip_that_stands_still_are_right_whatever_its_size(model, size, work_side):
    model = AnchoredVidOde(dataclasses.replace(model.config, work_side=work_side)).train()
    down, right = torch.meshgrid(torch.linspace(0, 1, size[0]), torch.linspace(0, 1, size[1]), indexing="ij")
    frame = torch.stack([down, right, down * right])
    batch = dataclasses.replace(observed([0, 1, 2], size=size), frames=frame.expand(1, 3, -1, -1, -1))
    example = Example(batch, ask(0.5), frame[None, None], "interpolation")
    made = model(batch, ask(0.5))
    assert model.objective().model_terms(example, made)["drafts"] < 0.2 * 0.02 * len(made.drafts)


def test_the_true_flow_is_learned_from_whole_frames(model):
    batch = observed([0, 1, 2], size=(33, 49))
    made = model.train()(batch, ask(0.5))
    example = Example(batch, ask(0.5), made.frames.detach(), "interpolation", torch.zeros(1, 1, 2, 2, 9, 13))
    with pytest.raises(InvalidInput, match=r"frames are \(33, 49\) with work_side 0; .* multiples of 8"):
        model.objective().model_terms(example, made)


def test_the_objective_counts_the_true_flow_where_it_is_known(model):
    batch = observed([0, 1, 2])
    made = model.train()(batch, ask(0.5))
    example = Example(batch, ask(0.5), made.frames.detach(), "interpolation")
    assert set(model.objective().model_terms(example, made)) == {"reconstruction", "square", "drafts"}
    true = functional.avg_pool2d(made.flow.detach().flatten(0, 2), 4).unflatten(0, (1, 1, 2))
    right = model.objective().model_terms(dataclasses.replace(example, flow=true), made)["flow"]
    wrong = model.objective().model_terms(dataclasses.replace(example, flow=true + 3), made)["flow"]
    assert right < wrong


def test_a_critic_tells_true_frames_from_made_ones_and_learns_nothing_from_the_models_step():
    torch.manual_seed(0)
    model = build("anchored_vid_ode", **SMALL, objective={"image": 0.5, "width": 4}).train()
    batch = observed([0, 1, 2], size=(24, 24))
    example = Example(batch, ask(0.5), torch.rand(1, 1, 3, 24, 24), "interpolation")
    objective, made = model.objective(), model(batch, ask(0.5))
    (told,) = objective.critic_terms(example, made).values()
    real, fake = objective.image(example.target[0]), objective.image(made.frames[0].detach())
    apart = (real - 1).square().mean() + fake.square().mean()
    assert told.item() == pytest.approx(0.25 * apart.item(), rel=1e-5)
    term = objective.model_terms(example, made)["image"]
    assert term.item() == pytest.approx(0.5 * (fake - 1).square().mean().item(), rel=1e-5)
    term.backward()
    assert all(weight.grad is None for weight in objective.parameters())
    assert model.encoder.to_half[0][0].weight.grad.any()
    assert not list(build("anchored_vid_ode", **SMALL).objective().parameters())


def test_flow_distance_is_in_pixels_whatever_the_size():
    true = torch.zeros(1, 1, 2, 2, 4, 4)
    flow = torch.zeros(1, 1, 2, 2, 16, 16)
    flow[..., 0, :, :] = 3
    flow[..., 1, :, :] = 4
    assert flow_distance(flow, true).item() == pytest.approx(5, abs=1e-3)
    assert flow_distance(true, flow).item() == pytest.approx(5 / 1.5, abs=1e-3)

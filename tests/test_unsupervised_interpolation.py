"""What only unsupervised interpolation has: Super SloMo's equations, the cycle, its terms, and who may teach it."""

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from vidode import checkpoints
from vidode.blocks.vgg import VARIABLE, Vgg
from vidode.clip import Batch, Clip, InvalidInput
from vidode.models import Example, build, parameter_count

MEAN = torch.tensor([109.93, 109.167, 101.455])[:, None, None]


def made(seed=0, width=2, channels=3, flow_scale=1, **objective):
    torch.manual_seed(seed)
    options = {"width": width, "channels": channels, "flow_scale": flow_scale}
    return build("unsupervised_interpolation", **options, objective=objective).eval()


def loud(model):
    """Larger heads than a new model has: flows of pixels."""
    with torch.no_grad():
        for network in (model.flow_network, model.frame_network):
            network.head.weight.mul_(20)
    return model


@torch.no_grad()
def with_heads(model, between, residual, logit):
    """The model with the same flows and visibility everywhere."""
    for network, values in ((model.flow_network, between), (model.frame_network, [*residual, logit])):
        network.head.weight.zero_()
        network.head.bias.copy_(torch.tensor(values))
    return model


def observed(times, size=(32, 32), channels=3, seed=0, clips=1):
    frames = torch.rand(clips, len(times), channels, *size, generator=torch.Generator().manual_seed(seed))
    times = torch.tensor(times, dtype=torch.float64).expand(clips, -1).clone()
    return Batch(frames, times, torch.ones(times.shape, dtype=torch.bool))


def ask(*times):
    return torch.tensor([times], dtype=torch.float64)


def cycle_of(model, batch, seed=0):
    """The objective, and what it learns from: (Example, Prediction)."""
    objective = model.objective()
    example = Example(batch, batch.times, batch.frames, "interpolation")
    torch.manual_seed(seed)
    return objective, example, objective.answer(model, example)


def brought(frames, flow):
    """W of pixels (N, C, H, W) less the mean colour by (N, 2, H, W) pixels, zero outside."""
    height, width = frames.shape[-2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x, y = (columns + flow[:, 0]) * 2 / (width - 1) - 1, (rows + flow[:, 1]) * 2 / (height - 1) - 1
    return functional.grid_sample(frames, torch.stack([x, y], dim=-1), padding_mode="zeros", align_corners=True)


def test_parameters():
    with torch.device("meta"):
        model = build("unsupervised_interpolation")
    assert parameter_count(model.flow_network) == 18_235_620
    assert parameter_count(model.frame_network) == 20_610_629
    assert parameter_count(model) == 38_846_249


def test_it_is_trained_as_in_the_original():
    own = made().optimiser
    assert (own.name, own.learning_rate, own.weight_decay) == ("adam", 1e-4, 0)
    assert (own.schedule, own.milestones) == ("steps", ((0.5, 0.1), (0.9, 0.01)))


def test_the_frame_is_that_of_the_equations():
    f_01, f_10, f_t0, f_t1, logit = (1.5, -0.5), (-2.0, 1.0), (0.25, 0.75), (-0.5, 0.125), 0.4
    model = with_heads(made(), (*f_01, *f_10), (*f_t0, *f_t1), logit)
    batch = observed([0.0, 2.0])
    answer = model(batch, ask(0.5, 1.0, 1.5))
    i_0, i_1 = (255 * batch.frames[0] - MEAN).split(1)
    v = torch.sigmoid(torch.tensor(logit))
    for place, t in enumerate((0.25, 0.5, 0.75)):
        rough_0 = [-(1 - t) * t * a + t * t * b for a, b in zip(f_01, f_10, strict=True)]
        rough_1 = [(1 - t) ** 2 * a - t * (1 - t) * b for a, b in zip(f_01, f_10, strict=True)]
        to_0 = torch.tensor([a + b for a, b in zip(rough_0, f_t0, strict=True)])[None, :, None, None]
        to_1 = torch.tensor([a + b for a, b in zip(rough_1, f_t1, strict=True)])[None, :, None, None]
        w_0, w_1 = brought(i_0, to_0), brought(i_1, to_1)
        mixed = ((1 - t) * v * w_0 + t * (1 - v) * w_1) / ((1 - t) * v + t * (1 - v) + 1e-10)
        torch.testing.assert_close(answer.frames[0, place], (mixed[0] + MEAN) / 255, atol=1e-5, rtol=0)
        flow = torch.cat([to_0, to_1]).expand(-1, -1, 32, 32)
        torch.testing.assert_close(answer.flow[0, place], flow, atol=1e-6, rtol=0)
        rough = brought(i_0, torch.tensor(rough_0)[None, :, None, None])
        torch.testing.assert_close(answer.rough[0, place, :1], rough, atol=1e-3, rtol=0)


def test_the_second_network_sees_what_the_equations_say():
    model, batch, seen = loud(made()), observed([0.0, 1.0]), []
    model.frame_network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    answer = model(batch, ask(0.3))
    (maps, deep), (f_01, f_10) = seen[0], answer.between[0, 0].split(1)
    i_0, i_1 = (255 * batch.frames[0] - MEAN).split(1)
    to_0, to_1 = -0.7 * 0.3 * f_01 + 0.09 * f_10, 0.49 * f_01 - 0.3 * 0.7 * f_10
    expected = torch.cat([i_0, i_1, brought(i_0, to_0), to_0, brought(i_1, to_1), to_1], dim=1)
    torch.testing.assert_close(maps, expected, atol=1e-2, rtol=0)
    torch.testing.assert_close(deep, model.flow_network.maps_and_deepest(torch.cat([i_0, i_1], dim=1))[1])


def test_parts_make_the_frame():
    answer = loud(made())(observed([0.0, 1.0], size=(20, 33)), ask(0.4))
    mixed = answer.mask * answer.warped[:, :, 0] + (1 - answer.mask) * answer.warped[:, :, 1]
    torch.testing.assert_close(answer.frames, mixed, atol=1e-5, rtol=0)
    assert answer.flow.abs().max() > 0.1
    assert answer.frames.shape == (1, 1, 3, 20, 33)


def test_without_flow_an_observed_time_has_the_observed_frame():
    model, batch = with_heads(made(), [0.0] * 4, [0.0] * 4, 0.7), observed([0.0, 1, 2.5])
    torch.testing.assert_close(model(batch, batch.times).frames, batch.frames, atol=1e-6, rtol=0)


def test_without_flow_the_cycle_of_a_still_clip_is_the_clip():
    model, batch = with_heads(made(), [0.0] * 4, [0.0] * 4, -0.3), observed([0.0, 1, 2])
    batch.frames[:] = batch.frames[:, :1].clone()
    objective, example, answer = cycle_of(model, batch)
    torch.testing.assert_close(answer.frames, batch.frames[:, 1:2], atol=1e-6, rtol=0)
    terms = objective.model_terms(example, answer)
    assert set(terms) == {"pixel", "warping", "smoothness"}
    assert sum(terms.values()).item() < 1e-3


def test_flow_at_a_smaller_size_is_as_long_as_its_frames():
    """At half the size, the first network's flow of 1.5 small pixels is one of 3."""
    small = with_heads(made(flow_scale=2), [1.5, 0, 0, -1], [0.0] * 4, 0.0)
    answer = small(observed([0.0, 1.0], size=(40, 70)), ask(0.5))
    expected = torch.tensor([[3.0, 0], [0, -2]])[..., None, None].expand(-1, -1, 40, 70)
    torch.testing.assert_close(answer.between[0, 0], expected)
    assert bool(loud(made(flow_scale=3))(observed([0.0, 1.0], size=(5, 7)), ask(0.5)).frames.isfinite().all())


def asked_of(monkeypatch, model):
    """What the model is asked, in order: (times of what it sees, queries)."""
    calls, forward = [], model.forward

    def noted(observed, query):
        calls.append((observed.times, query))
        return forward(observed, query)

    monkeypatch.setattr(model, "forward", noted)
    return calls


def test_the_cycle_makes_two_frames_at_one_share_and_the_middle_one_between_them(monkeypatch):
    model = made(reversal=0.0, times=3)
    calls, shares, starts = asked_of(monkeypatch, model), set(), set()
    for seed in range(40):
        _, _, answer = cycle_of(model, observed([0.0, 1, 2, 3], size=(4, 4)), seed=seed)
        (seen, halves), (made_at, again) = calls[-2:]
        start, share = int(seen[0, 0]), (halves - seen[:, :2])[0]
        assert torch.equal(seen, start + torch.tensor([[0.0, 1, 2]]))
        assert torch.equal(made_at, halves)
        assert again.tolist() == [[start + 1]]
        assert share[0] == share[1]
        torch.testing.assert_close(answer.target[0, 0], observed([0.0, 1, 2, 3], size=(4, 4)).frames[0, start + 1])
        shares.add(share[0].item())
        starts.add(start)
    assert (shares, starts) == ({0.25, 0.5, 0.75}, {0, 1})


def test_where_gaps_differ_the_middle_frame_is_asked_at_its_own_time(monkeypatch):
    model = made(reversal=0.0, times=1)
    calls = asked_of(monkeypatch, model)
    cycle_of(model, observed([0.0, 1, 4], size=(4, 4)))
    assert calls[0][1].tolist() == [[0.5, 2.5]]
    assert calls[1][1].tolist() == [[1.0]]


def test_a_triplet_may_run_backward(monkeypatch):
    model, batch = made(reversal=1.0, times=1), observed([0.0, 1, 4], size=(4, 4))
    calls = asked_of(monkeypatch, model)
    _, _, answer = cycle_of(model, batch)
    assert calls[0][0].tolist() == [[-4.0, -1.0, 0.0]]
    assert calls[0][1].tolist() == [[-2.5, -0.5]]
    torch.testing.assert_close(answer.halves.pair[0, 0, 0], 255 * batch.frames[0, 2] - MEAN)
    half = made(reversal=0.5)
    kinds = {cycle_of(half, batch, seed=seed)[2].halves.pair[0, 0, 0, 0, 0, 0].item() for seed in range(20)}
    assert len(kinds) == 2


def l1(a, b):
    return (a - b).abs().mean()


def pair_terms(x, y, f_xy, f_yx):
    """Warping and smoothness of two frames (pixels) and the flows between them."""
    smooth = [l1(f[..., 1:], f[..., :-1]) + l1(f[..., 1:, :], f[..., :-1, :]) for f in (f_xy, f_yx)]
    return l1(brought(y, f_xy), x) + l1(brought(x, f_yx), y), sum(smooth)


def expected_terms(model, frames, t):
    """The terms for triplets (B, 3, C, H, W) from the model's frames and raw flows alone, and the frames made."""
    i_0, i_1, i_2 = (255 * frames - MEAN).unbind(dim=1)
    whole = torch.ones(len(frames), 2, dtype=torch.bool)

    def between(a, b, share):
        pair = Batch(torch.stack([(x + MEAN) / 255 for x in (a, b)], dim=1), torch.tensor([[0.0, 1]] * len(a)), whole)
        answer = model(pair, torch.full((len(a), 1), share, dtype=torch.float64))
        return 255 * answer.frames[:, 0] - MEAN, *answer.between[:, 0].unbind(dim=1)

    a, f_01, f_10 = between(i_0, i_1, t)
    b, f_12, f_21 = between(i_1, i_2, t)
    again, f_ab, f_ba = between(a, b, 1 - t)
    s = 1 - t
    to_a, to_b = -(1 - s) * s * f_ab + s * s * f_ba, (1 - s) ** 2 * f_ab - s * (1 - s) * f_ba
    pairs = [pair_terms(a, b, f_ab, f_ba), pair_terms(i_0, i_1, f_01, f_10), pair_terms(i_1, i_2, f_12, f_21)]
    raw = l1(brought(a, to_a), i_1) + l1(brought(b, to_b), i_1)
    return {
        "pixel": 0.8 * l1(again, i_1),
        "warping": 0.4 * (raw + sum(pair[0] for pair in pairs)),
        "smoothness": sum(pair[1] for pair in pairs),
    }, a[0]


def numbers(terms):
    return {name: term.item() for name, term in terms.items()}


@torch.no_grad()
def test_the_terms_are_those_of_the_paper():
    model, batch = loud(made(reversal=0.0, times=3)), observed([0.0, 1, 2], clips=2)
    objective, example, answer = cycle_of(model, batch, seed=1)
    expected = []
    for row in range(2):  # each clip has a draw of its own, told by the frame that was made
        found = [expected_terms(model, batch.frames[row : row + 1], t) for t in (0.25, 0.5, 0.75)]
        first = 255 * answer.halves.frames[row, 0] - MEAN
        expected.append(min(found, key=lambda one: (one[1] - first).abs().max())[0])
    mean = {name: sum(terms[name].item() for terms in expected) / 2 for name in expected[0]}
    assert numbers(objective.model_terms(example, answer)) == pytest.approx(mean, rel=1e-4)


@pytest.fixture(scope="module")
def vgg(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "vgg16.safetensors"
    torch.manual_seed(0)
    network = Vgg()
    save_file(network.state_dict(), path)
    return path, network


@torch.no_grad()
def test_the_perceptual_term_sees_the_shifted_frames(vgg):
    path, network = vgg
    model = loud(made(perceptual=0.005, vgg=str(path)))
    objective, example, answer = cycle_of(model, observed([0.0, 1, 2]))
    seen = [network(x[0] - MEAN / 255) for x in (answer.frames, answer.target)]
    expected = 0.005 * (seen[0] - seen[1]).square().mean().item()
    assert objective.model_terms(example, answer)["perceptual"].item() == pytest.approx(expected, rel=1e-3)
    assert expected > 0


@torch.no_grad()
def test_the_perceptual_term_sees_channels_that_are_no_colours_as_grey_images(vgg, monkeypatch):
    path, network = vgg
    monkeypatch.setenv(VARIABLE, str(path))
    model = loud(made(perceptual=0.005, channels=2))
    objective, example, answer = cycle_of(model, observed([0.0, 1, 2], channels=2))
    apart = []
    for channel in (0, 1):
        shown = [(x[0, :, [channel]] - MEAN.mean() / 255).expand(-1, 3, -1, -1) for x in (answer.frames, answer.target)]
        apart.append((network(shown[0]) - network(shown[1])).square().mean().item())
    expected = 0.005 * sum(apart) / 2
    assert objective.model_terms(example, answer)["perceptual"].item() == pytest.approx(expected, rel=1e-3)


def test_the_perceptual_term_without_weights_is_refused(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(InvalidInput, match=r"no VGG16 weights: .* leave the perceptual term out"):
        made(perceptual=0.005).objective()
    assert made().objective().vgg is None


def test_a_teacher_says_what_the_halves_should_be(tmp_path):
    teacher = loud(made(seed=5))
    path = checkpoints.save(teacher, tmp_path / "teacher", "unsupervised_interpolation") / "model.safetensors"
    model = loud(made(teacher=str(path), reversal=0.0, times=1))
    objective, example, answer = cycle_of(model, observed([0.0, 1, 2]))
    taught = teacher(example.observed, ask(0.5, 1.5)).frames
    apart = [255 * l1(answer.halves.frames[:, half], taught[:, half]) for half in (0, 1)]
    terms = objective.model_terms(example, answer)
    assert terms["pseudo"].item() == pytest.approx(0.8 * sum(apart).item(), rel=1e-4)
    sum(terms.values()).backward()
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in objective.parameters())
    model.load_state_dict(teacher.state_dict())
    objective, example, answer = cycle_of(model, observed([0.0, 1, 2]))
    assert objective.model_terms(example, answer)["pseudo"].item() == pytest.approx(0, abs=1e-3)


def test_a_wrong_teacher_is_refused_in_one_line(tmp_path):
    path = checkpoints.save(made(width=3), tmp_path / "other", "unsupervised_interpolation") / "model.safetensors"
    (tmp_path / "text").write_text("not weights")
    for wrong, message in ((path, "does not hold a teacher"), (tmp_path / "text", "does not hold a teacher")):
        with pytest.raises(InvalidInput, match=message) as refused:
            made(teacher=str(wrong)).objective()
        assert "\n" not in str(refused.value)
    with pytest.raises(InvalidInput, match=r"no teacher at .*absent; expected the model\.safetensors"):
        made(teacher=str(tmp_path / "absent")).objective()


@torch.no_grad()
def test_a_teacher_learns_from_true_frames_with_four_warping_terms():
    model, batch = loud(made(learn="frames")), observed([0.0, 1, 2])
    query, target = ask(0.25, 1.5), torch.rand(1, 2, 3, 32, 32)
    example, objective = Example(batch, query, target, "interpolation"), model.objective()
    answer = objective.answer(model, example)
    torch.testing.assert_close(answer.frames, model(batch, query).frames)
    expected = {"pixel": 0.0, "warping": 0.0, "smoothness": 0.0}
    for place, t in enumerate((0.25, 0.5)):
        x, y = (255 * batch.frames[0, place : place + 2] - MEAN).split(1)
        true, (f_xy, f_yx) = 255 * target[0, place] - MEAN, answer.between[0, place].split(1)
        to_x, to_y = -(1 - t) * t * f_xy + t * t * f_yx, (1 - t) ** 2 * f_xy - t * (1 - t) * f_yx
        warping, smooth = pair_terms(x, y, f_xy, f_yx)
        warping = warping + l1(brought(x, to_x)[0], true) + l1(brought(y, to_y)[0], true)
        expected["pixel"] += 0.8 * 255 * l1(answer.frames[0, place], target[0, place]).item() / 2
        expected["warping"] += 0.4 * warping.item() / 2
        expected["smoothness"] += smooth.item() / 2
    assert numbers(objective.model_terms(example, answer)) == pytest.approx(expected, rel=1e-4)


def test_a_teacher_is_not_shown_what_it_is_asked():
    model, batch = made(learn="frames"), observed([0.0, 1, 2], size=(4, 4))
    example = Example(batch, ask(0.5, 1.0), batch.frames[:, :2], "interpolation")
    with pytest.raises(InvalidInput, match=r"an observed frame is asked for; .* set sampling\.supervised"):
        model.objective().answer(model, example)


def test_a_weight_of_zero_leaves_a_term_out():
    model = made(pixel=0.0, smoothness=0.0)
    objective, example, answer = cycle_of(model, observed([0.0, 1, 2], size=(4, 4)))
    assert set(objective.model_terms(example, answer)) == {"warping"}


def moving(steps=10, size=32):
    """A texture that moves to the right by a pixel a frame."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    columns = columns - 1.0 * torch.arange(steps)[:, None, None]
    waves = [torch.sin(0.3 * columns + 0.1 * rows), torch.sin(0.25 * columns - 0.2 * rows), torch.cos(0.2 * columns)]
    return Clip(0.5 + 0.4 * torch.stack(waves, dim=1), torch.arange(steps) / 25)


@pytest.mark.parametrize(
    ("times", "query", "message"),
    [
        ([0.0, 1], 1.5, "unsupervised_interpolation cannot do extrapolation; use .*vid_ode"),
        ([0.0], 0.0, "cannot do extrapolation"),
        ([0.0, 1], -0.5, r"0\.5 before the first observed frame; unsupervised_interpolation makes frames between"),
    ],
)
def test_what_is_not_between_two_frames_is_refused_in_one_line(times, query, message):
    with pytest.raises(InvalidInput, match=message) as refused:
        made()(observed(times, size=(4, 4)), ask(query))
    assert "\n" not in str(refused.value)


def test_a_cycle_needs_three_frames():
    with pytest.raises(InvalidInput, match="2 frames to learn from; expected at least 3"):
        cycle_of(made(), observed([0.0, 1], size=(4, 4)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width is 0; expected at least 1"),
        ({"flow_scale": 0}, "flow_scale is 0; expected at least 1"),
        ({"objective": {"pixel": -1.0}}, "weights of at least 0"),
        ({"objective": {"times": 0}}, "at least 1 of times"),
        ({"objective": {"reversal": 1.5}}, r"reversal is 1\.5; expected a probability"),
        ({"objective": {"learn": "frames", "teacher": "x"}}, "true frames need no teacher"),
        ({"objective": {"learn": "both"}}, "learn"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        build("unsupervised_interpolation", **options)

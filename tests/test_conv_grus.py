"""ConvGRU, ConvGRU-Delta-t and ConvGRU-Decay: what each does with the gap, and its roll-out against a loop by hand."""

import pytest
import torch
from torch import nn

from vidode.blocks.free_running import gaps_before
from vidode.clip import Batch, Clip, InvalidInput
from vidode.models import Example, build, parameter_count

NAMES = ("conv_gru", "conv_gru_dt", "conv_gru_decay")
TIMED = NAMES[1:]
SMALL = {"width": 4, "neighbours": 4}


def made(name, **options):
    torch.manual_seed(0)
    model = build(name, **{**SMALL, **options}).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
    return model


def batch(*times, size=(8, 12), seed=0):
    generator = torch.Generator().manual_seed(seed)
    clips = [
        Clip(torch.rand(len(t), 3, *size, generator=generator), torch.tensor(t, dtype=torch.float64)) for t in times
    ]
    return Batch.collate(clips)


def ask(model, observed, *times):
    with torch.no_grad():
        return model(observed, torch.tensor(times, dtype=torch.float64)).frames


@pytest.mark.parametrize(
    ("name", "count"), [("conv_gru", 1_143_811), ("conv_gru_dt", 1_147_267), ("conv_gru_decay", 1_144_067)]
)
def test_it_has_as_many_parameters_as_its_layers_say(name, count):
    encoder, cell = 165_376, 9 * 256 * 256 + 256 + 9 * 256 * 128 + 128
    decoder = 9 * (128 * 64 + 64 * 32 + 32 * 3) + 64 + 32 + 3 + 2 * (64 + 32)
    of_the_gap = {"conv_gru": 0, "conv_gru_dt": 9 * (256 + 128), "conv_gru_decay": 2 * 128}[name]
    assert parameter_count(build(name)) == encoder + cell + decoder + of_the_gap == count


@torch.no_grad()
def test_the_roll_out_is_a_loop_on_its_own_frames():
    model, observed = made("conv_gru"), batch([0.0, 1, 2])
    coder, (cell,) = model.coder, model.cells
    h = torch.zeros(1, coder.latent, 2, 3)
    for frame in observed.frames[0]:
        h = cell(coder.encode(frame[None]), h)
    frames = [coder.decode(h, (8, 12))]
    for _ in range(2):
        h = cell(coder.encode(frames[-1]), h)
        frames.append(coder.decode(h, (8, 12)))
    torch.testing.assert_close(ask(model, observed, [5.0, 3.0, 4.0])[0], torch.cat([frames[2], frames[0], frames[1]]))


@torch.no_grad()
def test_stacked_cells_feed_each_other():
    model, observed = made("conv_gru", layers=2), batch([0.0, 1])
    h = [torch.zeros(1, model.coder.latent, 2, 3)] * 2
    for frame in observed.frames[0]:
        h[0] = model.cells[0](model.coder.encode(frame[None]), h[0])
        h[1] = model.cells[1](h[0], h[1])
    torch.testing.assert_close(ask(model, observed, [2.0])[0], model.coder.decode(h[1], (8, 12)))


def test_one_step_predictions_of_observed_frames_count_with_their_weight():
    model, observed = made("conv_gru", one_step=0.5), batch([0.0, 1, 2], [0.0, 1])
    target = torch.rand(2, 1, 3, 8, 12)
    example = Example(observed, torch.tensor([[3.0], [2.0]], dtype=torch.float64), target, "extrapolation")
    objective = model.objective()
    terms = objective.model_terms(example, objective.answer(model, example))
    frames = observed.frames
    apart = [ask(model, Batch.collate([Clip(frames[0, :n], torch.arange(n) * 1.0)]), [float(n)]) for n in (2,)]
    errors = [(apart[0][0, 0] - frames[0, 2]).abs()]
    for clip in (0, 1):  # the second frame from the first one alone: its gap is that of the clip
        h = model.cells[0](model.coder.encode(frames[clip, :1]), torch.zeros(1, model.coder.latent, 2, 3))
        errors.append((model.coder.decode(h, (8, 12))[0] - frames[clip, 1]).abs())
    assert terms["one_step"].item() == pytest.approx(0.5 * torch.stack(errors).mean().item(), rel=1e-5)
    assert set(made("conv_gru").objective().model_terms(example, model(observed, example.query))) == {"reconstruction"}


@torch.no_grad()
@pytest.mark.parametrize("name", TIMED)
def test_the_roll_out_steps_along_a_grid_and_then_to_the_query(name):
    model, observed = made(name), batch([0.0, 1, 3])
    coder, size = model.coder, (8, 12)
    h = torch.zeros(1, coder.latent, 2, 3)
    for frame, gap in zip(observed.frames[0], (0.0, 0.1, 0.2), strict=True):  # the typical gap is 1, a tenth
        h = model._step(coder.encode(frame[None]), h, torch.tensor([gap]))
    frame = observed.frames[:, 2]
    for gap in (0.1, 0.1, 0.05):
        h = model._step(coder.encode(frame), h, torch.tensor([gap]))
        frame = coder.decode(h, size)
    torch.testing.assert_close(ask(model, observed, [3.7, 5.5, 4.0])[0, 1], frame[0], atol=1e-5, rtol=0)


@torch.no_grad()
def test_through_the_queried_times_a_frame_changes_with_what_else_is_asked():
    model, observed = made("conv_gru_dt", grid={"points": "queried"}), batch([0.0, 1, 2])
    assert not torch.allclose(ask(model, observed, [4.0])[0, 0], ask(model, observed, [3.5, 4.0])[0, 1])


@pytest.mark.parametrize("scalar", [False, True])
def test_the_state_fades_with_the_gap_and_not_at_none(scalar):
    model = made("conv_gru_decay", scalar=scalar)
    assert model.rate.numel() == (1 if scalar else model.coder.latent)
    gaps = torch.tensor([0.0, 0.5, 2.0])
    torch.testing.assert_close(model.decay(gaps)[:, 0, 0, 0], torch.exp(-0.1 * gaps))
    with torch.no_grad():
        model.offset.fill_(-1.0)
    assert (model.decay(gaps) == 1).all(), "it never grows"
    x, h = torch.randn(3, model.coder.latent, 2, 3), torch.randn(3, model.coder.latent, 2, 3)
    torch.testing.assert_close(model._step(x, h, torch.zeros(3)), model.cell(x, h))


@torch.no_grad()
def test_delta_t_reads_the_gap_and_without_its_weights_is_the_plain_cell():
    model = made("conv_gru_dt")
    latent = model.coder.latent
    x, h = torch.randn(2, latent, 2, 3), torch.randn(2, latent, 2, 3)
    assert (model._step(x, h, torch.zeros(2)) - model._step(x, h, torch.ones(2))).abs().max() > 1e-3
    plain = build("conv_gru", **SMALL).cells[0]
    for name in ("gates", "candidate"):
        wide, narrow = getattr(model.cell, name), getattr(plain, name)
        wide.weight[:, latent] = 0
        narrow.weight.copy_(torch.cat([wide.weight[:, :latent], wide.weight[:, latent + 1 :]], dim=1))
        narrow.bias.copy_(wide.bias)
    torch.testing.assert_close(model._step(x, h, torch.ones(2)), plain(x, h))


@torch.no_grad()
def test_the_gap_after_is_that_to_the_following_observation():
    model, observed = made("conv_gru_dt", gap="after"), batch([0.0, 1, 3])
    h = torch.zeros(1, model.coder.latent, 2, 3)
    for frame, gap in zip(observed.frames[0], (0.1, 0.2, 0.0), strict=True):
        h = model._step(model.coder.encode(frame[None]), h, torch.tensor([gap]))
    h = model._step(model.coder.encode(observed.frames[:, 2]), h, torch.tensor([0.05]))
    torch.testing.assert_close(ask(model, observed, [3.5])[0], model.coder.decode(h, (8, 12)), atol=1e-5, rtol=0)


def test_gaps_are_counted_from_the_first_that_is_there():
    times = torch.tensor([[0.0, 2.0, 3.0], [0.0, 5.0, 9.0]])
    present = torch.tensor([[True, True, True], [False, True, True]])
    assert gaps_before(times, present).tolist() == [[0.0, 2.0, 1.0], [0.0, 0.0, 4.0]]


@pytest.mark.parametrize("name", TIMED)
def test_gaps_of_each_sample_are_its_own(name):
    model, observed = made(name), batch([0.0, 1, 2], [0.0, 1, 4], [7.0, 9])
    query = [[3.0, 2.5], [4.5, 6.0], [9.5, 12.0]]
    together = ask(model, observed, *query)
    for row, count in enumerate((3, 3, 2)):
        alone = Batch.collate([Clip(observed.frames[row, :count], observed.times[row, :count])])
        torch.testing.assert_close(together[row], ask(model, alone, query[row])[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "query"), [("conv_gru", 2.4), ("conv_gru", 1.0), ("conv_gru_dt", 0.5), ("conv_gru_decay", 2.0)]
)
def test_what_it_cannot_answer_is_refused_in_one_line(name, query):
    with pytest.raises(InvalidInput, match=r"whole gaps only|cannot do interpolation") as refused:
        ask(made(name), batch([0.0, 1, 2]), [query])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("conv_gru", {"layers": 0}, "layers is 0"),
        ("conv_gru", {"one_step": -1.0}, r"one_step -1\.0"),
        ("conv_gru_dt", {"width": 3}, "width is 3"),
        ("conv_gru_decay", {"grid": {"step": 0.0}}, r"grid step is 0\.0"),
        ("conv_gru_decay", {"grid": {"extra": 2.0}}, r"extra 2\.0"),
    ],
)
def test_what_cannot_be_built_is_refused(name, options, message):
    with pytest.raises(InvalidInput, match=message):
        build(name, **options)


@pytest.mark.parametrize("name", NAMES)
def test_it_learns_one_clip(name):
    frames = torch.rand(6, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    frames = frames.repeat_interleave(4, 2).repeat_interleave(4, 3)
    observed = Batch.collate([Clip(frames[:3], torch.arange(3, dtype=torch.float64))])
    example = Example(observed, torch.tensor([[3.0, 4, 5]], dtype=torch.float64), frames[None, 3:], "extrapolation")
    model = made(name)
    before = (ask(model, observed, [3.0, 4, 5])[0] - frames[3:]).abs().mean()
    objective, optimiser = model.train().objective(), torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(200):
        optimiser.zero_grad()
        sum(objective.model_terms(example, objective.answer(model, example)).values()).backward()
        optimiser.step()
    after = (ask(model.eval(), observed, [3.0, 4, 5])[0] - frames[3:]).abs().mean()
    assert after < 0.5 * before
    assert after < (frames[3:].mean(dim=0) - frames[3:]).abs().mean()

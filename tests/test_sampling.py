import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidode.blocks.anchors import anchors_of
from vidode.clip import Batch, Clip, InvalidInput, Meaning
from vidode.sampling import (
    SamplingConfig,
    anchors,
    collate,
    cut,
    draw,
    draw_task,
    first_window,
    generator_for,
    select,
)
from vidode.timing import TimeScale
from vidode.windows import windows

SCHEMES = ("regular", "irregular", "withheld")
TASKS = ("interpolation", "extrapolation")


def window(length: int, **meaning) -> Clip:
    """Frame i holds the value i / 100 and is at the time 10 + i / 25."""
    values = torch.arange(length) / 100
    return Clip(
        values[:, None, None, None].expand(length, 1, 2, 2), 10 + torch.arange(length) / 25, None, Meaning(**meaning)
    )


def example(windows, config, task, generator, test=False):
    return collate([draw(window, config, task, generator, test) for window in windows], task)


def both(scheme: str, **fields) -> SamplingConfig:
    return SamplingConfig(scheme=scheme, interpolation=0.5, **fields)


def draws(config, task, count=200, test=False):
    return [select(config, task, generator_for(1, i), test) for i in range(count)]


@pytest.mark.parametrize("scheme", SCHEMES)
@given(seed=st.integers(0, 2**40), task=st.sampled_from(TASKS), test=st.booleans())
@settings(max_examples=40, deadline=None)
def test_every_draw_is_ordered_inside_the_window_and_of_its_task(scheme, seed, task, test):
    config = both(scheme)
    chosen = select(config, task, generator_for(seed), test)
    for frames in (chosen.seen, chosen.asked):
        assert frames.diff().gt(0).all()
        assert 0 <= frames.min() <= frames.max() < config.length(task)
    sample = cut(window(config.length(task)), chosen)
    last = sample.observed.times[-1]
    assert bool((sample.query <= last).all() if task == "interpolation" else (sample.query > last).all())
    if test or task == "extrapolation" or scheme == "withheld":
        assert not set(chosen.seen.tolist()) & set(chosen.asked.tolist())


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("task", TASKS)
def test_the_same_generator_draws_the_same_and_another_does_not(scheme, task):
    config = both(scheme)
    clips = [window(config.length(task))] * 3
    first, again, other = (example(clips, config, task, generator_for(*place)) for place in [(1, 2), (1, 2), (1, 3)])
    assert torch.equal(first.query, again.query)
    assert torch.equal(first.target, again.target)
    assert torch.equal(first.observed.frames, again.observed.frames)
    # Regular windows of a given start have nothing that is drawn.
    assert torch.equal(first.query, other.query) == (scheme == "regular")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("test", [False, True])
def test_targets_are_the_frames_at_the_times_asked(scheme, task, test):
    config = both(scheme)
    ex = example([window(config.length(task))] * 4, config, task, generator_for(5), test)
    assert ex.task == task
    torch.testing.assert_close(ex.target[:, :, 0, 0, 0].double(), (ex.query - 10) * 25 / 100, rtol=0, atol=1e-6)
    observed = torch.where(ex.observed.seen, (ex.observed.times - 10) * 25 / 100, 0.0)
    torch.testing.assert_close(ex.observed.frames[:, :, 0, 0, 0].double(), observed, rtol=0, atol=1e-6)


def test_regular_windows_are_those_of_the_paper():
    config = both("regular")
    train, test = (select(config, "interpolation", generator_for(0), t) for t in (False, True))
    assert train.seen.tolist() == train.asked.tolist() == test.seen.tolist() == [0, 2, 4, 6, 8]
    assert test.asked.tolist() == [1, 3, 5, 7]
    beyond = select(config, "extrapolation", generator_for(0))
    assert (beyond.seen.tolist(), beyond.asked.tolist()) == ([0, 1, 2, 3, 4], [5, 6, 7, 8, 9])
    ten = SamplingConfig(frames_in=10, frames_out=10)
    assert select(ten, "extrapolation", generator_for(0)).asked.tolist() == list(range(10, 20))


def test_irregular_windows_keep_their_ends_and_counts():
    config = both("irregular")
    for chosen in draws(config, "interpolation", 50):
        assert len(chosen.seen) == 10
        assert chosen.seen.tolist() == chosen.asked.tolist()
        assert (chosen.seen[0], chosen.seen[-1]) == (0, 19)
    for chosen in draws(config, "interpolation", 10, test=True):
        assert sorted(chosen.seen.tolist() + chosen.asked.tolist()) == list(range(20))
    for chosen in draws(config, "extrapolation", 50):
        assert (len(chosen.seen), len(chosen.asked)) == (5, 5)
        assert chosen.seen[0] == 0
        assert chosen.seen[-1] < 10 <= chosen.asked[0]
        assert chosen.asked[-1] == 19


@pytest.mark.parametrize("max_gap", [5, 16])
def test_sparse_windows_keep_their_ends_and_the_longest_gap(max_gap):
    config = SamplingConfig("sparse", window=25, max_gap=max_gap)
    inner = set()
    for seed in range(300):
        chosen = select(config, "extrapolation", generator_for(seed))
        assert chosen.seen[[0, -1]].tolist() == [0, 19]
        assert len(chosen.seen) == 5
        assert 1 <= chosen.seen.diff().min() <= chosen.seen.diff().max() <= max_gap
        assert chosen.asked.tolist() == [20, 21, 22, 23, 24]
        inner |= set(chosen.seen[1:-1].tolist())
    assert max_gap < 16 or inner == set(range(1, 19))


def test_a_sparse_window_is_seen_at_every_rate_while_training_and_whole_in_a_test():
    config = SamplingConfig("sparse", window=25, least_span=5)
    chosen = [select(config, "extrapolation", generator_for(seed)) for seed in range(300)]
    assert {int(each.seen[0]) for each in chosen} == set(range(16))
    for each in chosen:
        assert each.seen[-1] == 19
        assert len(each.seen.unique()) == 5
        assert each.asked.tolist() == [20, 21, 22, 23, 24]
    whole = SamplingConfig("sparse", window=25)
    for seed in range(5):
        tested = select(config, "extrapolation", generator_for(seed), test=True)
        assert tested.seen.equal(select(whole, "extrapolation", generator_for(seed)).seen)


@pytest.mark.parametrize("scheme", ["regular", "irregular", "sparse"])
def test_training_may_ask_for_fewer_frames_and_a_test_asks_for_all(scheme):
    config, whole = SamplingConfig(scheme, ask=2), SamplingConfig(scheme)
    asked = set()
    for seed in range(100):
        chosen, all_of_it = (select(each, "extrapolation", generator_for(seed)) for each in (config, whole))
        assert chosen.seen.equal(all_of_it.seen)
        assert len(chosen.asked) == 2
        assert chosen.asked.diff() > 0
        assert set(chosen.asked.tolist()) <= set(all_of_it.asked.tolist())
        asked |= set(chosen.asked.tolist())
        tested = select(config, "extrapolation", generator_for(seed), test=True)
        assert len(tested.asked) == 5
    assert len(asked) >= 5


@pytest.mark.parametrize("scheme", ["regular", "irregular", "sparse"])
def test_within_the_inputs_nothing_else_is_shown(scheme):
    for seed in range(50):
        whole = select(SamplingConfig(scheme), "extrapolation", generator_for(seed))
        chosen = select(SamplingConfig(scheme, within=True), "extrapolation", generator_for(seed))
        assert [*chosen.seen.tolist(), *chosen.asked.tolist()] == whole.seen.tolist()
        assert len(chosen.asked) == 1


def test_a_sparse_window_without_room_is_regular():
    chosen = select(SamplingConfig("sparse", window=10), "extrapolation", generator_for(0))
    assert chosen.seen.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_with_a_stride_every_so_manyth_frame_is_all_there_is(scheme):
    for task in ("interpolation", "extrapolation"):
        plain = SamplingConfig(scheme, interpolation=float(task == "interpolation"))
        wide = dataclasses.replace(plain, stride=3)
        assert wide.length(task) == 3 * (plain.length(task) - 1) + 1
        near, far = (select(config, task, generator_for(4)) for config in (plain, wide))
        assert torch.equal(far.seen, 3 * near.seen)
        assert torch.equal(far.asked, 3 * near.asked)


@pytest.mark.parametrize("scheme", ["regular", "irregular"])
def test_supervised_training_asks_for_what_a_test_asks(scheme):
    config = SamplingConfig(scheme=scheme, interpolation=1.0, supervised=True)
    for seed in range(5):
        taught, tested = (select(config, "interpolation", generator_for(seed), test) for test in (False, True))
        assert torch.equal(taught.seen, tested.seen)
        assert torch.equal(taught.asked, tested.asked)
        assert not set(taught.seen.tolist()) & set(taught.asked.tolist())


def test_every_inner_slot_of_an_irregular_window_is_drawn_equally_often():
    counts = torch.zeros(20)
    for chosen in draws(both("irregular"), "interpolation", 900):
        counts[chosen.seen] += 1
    share = counts[1:19] / 900  # 8 of 18
    assert share.sub(8 / 18).abs().max() < 0.08


def test_an_irregular_batch_holds_no_frame_that_was_not_seen():
    config = both("irregular")
    ex = example([window(20)] * 2, config, "extrapolation", generator_for(0))
    assert ex.observed.frames.shape[1] == 5
    assert bool(ex.observed.seen.all())


def test_withheld_interpolation_asks_inside_hidden_runs_of_every_length_and_no_longer():
    config = SamplingConfig(scheme="withheld", interpolation=1.0, window=12, queries=2, max_hidden=3)
    around = set()
    for chosen in draws(config, "interpolation", 400):
        seen = chosen.seen
        assert (seen[0], seen[-1], len(chosen.asked)) == (0, 11, 2)
        right = torch.searchsorted(seen, chosen.asked)
        around |= {
            (int(g), int(n)) for g, n in zip(seen[right] - seen[right - 1], chosen.asked - seen[right - 1], strict=True)
        }
    assert around == {(gap, near) for gap in (2, 3, 4) for near in range(1, gap)}


def test_withheld_extrapolation_asks_near_and_far_beyond_ends_near_and_far():
    config = SamplingConfig(scheme="withheld", window=10, queries=2, max_beyond=3)
    chosen = draws(config, "extrapolation", 300)
    assert {int(n) for c in chosen for n in c.asked - c.seen[-1]} == {1, 2, 3}
    assert {int(c.seen[-1]) for c in chosen} == set(range(1, 7))
    assert min(len(c.seen) for c in chosen) == 2
    whole = sum(len(c.seen) == int(c.seen[-1]) + 1 for c in chosen)
    assert 150 < whole < 290


@given(window=st.integers(3, 16), queries=st.integers(1, 7), hidden=st.integers(1, 20), seed=st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_a_withheld_configuration_is_refused_or_always_has_enough_to_ask(window, queries, hidden, seed):
    fields = {"window": window, "queries": queries, "max_hidden": hidden, "interpolation": 1.0}
    if window < 2 * queries + 1:
        with pytest.raises(InvalidInput, match=f"expected at least {2 * queries + 1}"):
            SamplingConfig(scheme="withheld", **fields)
    else:
        config = SamplingConfig(scheme="withheld", **fields)
        assert len(select(config, "interpolation", generator_for(seed)).asked) == queries


def test_the_share_of_interpolated_batches_is_the_configured_one():
    drawn = [draw_task(SamplingConfig(interpolation=0.25), generator_for(3, i)) for i in range(800)]
    assert abs(drawn.count("interpolation") / 800 - 0.25) < 0.06
    assert {draw_task(SamplingConfig(), generator_for(i)) for i in range(20)} == {"extrapolation"}
    assert SamplingConfig(interpolation=1.0).tasks == ("interpolation",)


def test_only_what_is_seen_is_degraded():
    plain, noisy = (
        draw(window(10), SamplingConfig(), "extrapolation", generator_for(0), degrade=degrade)
        for degrade in (None, lambda clip, _: Clip(clip.frames + 1, clip.times))
    )
    assert torch.equal(noisy.observed.frames, plain.observed.frames + 1)
    assert torch.equal(noisy.target, plain.target)


def test_invalid_pixels_are_asked_as_zero_and_values_are_mapped_to_the_unit_range():
    frames = torch.full((10, 1, 2, 2), 150.0)
    frames[:, :, 0, 0] = float("nan")
    clip = Clip(frames, torch.arange(10), ~frames.isnan(), Meaning(value_range=(100, 200)))
    ex = example([clip], SamplingConfig(), "extrapolation", generator_for(0))
    assert ex.target[0, 0, 0].tolist() == [[0.0, 0.5], [0.5, 0.5]]


def test_a_gap_declared_for_the_window_is_not_declared_for_what_is_left_of_it():
    ex = example([window(10, frame_gap=0.04)], both("regular"), "interpolation", generator_for(0))
    assert bool(ex.observed.frame_gap.isnan().all())
    one = SamplingConfig(frames_in=1, frames_out=1)
    assert example([window(2, frame_gap=0.04)], one, "extrapolation", generator_for(0)).observed.frame_gap.tolist() == [
        0.04
    ]


def test_a_test_reads_from_the_start():
    assert torch.equal(first_window(window(30), SamplingConfig(), "extrapolation").times, window(10).times)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"interpolation": 1.5}, "interpolation is 1.5; expected a share"),
        ({"frames_in": 0}, "frames_in is 0"),
        ({"scheme": "sparse", "window": 9}, "window is 9; expected at least 10"),
        ({"scheme": "sparse", "interpolation": 0.5}, "interpolation is 0.5"),
        ({"scheme": "sparse", "least_span": 4}, "least_span is 4; expected 5 frames that are seen to 15"),
        ({"scheme": "sparse", "least_span": 16}, "least_span is 16; expected 5"),
        ({"ask": -1}, "ask is -1"),
        ({"within": True, "interpolation": 0.5}, "within is true of the regular scheme with interpolation 0.5"),
        ({"within": True, "scheme": "withheld"}, "within is true of the withheld scheme"),
        ({"scheme": "sparse", "window": 80}, "do not span it"),
        ({"stride": 0}, "stride is 0"),
        ({"scheme": "irregular", "window": 9}, "window is 9; expected at least 10"),
        ({"scheme": "irregular", "window": 10, "interpolation": 1.0}, "window is 10; expected at least 11"),
        ({"scheme": "withheld", "queries": 4, "max_beyond": 3}, "expected queries <= max_beyond"),
        ({"scheme": "withheld", "window": 4}, "window is 4; expected at least 5"),
    ],
)
def test_a_configuration_that_cannot_be_drawn_is_refused(fields, text):
    with pytest.raises(InvalidInput, match=text):
        SamplingConfig(**fields)


def test_windows_of_another_length_are_refused():
    with pytest.raises(InvalidInput, match="window has 9 frames; extrapolation expects 10"):
        example([window(9)], SamplingConfig(), "extrapolation", generator_for(0))
    with pytest.raises(InvalidInput, match="clip has 9 frames"):
        first_window(window(9), SamplingConfig(), "extrapolation")


def test_the_flow_of_an_example_leads_to_the_frames_around_a_query_and_beyond_the_end_to_the_last_two():
    times = torch.tensor([0.0, 1.0, 2.0, 3.0], dtype=torch.float64)
    query = torch.tensor([0.5, 1.0, 2.9, 3.0, 3.5, 9.0], dtype=torch.float64)
    assert anchors(times, query).tolist() == [[0, 1], [1, 2], [2, 3], [2, 3], [3, 2], [3, 2]]
    assert anchors(times[:1], query).tolist() == [[0, 0]] * 6


def test_the_flow_of_an_example_leads_to_the_anchors_of_the_model():
    clip = window(4)
    query = clip.times[0] + torch.tensor([[0.0, 0.5, 1.0, 2.9, 3.0, 3.5, 9.0]], dtype=torch.float64) / 25
    of_model = anchors_of(windows(Batch.collate([clip]), query, 2, TimeScale()))
    assert anchors(clip.times, query[0]).tolist() == torch.stack([of_model.a, of_model.b], dim=1).tolist()

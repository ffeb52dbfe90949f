"""Every scheme hides what it says: what is seen and what is asked are disjoint, and nothing else is left out."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidode.clip import InvalidInput
from vidode.hiding import RATES, SCHEMES, questions, scheme

EXHAUSTIVE = {
    "every-second": lambda length: length - (length + 1) % 2,
    "random-40": lambda length: length,
    "regular-extrapolation": lambda length: 10,
    "irregular-interpolation": lambda length: 20,
}


@pytest.mark.parametrize("name", SCHEMES)
@given(st.integers(1, 200), st.integers(0, 3))
@settings(max_examples=30, deadline=None)
def test_seen_and_asked_are_in_order_disjoint_and_on_the_right_side(name, length, seed):
    for question in questions(name, length, seed, 0):
        for frames in (question.seen, question.asked):
            assert bool((frames.diff() > 0).all())
            assert int(frames[0]) >= 0
            assert int(frames[-1]) < length
        seen, asked = set(question.seen.tolist()), set(question.asked.tolist())
        assert len(seen) >= 2
        assert asked
        assert not seen & asked
        if scheme(name).task == "interpolation":
            assert min(seen) < min(asked)
            assert max(asked) < max(seen)
        else:
            assert max(seen) < min(asked)


@pytest.mark.parametrize("name", EXHAUSTIVE)
@given(st.integers(20, 200), st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_nothing_is_left_out(name, length, seed):
    (question,) = questions(name, length, seed, 0)
    both = torch.cat([question.seen, question.asked]).sort().values
    assert torch.equal(both, torch.arange(EXHAUSTIVE[name](length)))


@given(st.integers(10, 300), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_random_40_hides_two_fifths_and_keeps_the_ends(length, seed):
    (question,) = questions("random-40", length, seed, 3)
    assert len(question.asked) == round(0.4 * length)
    assert (int(question.seen[0]), int(question.seen[-1])) == (0, length - 1)


def test_random_40_is_the_same_by_seed_and_differs_by_seed_and_clip():
    draw = lambda seed, clip: questions("random-40", 60, seed, clip)[0].asked.tolist()  # noqa: E731
    assert draw(0, 0) == draw(0, 0)
    assert len({tuple(draw(seed, clip)) for seed in range(3) for clip in range(3)}) == 9


def test_every_hidden_frame_of_random_40_is_equally_likely():
    counts = torch.zeros(12)
    for seed in range(400):
        counts[questions("random-40", 12, seed, 0)[0].asked] += 1
    expected = 400 * 5 / 10
    assert counts[[0, 11]].tolist() == [0, 0]
    assert bool(((counts[1:11] - expected).abs() < 5 * (expected / 2) ** 0.5).all())


@given(st.integers(7, 300))
@settings(max_examples=30, deadline=None)
def test_beyond_5_asks_steps_one_to_five_at_each_cut_and_ends_with_the_clip(length):
    asked = questions("beyond-5", length, 0, 0)
    for question in asked:
        assert question.distance.tolist() == [1, 2, 3, 4, 5]
        assert torch.equal(question.seen, torch.arange(int(question.asked[0])))
    assert int(asked[-1].asked[-1]) == length - 1
    assert len(asked) <= 4
    if length >= 40:
        assert [len(question.seen) for question in asked] == [round(k * (length - 5) / 4) for k in (1, 2, 3, 4)]


def test_the_papers_windows():
    (inside,), (beyond,) = questions("regular-interpolation", 30, 0, 0), questions("regular-extrapolation", 30, 0, 0)
    assert (inside.seen.tolist(), inside.asked.tolist()) == ([0, 2, 4, 6, 8], [1, 3, 5, 7])
    assert (beyond.seen.tolist(), beyond.asked.tolist()) == ([0, 1, 2, 3, 4], [5, 6, 7, 8, 9])


def test_distance_is_to_the_nearest_seen_frame():
    (question,) = questions("random-40", 50, 1, 0)
    for frame, distance in zip(question.asked.tolist(), question.distance.tolist(), strict=True):
        assert distance == min(abs(frame - seen) for seen in question.seen.tolist())


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("every-second", 3),
        ("random-40", 3),
        ("beyond-5", 7),
        ("regular-interpolation", 10),
        ("irregular-extrapolation", 20),
    ],
)
def test_a_clip_that_is_too_short_has_no_question(name, least):
    assert questions(name, least - 1, 0, 0) == []
    assert questions(name, least, 0, 0)


def test_an_unknown_scheme_names_the_closest():
    with pytest.raises(InvalidInput, match="did you mean 'every-second'"):
        scheme("every-secnd")


@pytest.mark.parametrize("length", [30, 44])
def test_at_every_rate_the_same_frames_are_asked_for_right_after_the_last_seen(length):
    found = [questions(f"sparse-{rate}", length, 0, 0)[0] for rate in RATES]
    for rate, question in zip(RATES, found, strict=True):
        assert question.asked.tolist() == list(range(length - 5, length))
        assert int(question.seen[-1]) == length - 6
        assert int(question.seen[-1] - question.seen[0]) == 5 * 100 // rate - 1

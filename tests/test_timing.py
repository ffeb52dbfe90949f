import json
import math
from fractions import Fraction as F
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidode.clip import InvalidInput
from vidode.timing import (
    Factor,
    FrameRate,
    Reached,
    Times,
    TimeScale,
    as_fraction,
    parse_timecodes,
    parse_times,
    typical_gap,
)

POSITIVE = st.fractions(min_value=F(1, 20), max_value=60, max_denominator=1001)
OBSERVED = st.lists(POSITIVE, min_size=1, max_size=6).map(
    lambda gaps: [sum(gaps[:i], F(7, 3)) for i in range(len(gaps))]
)


@given(OBSERVED, POSITIVE, st.fractions(0, 3, max_denominator=30))
@settings(max_examples=40, deadline=None)
def test_a_frame_rate_asks_for_every_tick_of_its_grid_and_nothing_else(observed, rate, beyond):
    end = observed[-1] + beyond
    ticks = int((end - observed[0]) * rate)
    assert list(FrameRate(rate, beyond).times(observed)) == [observed[0] + F(n) / rate for n in range(ticks + 1)]


@given(OBSERVED, POSITIVE)
@settings(max_examples=40, deadline=None)
def test_a_factor_divides_every_gap_alike(observed, factor):
    asked = list(Factor(factor).times(observed))
    assert asked[0] == observed[0]
    assert len(asked) == int((len(observed) - 1) * factor) + 1
    assert all(early < late for early, late in pairwise(asked))
    for place, time in enumerate(asked):
        left = min(int(place / factor), len(observed) - 1)
        right = observed[min(left + 1, len(observed) - 1)]
        assert time == observed[left] + (place / factor - left) * (right - observed[left])


def test_a_factor_on_regular_video_is_a_faster_grid_and_goes_on_beyond_the_end():
    observed = [F(5) + F(n, 25) for n in range(11)]
    grid = [F(5) + F(n, 25) * F(2, 5) for n in range(25 + 13)]
    assert list(Factor("5/2").times(observed)) == grid[:26]
    assert list(Factor("5/2", beyond="0.2").times(observed)) == grid
    assert list(Factor(F(1, 2)).times(observed)) == observed[::2]


def test_a_factor_beyond_a_single_frame_needs_the_declared_gap():
    with pytest.raises(InvalidInput, match="--frame-gap"):
        list(Factor(2, beyond=1).times([0]))
    assert list(Factor(2).times([3])) == [3]
    assert list(Factor(2, beyond=1).times([0], gap="1/2")) == [F(n, 4) for n in range(5)]


@given(OBSERVED, st.lists(st.fractions(-5, 200, max_denominator=60), min_size=1, max_size=12, unique=True))
@settings(max_examples=40, deadline=None)
def test_explicit_times_are_given_once_each_and_in_order(observed, wanted):
    assert list(Times(tuple(sorted(wanted))).times(observed)) == sorted(wanted)


def test_each_gap_is_told_only_its_own_times():
    request = Times((F(-1), F(0), F(1, 2), F(1), F(3, 2), F(2)))
    start = Reached(0, F(0), F(0))
    assert list(request.before(F(0))) == [-1]
    assert list(request.within(start, F(1))) == [0, F(1, 2)]
    assert list(request.after(Reached(1, F(1), F(0)), None)) == [1, F(3, 2), 2]


def test_numbers_are_exactly_what_was_written():
    assert as_fraction(0.1, "x") == F(1, 10)
    assert as_fraction("29.97", "x") == F(2997, 100)
    assert as_fraction(" 30000/1001 ", "x") == F(30000, 1001)
    assert as_fraction(30000 / 1001, "x") == F(30000, 1001)
    assert as_fraction(0.1 + 0.2, "x") == F(3, 10)
    assert as_fraction(5 + 1 / 30, "x") == F(151, 30)


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12))
@settings(max_examples=50, deadline=None)
def test_a_float_stays_itself_to_its_last_place(value):
    assert abs(float(as_fraction(value, "x")) - value) <= 2 * math.ulp(value)


@pytest.mark.parametrize("rate", [0, -1, "0", "-30", "nan", "inf", float("nan"), float("inf"), "abc", "", "1/0", None])
@pytest.mark.parametrize("request_kind", [FrameRate, Factor])
def test_rates_that_are_none_are_refused_in_one_line(request_kind, rate):
    with pytest.raises(InvalidInput, match="expected a") as caught:
        request_kind(rate)
    assert "\n" not in str(caught.value)


def test_going_back_beyond_the_end_is_refused():
    with pytest.raises(InvalidInput, match="zero or more"):
        FrameRate(60, beyond=-1)


@pytest.mark.parametrize("text", ["0.1,0.25", "1/10, 1/4"])
def test_times_on_the_command_line(text):
    assert parse_times(text).wanted == (F(1, 10), F(1, 4))


@pytest.mark.parametrize(
    "content", ["0.1\n0.25\n", "# seconds\n0.1, 0.25 # both\n\n", "[0.1, 0.25]", "[0.1,\n 25e-2]\n"]
)
def test_times_in_a_file(tmp_path, content):
    path = tmp_path / "times.txt"
    path.write_text(content)
    assert parse_times(str(path)).wanted == (F(1, 10), F(1, 4))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("0.1\nlater\n", "line 2: time is 'later'"),
        ("nan\n", "expected a finite number"),
        ("[0.1, NaN]", "expected a finite number"),
        ("[0.1, [2]]", "list of numbers"),
        ("[0.1, null]", "list of numbers"),
        ("[0.1,", "not valid JSON"),
        ("", "no times"),
        ("0.25\n0.1\n", "strictly increasing"),
        ("0.1\n0.1\n", "strictly increasing"),
        (b"\xff\xfe\x00", "cannot be read as text"),
    ],
)
def test_a_file_of_bad_times_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "times.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InvalidInput, match=message) as caught:
        parse_times(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "0.1,,0.2", "soon", "0.1,nan"])
def test_text_that_is_neither_times_nor_a_file_is_refused(text):
    with pytest.raises(InvalidInput, match=r"expected numbers such as .* or a file"):
        parse_times(text)


@pytest.mark.parametrize("head", ["# timecode format v2", "# timestamp format v2", "\ufeff# timecode format v2"])
def test_time_codes_are_milliseconds(tmp_path, head):
    path = tmp_path / "codes.txt"
    path.write_text(f"{head}\n0\n33.366667\n66.7\n", encoding="utf-8")
    assert parse_timecodes(path).wanted == (0, F("0.033366667"), F("0.0667"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("# timecode format v1\nAssume 25\n", "v2"),
        ("0\n40\n", "v2"),
        ("", "v2"),
        ("# timecode format v2\n", "no times"),
    ],
)
def test_other_time_codes_are_refused(tmp_path, content, message):
    path = tmp_path / "codes.txt"
    path.write_text(content)
    with pytest.raises(InvalidInput, match=message):
        parse_timecodes(path)
    with pytest.raises(InvalidInput, match="no time code file"):
        parse_timecodes(tmp_path / "missing.txt")


def test_json_integers_are_times_too(tmp_path):
    path = tmp_path / "times.json"
    path.write_text(json.dumps([1, 2.5]))
    assert parse_times(str(path)).wanted == (1, F(5, 2))


def test_the_typical_gap_is_the_lower_median():
    assert typical_gap([F(0)]) is None
    assert typical_gap([F(0), F(1), F(2), F(5)]) == 1
    assert typical_gap([F(0), F(1), F(3)]) == 1


def scale_of(times, present=None, declared=None, **options):
    times = torch.tensor([times], dtype=torch.float64)
    present = torch.ones_like(times, dtype=torch.bool) if present is None else torch.tensor([present])
    return TimeScale(**options).unit(times, present, None if declared is None else torch.tensor([declared]).double())


def test_the_unit_of_relative_time_is_ten_typical_gaps():
    assert scale_of([0, 1, 2, 10]).item() == 10
    assert scale_of([0, 1, 3]).item() == 10
    assert scale_of([0, 100, 1, 2], present=[True, False, True, True]).item() == 10
    assert scale_of([0, 1], declared=0.5).item() == 5
    assert scale_of([0, 1], declared=float("nan")).item() == 10


def test_absolute_time_needs_no_gap_and_relative_time_does():
    assert scale_of([3], kind="absolute", per_unit=60).item() == 60
    with pytest.raises(InvalidInput, match="--frame-gap"):
        scale_of([3])
    with pytest.raises(InvalidInput, match="kind"):
        TimeScale(kind="other")
    with pytest.raises(InvalidInput, match="positive"):
        TimeScale(per_unit=0)

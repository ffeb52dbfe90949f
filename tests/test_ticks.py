"""Time bases hold what they are asked to hold."""

import math
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from vidode.sources.ticks import FINE, LEAST, MOST, time_base

DENOMINATORS = st.sampled_from([1, 24, 25, 30, 1000, 1001, 16000, 44100, 90000])


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from([3, 25, 1000, 9973])), min_size=1),
    st.none() | st.sampled_from([Fraction(60), Fraction(30000, 1001)]),
    st.none() | DENOMINATORS,
)
def test_times_ticks_of_the_source_and_the_rate_are_whole_ticks(times, rate, like):
    fractions = [Fraction(*time) for time in times]
    base = time_base(fractions, rate, like and Fraction(1, like))
    assert base.numerator == 1
    assert LEAST <= base.denominator <= MOST
    wanted = math.lcm(*(time.denominator for time in fractions))
    if wanted <= MOST:
        assert all((time / base).denominator == 1 for time in fractions)
    if rate and math.lcm(wanted, rate.numerator) <= MOST:
        assert (1 / rate / base).denominator == 1


def test_without_known_times_the_usual_rates_fall_on_ticks():
    base = time_base(None, None, Fraction(1, 12800))
    for gap in (Fraction(1, 12800), *(Fraction(1, n) for n in (24, 25, 30, 50, 60, 1000)), Fraction(1001, 30000)):
        assert (gap / base).denominator == 1


def test_times_that_no_time_base_holds_are_rounded_finely():
    base = time_base([Fraction(math.pi)], None, None)
    assert base.denominator % FINE == 0

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import statistics

times = st.lists(st.floats(1e-4, 1e3), min_size=10, max_size=30)
pairs = st.integers(10, 20).flatmap(
    lambda n: st.tuples(*[st.lists(st.floats(1e-3, 1e3), min_size=n, max_size=n) for _ in range(2)])
)


@settings(max_examples=30, deadline=None)
@given(pairs)
def test_interval_holds_its_estimate_and_turns_over_with_the_pairs(samples):
    before, after = map(np.array, samples)
    ratio = statistics.ratio_interval(before, after)
    back = statistics.ratio_interval(after, before)
    assert ratio.low <= ratio.estimate * (1 + 1e-9)
    assert ratio.estimate <= ratio.high * (1 + 1e-9)
    assert ratio.estimate == pytest.approx(1 / back.estimate)


@settings(max_examples=30, deadline=None)
@given(times, st.floats(0.1, 10.0))
def test_a_constant_ratio_is_found_exactly_whatever_the_drift(after, factor):
    after = np.array(after)
    ratio = statistics.ratio_interval(after * factor, after)
    assert ratio == pytest.approx((factor, factor, factor))


@pytest.mark.parametrize("pairs", [statistics.FEWEST_PAIRS, 20, 60])
def test_interval_covers_the_truth_as_often_as_it_says(pairs):
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        machine = random.lognormal(0, 0.5, pairs)  # what hits both of a pair
        before = 2.0 * machine * random.lognormal(0, 0.05, pairs)
        after = machine * random.lognormal(0, 0.05, pairs)
        covered += statistics.ratio_interval(before, after).holds(2.0)
    # 95% is asked for; a percentile bootstrap of few pairs gives a little less. 3 sigma of 300 draws are 4%.
    assert 0.88 <= covered / 300 <= 0.99


def test_a_hiccup_of_the_machine_moves_nothing():
    before, after = np.full(20, 2.0), np.ones(20)
    before[[3, 11]] *= 8
    assert statistics.ratio_interval(before, after) == pytest.approx((2.0, 2.0, 2.0))


def test_few_pairs_say_nothing_of_the_spread():
    for pairs in range(1, statistics.FEWEST_PAIRS):
        assert statistics.ratio_interval(np.full(pairs, 2.0), np.ones(pairs)) == (2.0, 0.0, float("inf"))


@pytest.mark.parametrize(
    ("before", "after"), [([], []), ([1.0], [1.0, 2.0]), ([0.0], [1.0]), ([np.nan], [1.0]), ([1.0], [np.inf])]
)
def test_refuses_what_has_no_ratio(before, after):
    with pytest.raises(ValueError, match="needs"):
        statistics.ratio_interval(np.array(before), np.array(after))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_spread_is_in_order(samples):
    found = statistics.spread(np.array(samples))
    assert min(samples) <= found.low <= found.median <= found.high <= max(samples)


def test_spread_is_not_moved_by_an_outlier():
    samples = np.arange(1.0, 22.0)
    samples[-1] = 1e9
    assert statistics.spread(samples) == (11.0, 6.0, 16.0)

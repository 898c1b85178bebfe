import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from loop_bench import statistics
from loop_bench.statistics import Interval, mean_interval

times = st.lists(st.floats(1e-4, 1e3), min_size=10, max_size=30)

pairs = st.integers(10, 20).flatmap(
    lambda n: st.tuples(*[st.lists(st.floats(1e-3, 1e3), min_size=n, max_size=n) for _ in range(2)])
)


@settings(max_examples=15, deadline=None)
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


# Of 95% that are asked for, a percentile bootstrap of few pairs gives a little less. 3 sigma of 300 draws are 4%, of
# 100 draws 6.5%: enough to tell the half of an interval, which holds the truth in 67%, or one around another middle.
@pytest.mark.parametrize(
    ("pairs", "draws", "least"),
    [
        (statistics.FEWEST_PAIRS, 100, 0.86),
        *(pytest.param(pairs, 300, 0.88, marks=pytest.mark.slow) for pairs in (statistics.FEWEST_PAIRS, 20, 60)),
    ],
)
def test_interval_covers_the_truth_as_often_as_it_says(pairs, draws, least):
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(draws):
        machine = random.lognormal(0, 0.5, pairs)  # what hits both of a pair
        before = 2.0 * machine * random.lognormal(0, 0.05, pairs)
        after = machine * random.lognormal(0, 0.05, pairs)
        covered += statistics.ratio_interval(before, after).holds(2.0)
    assert least <= covered / draws <= 0.99


@pytest.mark.parametrize(("confidence", "errors"), [(0.90, 1.645), (0.95, 1.960), (0.999, 3.291)])
def test_an_interval_is_as_wide_as_its_confidence_says(confidence, errors):
    logs = np.random.default_rng(0).normal(0, 0.05, 400)
    interval = statistics.ratio_interval(np.exp(logs), np.ones(400), confidence)
    # The standard error of a trimmed mean is that of the winsorised samples (Wilcox 2012, section 3.5).
    winsorised = np.clip(logs, *np.quantile(logs, [statistics.TRIMMED, 1 - statistics.TRIMMED]))
    error = np.std(winsorised, ddof=1) / ((1 - 2 * statistics.TRIMMED) * np.sqrt(400))
    assert np.log(interval.high / interval.low) / 2 == pytest.approx(errors * error, rel=0.1)


def test_a_hiccup_of_the_machine_moves_nothing():
    before, after = np.full(40, 2.0), np.ones(40)
    before[[3, 11]] *= 8
    assert statistics.ratio_interval(before, after) == pytest.approx((2.0, 2.0, 2.0))


@settings(max_examples=15, deadline=None)
@given(pairs)
def test_an_interval_turned_over_is_that_of_the_ratio_turned_over(samples):
    before, after = map(np.array, samples)
    assert statistics.ratio_interval(before, after).reciprocal == pytest.approx(
        statistics.ratio_interval(after, before), rel=0.2
    )


def test_width_is_the_share_between_the_limits():
    assert Interval(2.0, 1.95, 2.05).width == pytest.approx(2.05 / 1.95 - 1)
    assert Interval(2.0, 0.0, float("inf")).width == float("inf")
    assert Interval(2.0, 0.0, float("inf")).reciprocal == (0.5, 0.0, float("inf"))


@pytest.mark.parametrize(
    ("counts", "draws", "least"),
    [
        ((10, 15), 100, 0.86),
        *(pytest.param(counts, 300, 0.88, marks=pytest.mark.slow) for counts in ((10, 30), (40, 40))),
    ],
)
def test_interval_of_unpaired_samples_covers_the_truth(counts, draws, least):
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(draws):
        first, second = (
            middle * random.lognormal(0, 0.1, count) for middle, count in zip((3.0, 2.0), counts, strict=True)
        )
        covered += statistics.unpaired_ratio_interval(first, second).holds(1.5)
    assert least <= covered / draws <= 0.99


def test_unpaired_samples_need_no_partners():
    assert statistics.unpaired_ratio_interval(np.full(12, 3.0), np.full(20, 2.0)) == pytest.approx((1.5, 1.5, 1.5))
    assert statistics.unpaired_ratio_interval(np.full(9, 3.0), np.full(20, 2.0))[1:] == (0.0, float("inf"))


@settings(max_examples=15, deadline=None)
@given(pairs)
def test_ratio_of_totals(samples):
    before, after = map(np.array, samples)
    found = statistics.total_ratio_interval(before, after)
    assert found.estimate == pytest.approx(before.sum() / after.sum())
    assert found.low <= found.estimate * (1 + 1e-9)
    assert found.estimate <= found.high * (1 + 1e-9)
    against = statistics.total_ratio_interval(before, after, (after, before))
    assert against.estimate == pytest.approx(found.estimate**2)
    assert statistics.total_ratio_interval(before, after, (before, after)).holds(1.0)


def test_ratio_of_totals_holds_what_is_rare():
    before, after = np.ones(100), np.ones(100)
    before[::10] = 6.0  # half as much again in all
    assert statistics.ratio_interval(before, after) == pytest.approx((1.0, 1.0, 1.0))
    found = statistics.total_ratio_interval(before, after, confidence=0.99)
    assert found.estimate == pytest.approx(1.5)
    assert 1.1 < found.low < 1.4 < 1.6 < found.high < 2.0
    assert statistics.total_ratio_interval(before[:9], after[:9]).high == float("inf")


@pytest.mark.parametrize(("successes", "trials"), [(0, 100), (95, 100), (100, 100), (1, 3)])
def test_wilson_interval(successes, trials):
    # Wilson (1927): centre and half-width of the score interval.
    z = 1.959964
    share = successes / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    expected = (share, max(0.0, centre - half), min(1.0, centre + half))
    assert statistics.wilson_interval(successes, trials) == pytest.approx(expected, abs=1e-6)


@settings(deadline=None)
@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_holds_its_share_and_stays_a_share(counts):
    low, high = statistics.wilson_interval(*counts)[1:]
    assert 0 <= low <= counts[0] / counts[1] <= high <= 1


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


def test_a_mean_has_students_interval():
    found = mean_interval(np.array([1.0, 2.0, 3.0, 4.0]))
    half = stats.ttest_1samp([1.0, 2.0, 3.0, 4.0], 0).confidence_interval()
    assert found == pytest.approx((2.5, half.low, half.high))
    assert mean_interval(np.array([0.0, 0.0, 0.0])) == (0.0, 0.0, 0.0)
    assert mean_interval(np.array([2.0])) == (2.0, -np.inf, np.inf)


def test_students_interval_holds_the_mean_as_often_as_it_says():
    # 3 sigma of 600 draws are 2.7%; the normal distribution's interval would hold it in 86%.
    samples = np.random.default_rng(0).normal(1.0, 2.0, (600, 4))
    assert np.mean([mean_interval(each).holds(1.0) for each in samples]) == pytest.approx(0.95, abs=0.027)


@pytest.mark.parametrize("samples", [[], [1.0, np.nan], [[1.0]]])
def test_a_mean_needs_finite_samples(samples):
    with pytest.raises(ValueError, match="needs finite samples"):
        mean_interval(np.array(samples))


positive = st.lists(st.integers(1, 10**6), min_size=1, max_size=40).map(lambda values: np.array(values) / 1024)


@settings(max_examples=40, deadline=None)
@given(positive)
def test_checks_are_about_order_and_not_about_units(samples):
    assert statistics.drift(8 * samples).p_value == pytest.approx(statistics.drift(samples).p_value)
    assert statistics.autocorrelation(8 * samples).lag_1 == pytest.approx(statistics.autocorrelation(samples).lag_1)
    assert statistics.drift(samples[::-1]).change == pytest.approx(1 / (1 + statistics.drift(samples).change) - 1)


def test_independent_samples_raise_no_alarm():
    random = np.random.default_rng(0)
    runs = [random.lognormal(0, 0.1, 100) for _ in range(100)]  # a test at 5% would report five of them
    assert sum(statistics.drift(run).significant for run in runs) <= 1
    assert sum(statistics.autocorrelation(run).significant for run in runs) <= 1


def test_a_trend_is_found_with_its_size():
    random = np.random.default_rng(0)
    run = np.linspace(1.0, 1.2, 100) * random.lognormal(0, 0.05, 100)
    run[[5, 50]] *= 10  # outliers
    found = statistics.drift(run)
    assert found.significant
    assert found.change == pytest.approx(0.2, abs=0.05)


def test_a_long_run_is_no_burden():
    found = statistics.drift(np.linspace(1.0, 1.2, 50_000))
    assert found.significant
    assert found.change == pytest.approx(0.2, abs=0.001)


def test_a_step_of_the_machine_is_seen_as_rounds_that_resemble_each_other():
    random = np.random.default_rng(0)
    moods = np.repeat([1.0, 1.3, 1.0, 1.3, 1.0], 20)
    assert statistics.autocorrelation(moods * random.lognormal(0, 0.05, 100)).significant


def test_alternation_is_no_alarm():
    """Rounds whose order alternates may alternate too; that makes intervals wider and not too narrow."""
    assert not statistics.autocorrelation(np.tile([1.0, 1.1], 50)).significant


@pytest.mark.parametrize("samples", [[1.0], [1.0, 2.0], [3.0] * 20])
def test_too_few_or_equal_samples_have_no_trend(samples):
    assert statistics.drift(np.array(samples)) == (0.0, 1.0)
    assert statistics.autocorrelation(np.array(samples)) == (0.0, 1.0)

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loop_bench.clusters import between, clustered, within
from loop_bench.statistics import Interval

GROUPS, EACH = 5, 8
OF = np.repeat(np.arange(GROUPS), EACH)


def drawn(rng, effect, noise, loops=2, ratio=0.0, groups=GROUPS, each=EACH):
    """Logarithms of time before / time of other loops, [loops, rounds]: each process has an effect of its own."""
    of = np.repeat(np.arange(groups), each)
    process = rng.normal(0, 1, [loops + 1, groups]) * np.reshape(effect, [-1, 1])  # the first is that of before
    times = process[:, of] + rng.normal(0, noise, [loops + 1, groups * each])
    logs = times[0] - times[1:]
    logs[0] += ratio
    return logs


@pytest.mark.parametrize(("groups", "confidence"), [(5, 0.95), (5, 0.8), (2, 0.95)])
def test_the_interval_holds_the_ratio_as_often_as_it_says(groups, confidence):
    """With processes that differ by 1%, ten times the rest."""
    rng, runs = np.random.default_rng(0), 400
    of, hits = np.repeat(np.arange(groups), 4), 0
    for _ in range(runs):
        found = between(drawn(rng, 0.01, 0.001, ratio=0.05, groups=groups, each=4), of, confidence)
        hits += abs(found.mean - 0.05) <= found.reach
    error = 3 * np.sqrt(confidence * (1 - confidence) / runs)
    assert confidence - error <= hits / runs <= confidence + error + 0.05  # its own scatter may count for more


def test_a_loop_whose_processes_differ_more_is_covered_almost_as_often():
    rng, runs, effects = np.random.default_rng(6), 400, [0.001, 0.02, 0.001]
    of = np.repeat(np.arange(GROUPS), 4)
    found = [between(drawn(rng, effects, 0.001, each=4), of, 0.95) for _ in range(runs)]
    assert 0.90 <= np.mean([abs(each.mean) <= each.reach for each in found]) <= 0.95


def test_rounds_alone_would_be_sure_of_what_processes_have_by_chance():
    """The error that this is against: more rounds of the same processes never tell."""
    logs = drawn(np.random.default_rng(1), 0.01, 0.0001, each=100)
    of = np.repeat(np.arange(GROUPS), 100)
    rounds = np.std(logs[0], ddof=1) / np.sqrt(logs.shape[1])
    assert between(logs, of, 0.95).reach > 5 * rounds


def test_processes_that_do_not_differ_make_it_no_wider_than_their_rounds():
    logs = drawn(np.random.default_rng(2), 0.0, 0.01, each=100)
    of = np.repeat(np.arange(GROUPS), 100)
    assert between(logs, of, 0.95).reach < 4 * 0.01 * np.sqrt(2 / 500)


def test_the_null_arm_halves_what_is_not_known():
    """It is a second look at how much processes differ: Student's t has twice as many degrees of freedom."""
    rng = np.random.default_rng(3)
    runs = [drawn(rng, 0.01, 0.001, groups=2) for _ in range(200)]
    of = np.repeat([0, 1], EACH)
    with_null = np.median([between(logs, of, 0.95).reach for logs in runs])
    assert with_null < 0.6 * np.median([between(logs[:1], of, 0.95).reach for logs in runs])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 100), st.floats(-1, 1), st.integers(1, 3), st.permutations(range(GROUPS)))
def test_scale_sign_and_the_names_of_groups_change_nothing_else(seed, factor, loops, names):
    logs = drawn(np.random.default_rng(seed), 0.01, 0.01, loops)
    found = between(logs, OF, 0.95)
    assert between(logs + factor, OF, 0.95) == pytest.approx((found.mean + factor, found.reach))
    assert between(-logs, OF, 0.95) == pytest.approx((-found.mean, found.reach))
    assert between(3 * logs, OF, 0.95) == pytest.approx((3 * found.mean, 3 * found.reach))
    assert between(logs, np.array(names)[OF], 0.95) == pytest.approx(found)
    assert between(logs, OF, 0.99).reach > found.reach
    assert between(logs, OF, 0.99).mean == found.mean


def test_of_one_group_nothing_is_known_between_processes():
    logs, interval = drawn(np.random.default_rng(0), 0.01, 0.01), Interval(1.0, 0.9, 1.1)
    assert between(logs, [4] * len(OF), 0.95) is None
    assert clustered(interval, logs, [4] * len(OF), 0.95) == interval


def test_an_outlier_among_the_rounds_of_a_group_moves_nothing():
    logs = drawn(np.random.default_rng(0), 0.01, 0.001)
    spoilt = logs.copy()
    spoilt[0, 3] = 5.0
    assert between(spoilt, OF, 0.95) == pytest.approx(between(logs, OF, 0.95), abs=0.001)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 100), st.floats(0.5, 2), st.floats(0.5, 1), st.floats(1, 2))
def test_the_wider_of_both_intervals_is_taken_on_either_side(seed, ratio, low, high):
    logs = drawn(np.random.default_rng(seed), 0.01, 0.01, ratio=np.log(ratio))
    of_rounds, (mean, reach) = Interval(1.0, low, high), between(logs, OF, 0.95)
    found = clustered(of_rounds, logs, OF, 0.95)
    assert found.estimate == pytest.approx(np.exp(mean))
    assert found.low == pytest.approx(min(low, np.exp(mean - reach)))
    assert found.high == pytest.approx(max(high, np.exp(mean + reach)))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.floats(-10, 10)), min_size=1, max_size=30))
def test_within_groups_only_the_difference_between_groups_is_lost(pairs):
    of, values = np.array([each for each, _ in pairs]), np.array([value for _, value in pairs])
    kept = values.copy()
    found = within(values, of)
    assert values.tolist() == kept.tolist()
    assert np.mean(found) == pytest.approx(np.mean(values), abs=1e-9)
    for number in {*of}:
        assert np.mean(found[of == number]) == pytest.approx(np.mean(values), abs=1e-9)
        assert np.ptp(found[of == number] - values[of == number]) == pytest.approx(0, abs=1e-9)

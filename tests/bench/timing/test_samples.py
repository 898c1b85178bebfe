import numpy as np
import pytest
from records import rounds as make

from loop_bench.statistics import drift
from loop_bench.timing import samples


def test_times_are_milliseconds_a_batch():
    done = make(before=0.06, noise=0, count=3, batches=7)
    assert samples.milliseconds(done, "before") == pytest.approx([60.0] * 3)


def test_ratios_are_before_over_what_it_is_compared_with():
    done = make(before=0.06, after=0.03, null=0.05, noise=0.01)
    assert samples.speed_up(done).estimate == pytest.approx(2.0, rel=0.01)
    assert samples.null(done).estimate == pytest.approx(1.2, rel=0.01)
    assert samples.speed_up(done, 0.99).width > samples.speed_up(done, 0.95).width


def test_totals_hold_what_a_robust_mean_leaves_out():
    done = list(make(before=0.06, after=0.03, noise=0, count=20))
    slow = done[3].model_copy(update={"seconds": {**done[3].seconds, "after": 6.3}})
    assert samples.speed_up([*done[:3], slow, *done[4:]]).estimate == pytest.approx(2.0)
    assert samples.speed_up_of_totals([*done[:3], slow, *done[4:]]) == pytest.approx(20 * 0.6 / (19 * 0.3 + 6.3))


def test_each_round_has_its_ratio_and_all_have_their_time():
    done = make(before=0.06, after=0.03, noise=0, count=4, batches=10)
    assert samples.ratios(done) == pytest.approx([2.0] * 4)
    assert samples.ratios(done, "null") == pytest.approx([1.0] * 4)
    assert samples.seconds(done) == pytest.approx(4 * 10 * (0.06 + 0.06 + 0.03))


def in_groups(effects, noise=0.001, count=8):
    """Rounds of groups of processes; in each group, "after" is slower by the effect of the group."""
    return [
        done.model_copy(update={"group": group})
        for group, effect in enumerate(effects)
        for done in make(before=0.06, after=0.03 * (1 + effect), noise=noise, count=count, seed=group)
    ]


def test_rounds_have_a_group():
    assert samples.groups(make(count=3)) == [0, 0, 0]
    assert samples.groups(in_groups([0, 0], count=2)) == [0, 0, 1, 1]


def test_the_interval_includes_differences_between_processes():
    apart, alike = in_groups([0.03, -0.03, 0.02, -0.02, 0.0]), in_groups([0.0] * 5)
    assert samples.speed_up(apart).estimate == pytest.approx(2.0, rel=0.01)
    assert samples.speed_up(apart).width > 0.02
    assert samples.speed_up(alike).width < 0.004
    together = [done.model_copy(update={"group": 0}) for done in apart]
    assert samples.speed_up(together).width < samples.speed_up(apart).width
    assert samples.null(apart, 0.99).width > samples.null(apart, 0.95).width


def test_the_factor_between_processes_is_one_for_the_same_processes():
    apart = in_groups([0.03, -0.03, 0.02, -0.02, 0.0])
    factor = samples.between_processes(apart, 0.95)
    assert 1.01 < factor < 1.1
    assert samples.between_processes(apart, 0.999) > factor
    assert samples.between_processes([done.model_copy(update={"group": 7}) for done in apart], 0.95) == 1.0


def test_steady_removes_differences_between_groups():
    apart = in_groups([0.05, -0.05], noise=0.001, count=20)
    assert np.ptp(samples.ratios(apart)) > 0.15
    assert np.ptp(samples.steady(apart)) < 0.02
    assert np.mean(np.log(samples.steady(apart))) == pytest.approx(np.mean(np.log(samples.ratios(apart))))


def test_two_loops_without_a_null_arm_have_their_interval_too():
    apart = [
        done.model_copy(update={"seconds": {name: done.seconds[name] for name in ("before", "after")}})
        for done in in_groups([0.03, -0.03, 0.0])
    ]
    assert samples.speed_up(apart).width > samples.speed_up(in_groups([0.0] * 3)).width


def test_by_age_shows_a_trend_over_all_groups():
    """New processes start the trend again, so that the order of the run hides it."""
    apart = []
    for group in range(5):
        for place, done in enumerate(make(before=0.06, after=0.03, noise=0.01, count=20, seed=group)):
            seconds = {**done.seconds, "after": done.seconds["after"] * (1 + 0.005 * place)}
            apart.append(done.model_copy(update={"group": group, "seconds": seconds}))
    aged = samples.by_age(apart)
    assert [done.group for done in aged[:6]] == [0, 1, 2, 3, 4, 0]
    assert drift(samples.steady(aged)).change == pytest.approx(-0.09, abs=0.02)
    assert abs(drift(samples.steady(apart)).change) < 0.06

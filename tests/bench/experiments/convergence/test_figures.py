import math

import pytest
from convergences import DOWN, EPOCHS, NEITHER, UP, convergence_record, course

from loop_bench.experiments.convergence.figures import NO_DIFFERENCE, TOO_FEW, ConvergenceFigures, sign, summary
from loop_bench.statistics import mean_interval


def figures(*seeds, **changes):
    return ConvergenceFigures.of(convergence_record(seeds or (0, 1, 2), **changes))


def compared(found, changed="after", metric=DOWN):
    (one,) = (each for each in found.comparisons if (each.pair.changed, each.metric) == (changed, metric))
    return one


def test_an_arrow_says_which_way_is_better():
    assert [sign(name) for name in (DOWN, UP, NEITHER, "")] == [-1, 1, 0, 0]


def test_a_curve_is_the_mean_over_seeds_with_its_interval():
    found = figures().curves[DOWN]["after"]
    assert (found.batches, found.runs) == ((0, 10, 20, 30, 40), 3)
    assert found.means[-1] == pytest.approx(mean_interval([3.0, 3.01, 3.02]))
    assert found.means[2].estimate == pytest.approx(4.01)


def test_differences_are_paired_by_seed():
    """The effect of a seed on every loop cancels in differences: the interval has no width."""
    found = compared(figures())
    assert (found.seeds, found.pair.reference) == (3, "after, fixed")
    assert found.final.difference == pytest.approx((-1.0, -1.0, -1.0))
    assert found.mean.difference == pytest.approx((-0.5, -0.5, -0.5))  # a triangle
    assert found.final.verdict == found.mean.verdict == "better"


def test_verdicts_know_the_better_way_where_there_is_one():
    found = figures()
    assert compared(found, metric=UP).final.verdict == "worse"
    assert compared(found, "after, fixed", UP).final.verdict == "better"
    assert compared(found, metric=NEITHER).final.verdict == "higher"


def noisy(loop, seed, by):
    run = course(loop, seed)
    moments = [
        each.model_copy(update={"quality": {name: value + by for name, value in each.quality.items()}})
        for each in run.moments
    ]
    return run.model_copy(update={"moments": tuple(moments)})


def test_what_seeds_do_not_agree_on_is_no_measurable_difference():
    changed = {("after, fixed", seed): noisy("after, fixed", seed, by) for seed, by in enumerate((-0.3, 0.1, 0.3))}
    effect = compared(figures(changed=changed), "after, fixed").final
    assert effect.difference.estimate == pytest.approx(0.1 / 3)
    assert effect.verdict == NO_DIFFERENCE


def test_a_gain_in_one_metric_that_is_paid_for_in_another_is_no_gain():
    found = figures().comparisons
    of = {name: [each for each in found if each.pair.changed == name] for name in ("after", "after, fixed")}
    assert summary(of["after"]) == "better in one respect, worse in another"
    assert summary(of["after, fixed"]) == "better"
    assert summary([each for each in found if each.metric == NEITHER]) == "higher"
    assert summary([compared(figures(), "after, fixed")]) == NO_DIFFERENCE
    assert summary([compared(figures(0))]) == TOO_FEW


def test_no_difference_at_all_is_none():
    assert compared(figures(), "after, fixed").final.verdict == NO_DIFFERENCE


def test_one_seed_tells_nothing():
    found = compared(figures(0))
    assert (found.final.verdict, found.seeds) == (TOO_FEW, 1)
    assert math.isinf(found.final.difference.high)


def test_when_the_references_best_was_reached():
    found = compared(figures()).reached  # from 5 to 3 in 40 batches, and the reference to 4
    assert (found.changed, found.reference) == ((20, 20, 20), (40, 40, 40))
    assert found.median == (20, 40)
    never = compared(figures(), metric=UP).reached
    assert (never.changed, never.median) == ((), (None, 40))
    assert compared(figures(), metric=NEITHER).reached is None


def test_a_run_that_died_is_in_no_mean_and_is_named():
    dead = course("after", 1, ended="crashed", why="boom", moments=course("after", 1).moments[:2])
    found = figures(changed={("after", 1): dead})
    assert found.flaws == {"before": (), "after": ((1, "crashed: boom"),), "after, fixed": ()}
    assert found.curves[DOWN]["after"].runs == 2
    assert compared(found).seeds == 2
    assert compared(found, "after, fixed").seeds == 3


def test_of_a_loop_that_always_died_there_is_nothing():
    dead = {("after", seed): course("after", seed, ended="timed out", why="slow", moments=()) for seed in range(3)}
    found = figures(changed=dead)
    assert list(found.curves[DOWN]) == ["before", "after, fixed"]
    assert {each.pair.changed for each in found.comparisons} == {"after, fixed"}
    assert "after" not in found.temperatures


def test_runs_evaluated_after_other_batches_are_not_compared():
    moments = tuple(each.model_copy(update={"batch": 2 * each.batch}) for each in course("after", 0).moments)
    found = figures(0, changed={("after", 0): course("after", 0, moments=moments)})
    assert [each.pair.changed for each in found.comparisons] == ["after, fixed"] * 3


def test_temperatures_are_those_that_loops_say():
    found = figures().temperatures
    assert found["before"] == dict.fromkeys(range(0, 10 * EPOCHS + 1, 10), 0.8)
    assert found["after"][40] == pytest.approx(1.6)


def test_whether_all_began_with_the_same_weights():
    assert figures().alike
    other = {("after", 1): course("after", 1, start="other")}
    assert not figures(changed=other).alike
    killed = {("after", 1): course("after", 1, start="", ended="timed out", moments=())}
    assert figures(changed=killed).alike  # it does not say

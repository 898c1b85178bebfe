import pytest
from records import rounds as make

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

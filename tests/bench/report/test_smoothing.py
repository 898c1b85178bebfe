import numpy as np
import pytest

from bench.report import smoothing

NAN, INF = float("nan"), float("inf")


def test_the_running_median_leaves_an_outlier_out():
    found = smoothing.running_median(np.array([1.0, 1.0, 90.0, 1.0, 2.0]), 3)
    assert found.tolist() == [1.0, 1.0, 1.0, 2.0, 1.5]  # of two at the ends


def test_the_running_mean_is_of_what_is_known_and_has_the_same_gaps():
    found = smoothing.running_mean(np.array([1.0, 3.0, NAN, 5.0]), 3)
    np.testing.assert_allclose(found, [2.0, 2.0, NAN, 5.0])
    assert smoothing.running_mean(np.array([]), 3).size == 0


def test_what_no_axis_can_hold_is_missing():
    found = smoothing.finite(np.array([1.0, INF, -INF, NAN, 1e300, -1e30]))
    np.testing.assert_array_equal(found, [1.0, NAN, NAN, NAN, NAN, -1e30])


def test_a_thinned_line_has_its_ends_and_its_spikes():
    values = np.zeros(10_000)
    values[[1234, 5678]] = 9.0, -9.0
    found = smoothing.thinned(values, 100)
    assert {0, 1234, 5678, 9999} <= set(found.tolist())
    assert 50 <= len(found) <= 102
    assert np.all(np.diff(found) > 0)


def test_a_thinned_line_has_its_gap():
    values = np.arange(1000.0)
    values[300:600] = NAN
    kept = values[smoothing.thinned(values, 100)]
    assert 14 <= np.isnan(kept).sum() <= 16


@pytest.mark.parametrize("count", [0, 1, 99, 100])
def test_a_short_line_stays_as_it_is(count):
    assert smoothing.thinned(np.zeros(count), 100).tolist() == list(range(count))

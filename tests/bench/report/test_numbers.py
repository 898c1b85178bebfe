import math

import pytest

from bench.report import numbers
from bench.statistics import Interval, Spread


def test_a_number_alone():
    assert numbers.plain("syncs", "after", "a batch", 3) == [("syncs", "after", "a batch", 3.0, None, None, "")]


def test_a_median_with_its_quartiles():
    assert numbers.spread("time", "after", "ms", Spread(2.0, 1.0, 4.0)) == [
        ("time", "after", "ms", 2.0, 1.0, 4.0, "quartiles")
    ]


def test_an_estimate_with_its_interval():
    assert numbers.interval("speed-up", "after", "ratio", Interval(2.0, 1.5, 2.5)) == [
        ("speed-up", "after", "ratio", 2.0, 1.5, 2.5, "95%")
    ]


def test_of_a_few_samples_there_is_no_interval():
    assert numbers.interval("speed-up", "after", "ratio", Interval(2.0, 0.0, math.inf)) == [
        ("speed-up", "after", "ratio", 2.0, None, None, "")
    ]


@pytest.mark.parametrize("make", [numbers.plain, numbers.spread, numbers.interval])
def test_what_was_not_measured_makes_no_row(make):
    assert make("figure", "loop", "unit", None) == []


def test_none_at_all_is_a_number():
    assert numbers.plain("syncs", "after", "a batch", 0) == [("syncs", "after", "a batch", 0.0, None, None, "")]

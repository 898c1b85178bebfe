import math

import pytest
from records import survival

from bench.experiments.run import wording
from bench.experiments.survival.figures import Rate
from bench.statistics import Interval, Spread


@pytest.mark.parametrize(
    ("interval", "says"),
    [
        (Interval(2.0, 1.9, 2.1), "2.00× faster (95%: 1.90 to 2.10)"),
        (Interval(0.5, 0.4, 0.8), "2.00× slower (95%: 1.25 to 2.50)"),
        (Interval(1.02, 0.99, 1.05), "no measurable difference (95% interval of the ratio 0.990 to 1.050)"),
        (Interval(2.0, 0.0, math.inf), "2.00× (an interval needs 10 rounds)"),
    ],
)
def test_speed_up(interval, says):
    assert wording.speed_up(interval) == says


def test_numbers():
    assert wording.change(Interval(1.031, 1.01, 1.053)) == "+3.1% (95%: +1.0% to +5.3%)"
    assert wording.interval(Interval(2.25, 2.2, 2.3)) == "2.25 (2.20 to 2.30)"
    assert wording.spread(Spread(2.0, 1.5, 2.25)) == "2.00 (1.50 to 2.25)"
    assert [wording.few(value) for value in (4.0, 4.4, 0.02, None)] == ["4", "4.4", "0.02", "not measured"]
    assert wording.spread(None) == "not measured"


def test_outcomes():
    one, many = [survival("frozen")], [survival("skipped"), survival("crashed"), survival("skipped")]
    untested = survival("not tested")
    assert wording.outcome(one) == "frozen: because"
    assert wording.outcome(many) == "2 of 3 alive (21% to 94%): 2 skipped, 1 crashed; back after 0 batches"
    assert wording.outcome([*many, untested]).endswith("2 skipped, 1 crashed, 1 not tested; back after 0 batches")
    assert wording.outcome(one * 2) == "0 of 2 alive (0% to 66%): 2 frozen"  # and what is not is not back
    assert wording.outcome([untested] * 2) == "2 not tested"
    assert wording.outcome([]) == "not measured"
    assert wording.outcomes(one) == "frozen"
    assert wording.outcomes([untested]) == "not tested"
    assert wording.outcomes([*many, untested]) == "2 skipped, 1 crashed, 1 not tested"


@pytest.mark.parametrize(
    ("recoveries", "says"),
    [
        ([0], "back after 0 batches"),
        ([12, 0, 3], "back after 0 to 12 batches"),
        ([4, 4, None], "back after 4 batches, 1 not back"),
        ([12, None, 0, None, None], "back after 0 to 12 batches, 3 not back"),
        ([None, None], "2 not back"),
    ],
)
def test_how_long_until_they_were_back(recoveries, says):
    assert wording.back(recoveries) == says
    found = wording.rate(Rate.of(survival("survived", recovery=each) for each in recoveries))
    assert found.endswith(f" survived; {says}")

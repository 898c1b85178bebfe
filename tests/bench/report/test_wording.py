import math

import pytest

from bench.report import wording
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

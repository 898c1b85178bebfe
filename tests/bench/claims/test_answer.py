import pytest

from bench.claims.answer import Claim, Verdict
from bench.statistics import Interval

CLAIM = Claim("time", "3× as fast")


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (3.0, 3.2, Verdict.HOLDS),
        (2.99, 3.2, Verdict.CANNOT_BE_TOLD),
        (2.0, 3.0, Verdict.CANNOT_BE_TOLD),
        (2.0, 2.99, Verdict.DOES_NOT_HOLD),
        (0.0, float("inf"), Verdict.CANNOT_BE_TOLD),  # too few rounds for an interval
    ],
)
def test_an_interval_decides_only_where_all_of_it_lies_on_one_side(low, high, verdict):
    answer = CLAIM.at_least(3.0, Interval(3.0, low, high), "measured", "the ratio")
    assert (answer.verdict, answer.measured, answer.claim, answer.said) == (verdict, "measured", "time", "3× as fast")
    assert "3" in answer.why

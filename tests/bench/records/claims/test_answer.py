import pytest

from bench.records.claims.answer import Claim, Verdict, times
from bench.statistics import Interval

CLAIM = Claim("time", "3–5× as fast")


@pytest.mark.parametrize(
    ("low", "high", "verdict", "why"),
    [
        (3.0, 5.0, Verdict.HOLDS, "between 3 and 5"),
        (2.99, 3.2, Verdict.CANNOT_BE_TOLD, "reaches over 3"),
        (4.8, 5.01, Verdict.CANNOT_BE_TOLD, "reaches over 5"),
        (2.0, 3.0, Verdict.CANNOT_BE_TOLD, "reaches over 3"),
        (2.0, 2.99, Verdict.DOES_NOT_HOLD, "less than was said"),
        (5.01, 6.0, Verdict.DOES_NOT_HOLD, "more than was said"),
        (0.0, float("inf"), Verdict.CANNOT_BE_TOLD, "reaches over 3"),  # too few rounds for an interval
    ],
)
def test_an_interval_decides_only_where_all_of_it_lies_on_one_side(low, high, verdict, why):
    answer = CLAIM.within((3.0, 5.0), Interval(4.0, low, high), "measured")
    assert (answer.verdict, answer.measured, answer.claim, answer.said) == (verdict, "measured", "time", "3–5× as fast")
    assert why in answer.why


def test_a_ratio_in_words():
    assert times(Interval(3.061, 3.008, 3.119)) == "3.06× (95%: 3.01 to 3.12)"

import json
import math

from bench.records import checks
from bench.records.gate import Check, Decision, Outcome
from bench.statistics import Interval

DECISION = Decision(
    (
        Check("slowdown", Outcome.FAILED, "slower", Interval(0.1, 0.05, math.inf), 0.05),
        Check("syncs", Outcome.PASSED, "few"),
    )
)


def test_a_row_for_each_check():
    assert checks.frame(DECISION).values.tolist() == [["slowdown", "failed", "slower"], ["syncs", "passed", "few"]]


def test_plain_values_are_json():
    found = json.loads(json.dumps(checks.plain(DECISION), allow_nan=False))
    assert (found["outcome"], found["exit_code"], found["line"]) == ("failed", 1, "failed: slower")
    assert found["checks"][0] == {
        "name": "slowdown", "outcome": "failed", "text": "slower", "estimate": 0.1, "low": 0.05, "high": None,
        "limit": 0.05,
    }  # fmt: skip
    assert found["checks"][1]["estimate"] is None

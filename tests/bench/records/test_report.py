import json
import math
from pathlib import Path

from records import arm, record, survival

from loop_bench.records import history, report
from loop_bench.records.change import Change
from loop_bench.records.gate import Check, Decision, Outcome
from loop_bench.statistics import Interval


def rows(found):
    return {row.metric: (row.first, row.second, row.change) for row in report.comparison(found).itertuples()}


def test_two_records_of_one_machine():
    before, after = (arm("a:b", reads=reads, survivals=(survival("frozen"),)) for reads in (44, 22))
    found = rows(
        Change.of(record(noise=0, arms={"before": before}), record(noise=0, after=0.033, arms={"before": after}))
    )
    assert found["ms/batch, before, median (quartiles)"] == (
        "60.00 (60.00 to 60.00)", "60.00 (60.00 to 60.00)", "+0.0% (95%: +0.0% to +0.0%)",
    )  # fmt: skip
    assert found["ms/batch, after, median (quartiles)"][2] == "+10.0% (95%: +10.0% to +10.0%)"
    assert found["time before / time after (95%)"][:2] == ("2.00 (2.00 to 2.00)", "1.82 (1.82 to 1.82)")
    assert found["host syncs a batch, before"] == ("4.4", "2.2", "-2.2")
    assert found["host syncs a batch, after"] == ("0.1", "0.1", "same")
    assert found["nan, before"] == ("frozen", "frozen", "same")


def test_two_machines():
    change = Change.of(record(), record(environment={"gpus": ["H100"]}))
    assert rows(change)["ms/batch, after, median (quartiles)"][2] == "not comparable"
    (line,) = report.comparison_footer(change)
    assert line == "ms/batch cannot be compared: second has GPU H100, there none (there: first)"


def test_a_history():
    found = history.of({Path("r/a.json"): record(noise=0), Path("r/b.json"): record(noise=0, minutes=1)})
    frame = report.history(found, Path("r"))
    assert list(frame.iloc[1]) == [
        "2026-01-02 03:05", "abcdef012", "60.00", "30.00", "2.00 (2.00 to 2.00)", "", "b.json",
    ]  # fmt: skip
    dirty = history.of({Path("r/a.json"): record(environment={"dirty": True})})
    assert report.history(dirty, Path("r")).loc[0, "commit"] == "abcdef012+"


DECISION = Decision(
    (
        Check("slowdown", Outcome.FAILED, "slower", Interval(0.1, 0.05, math.inf), 0.05),
        Check("syncs", Outcome.PASSED, "few"),
    )
)


def test_a_row_for_each_check():
    assert report.checks(DECISION).values.tolist() == [["slowdown", "failed", "slower"], ["syncs", "passed", "few"]]


def test_plain_values_are_json():
    found = json.loads(json.dumps(report.plain(DECISION), allow_nan=False))
    assert (found["outcome"], found["exit_code"], found["line"]) == ("failed", 1, "failed: slower")
    assert found["checks"][0] == {
        "name": "slowdown", "outcome": "failed", "text": "slower", "estimate": 0.1, "low": 0.05, "high": None,
        "limit": 0.05,
    }  # fmt: skip
    assert found["checks"][1]["estimate"] is None

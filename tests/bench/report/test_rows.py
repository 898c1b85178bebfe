import math

import pytest

from loop_bench.report import rows
from loop_bench.report.report import Number
from loop_bench.report.rows import NULL_ARM, Row, number
from loop_bench.statistics import Interval, Spread


def syncs(before, after, **more):
    return Row.of("syncs a batch", (before, after), lambda loop: loop["syncs"], str, number("syncs", "a batch"), **more)


def test_a_statement_is_texts_and_numbers():
    row = syncs({"syncs": 4}, {"syncs": 2}, change=lambda before, after: f"{before / after:g}x fewer")
    assert (row.title, row.texts, row.is_known) == ("syncs a batch", ("4", "2", "2x fewer"), True)
    assert row.numbers == (
        Number("syncs", "before", "a batch", 4.0),
        Number("syncs", "after", "a batch", 2.0),
    )


def test_what_was_not_measured_is_said_and_is_no_number():
    row = syncs(None, {"syncs": 0}, change=lambda before, after: "never")
    assert (row.texts, row.is_known) == (("not measured", "0", ""), True)
    assert row.numbers == (Number("syncs", "after", "a batch", 0.0),)
    nothing = syncs(None, {"syncs": None}, otherwise="nothing")
    assert (nothing.texts, nothing.numbers, nothing.is_known) == (("nothing", "nothing", ""), (), False)


def test_a_value_may_be_several_numbers_of_any_kind():
    spread = Spread(2.0, 1.0, 3.0)
    row = Row.of(
        "time", (spread, None), lambda loop: loop, str,
        number("time", "ms", Number.median), number("longest", "ms", of=lambda found: found.high),
    )  # fmt: skip
    assert row.numbers == (
        Number("time", "before", "ms", 2.0, 1.0, 3.0, "quartiles"),
        Number("longest", "before", "ms", 3.0),
    )


def test_a_table_has_a_line_for_each_row():
    changed = syncs({"syncs": 4}, {"syncs": 2}, change=lambda before, after: "fewer")
    found = rows.table("reads", [changed, Row("remark", ("", "x", ""))], "fewer", "syncs")
    assert list(found.frame.columns) == ["metric", "before", "after", "change"]
    assert found.frame.to_numpy().tolist() == [["syncs a batch", "4", "2", "fewer"], ["remark", "", "x", ""]]
    assert (found.heading, found.key, found.shown) == ("Reads: fewer", "syncs", None)


def test_without_any_change_there_is_no_column_of_it():
    assert list(rows.table("reads", [Row("remark", ("", "x", ""))], of="fault").frame.columns) == [
        *("fault", "before", "after"),
    ]
    assert rows.table("reads", []).frame.empty


def test_a_short_table_has_some_rows_in_fewer_words():
    long = syncs({"syncs": 4}, None, brief=lambda count: f"~{count}", change=lambda before, after: "fewer")
    both = syncs({"syncs": 4}, {"syncs": 2}, brief=lambda count: f"~{count}", change=lambda before, after: "fewer")
    found = rows.table("reads", [long, Row("remark", ("", "x", "")), both], key="reads")
    assert found.brief.to_numpy().tolist() == [
        ["syncs a batch", "~4", "not measured", ""],
        ["syncs a batch", "~4", "~2", "fewer"],
    ]
    assert list(found.brief.columns) == rows.COLUMNS
    assert rows.table("reads", [both]).brief is None  # a table without a key
    assert rows.table("reads", [Row("remark", ("", "x", ""))], key="reads").brief.empty


def test_a_range_of_counts():
    assert [rows.range_of(counts) for counts in ([12, 40, 13], [7], [])] == ["12 to 40", "7", "0"]


def test_numbers_are_those_of_one_loop_after_the_other_and_then_the_changes():
    null = Row(
        "null", ("", "", ""), (Number("time", NULL_ARM, "ms", 1.0), None), (Number("ratio", NULL_ARM, "1", 1.0),)
    )
    one = syncs({"syncs": 4}, {"syncs": 2}, changes=[Number("ratio", "after", "1", 2.0), None])
    found = [(each.figure, each.loop) for each in rows.numbers([one, null, one])]
    assert found == [
        *[("syncs", "before")] * 2, *[("syncs", "after")] * 2, ("time", NULL_ARM),
        ("ratio", "after"), ("ratio", NULL_ARM), ("ratio", "after"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("interval", "says"),
    [
        (Interval(2.0, 1.9, 2.1), "2.00× faster (95%: 1.90 to 2.10)"),
        (Interval(0.5, 0.4, 0.8), "2.00× slower (95%: 1.25 to 2.50)"),
        (Interval(1.02, 0.99, 1.05), "no measurable difference (95%: 0.990 to 1.050)"),
        (Interval(2.0, 0.0, math.inf), "2.00× (an interval needs 10 rounds)"),
    ],
)
def test_speed_up(interval, says):
    assert rows.speed_up(interval) == says


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (4.4, 0.1, "44× fewer"),
        (17.6, 40, "2.27× more"),
        (2, 2, "same"),
        (2, 0, "fewer"),
        (0, 2, "more"),
        (0, 0, "same"),
    ],
)
def test_times_fewer(before, after, says):
    assert rows.times_fewer(before, after, "fewer", "more") == says


def test_numbers():
    assert rows.change(Interval(1.031, 1.01, 1.053)) == "+3.1% (95%: +1.0% to +5.3%)"
    assert rows.interval(Interval(2.25, 2.2, 2.3)) == "2.25 (2.20 to 2.30)"
    assert rows.spread(Spread(2.0, 1.5, 2.25)) == "2.00 (1.50 to 2.25)"
    assert [rows.few(value) for value in (4.0, 4.4, 0.02, None)] == ["4", "4.4", "0.02", "not measured"]
    assert rows.spread(None) == "not measured"

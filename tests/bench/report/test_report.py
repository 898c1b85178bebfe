import math

import pandas as pd
import pytest
from matplotlib.figure import Figure

from loop_bench.errors import UsageError
from loop_bench.report.report import NUMBERS, Fact, Headline, Number, Picture, Report, Table, Term, Tone
from loop_bench.statistics import Interval, Spread

ROW = pd.DataFrame([["x", "1 ms"]], columns=["loop", "cost"])
TERMS = [Term("faster", "less time")]
FACT, HEADLINE = Fact("machine", "2 cores"), Headline("faster", "2×", Tone.GOOD)


@pytest.fixture
def made():
    frames = {"cost as batch grows": ROW, "nothing": ROW[:0], "cost as tokens grows": ROW, "other": ROW}
    found = [Number.plain("cost", "x", "ms", 1), Number.plain("cost", "y", "ms", None)]
    tables = [Table(title, frame) for title, frame in frames.items()]
    return Report.of(
        "sweep", tables, iter([FACT]), found, [Picture("costs", "Costs.", Figure)], headlines=iter([HEADLINE]),
        doubts=iter(["doubt: drift"]),
    )  # fmt: skip


def test_tables_without_rows_are_left_out(made):
    assert [table.title for table in made.tables] == ["cost as batch grows", "cost as tokens grows", "other"]
    assert (made.title, made.facts, [each.stem for each in made.pictures]) == ("sweep", (FACT,), ["costs"])
    assert (made.headlines, made.doubts, made.terms) == ((HEADLINE,), ("doubt: drift",), ())


def test_numbers_have_their_columns_even_where_there_are_none(made):
    assert list(made.numbers.columns) == NUMBERS
    assert list(made.numbers["value"]) == [1.0]
    assert list(Report.of("x", [], []).numbers.columns) == NUMBERS


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        (["Cost as T"], ["cost as tokens grows"]),
        (["cost"], ["cost as batch grows", "cost as tokens grows"]),
        (["other", "cost as batch"], ["other", "cost as batch grows"]),
    ],
)
def test_only_some_tables_in_the_order_asked_for(made, wanted, kept):
    some = made.only(wanted)
    assert [table.title for table in some.tables] == kept
    assert some.pictures == ()
    assert (some.title, some.facts) == (made.title, made.facts)
    assert len(made.tables) == 3  # and what it is made of is as it was


def test_a_title_that_none_has_is_one_line_with_those_there_are(made):
    with pytest.raises(UsageError) as caught:
        made.only(["costs"])
    assert str(caught.value) == (
        "no table is called 'costs'; there are 'cost as batch grows', 'cost as tokens grows', 'other'"
    )


def test_a_table_says_its_answer_first_and_folds_what_is_beyond_the_rows_shown():
    frame = pd.DataFrame({"line": list("abcde")})
    table = Table("reads", frame, "44× fewer", shown=2)
    assert table.heading == "Reads: 44× fewer"
    assert [list(part["line"]) for part in (table.head, table.folded)] == [["a", "b"], ["c", "d", "e"]]
    whole = Table("reads", frame)
    assert (whole.heading, len(whole.head), len(whole.folded)) == ("Reads", 5, 0)


def with_groups():
    short = pd.DataFrame([["ms/batch", "1"]], columns=["metric", "before"])
    reads = pd.DataFrame([["host syncs", "2"]], columns=["metric", "before"])
    tables = [
        Table("speed", ROW, key="speed", brief=short), Table("host syncs", ROW, key="syncs", brief=reads),
        Table("by line", ROW),
    ]  # fmt: skip
    facts = [Fact("machine", "2 cores", is_brief=True), Fact("duration", "9 s")]
    tables.append(Table("memory", ROW[:0], key="memory", brief=short[:0]))
    costs = [Picture("costs", "Costs.", Figure)]
    return Report.of("run", tables, facts, headlines=[HEADLINE], pictures=costs, doubts=["doubt: drift"], terms=TERMS)


def test_a_short_report_is_one_table_of_the_groups_asked_for_in_their_order():
    short = with_groups().short(["syncs", "speed", "syncs"])
    ((table,), (fact,)) = short.tables, short.facts
    assert table.frame.to_numpy().tolist() == [["host syncs", "2"], ["ms/batch", "1"]]
    assert (fact.name, short.headlines, short.pictures, short.terms) == ("machine", (HEADLINE,), (), ())
    assert short.doubts == ("doubt: drift",)  # a short table hides no warning


def test_a_group_that_was_not_measured_is_left_out_of_a_short_table():
    ((table,),) = (with_groups().short(["speed", "memory"]).tables,)
    assert table.frame.to_numpy().tolist() == [["ms/batch", "1"]]
    with pytest.raises(UsageError, match=r"^memory: nothing of this was measured$"):
        with_groups().short(["memory"])


@pytest.mark.parametrize("make", [with_groups, lambda: Report.of("ladder", [Table("steps", ROW)], [])])
def test_a_group_that_a_report_lacks_is_one_line(make):
    says = r"^no rows are called 'lines'; there are speed, syncs, memory|^a record of ladder has no groups of rows"
    with pytest.raises(UsageError, match=says):
        make().short(["lines"])


def test_a_number_alone():
    assert Number.plain("syncs", "after", "a batch", 3) == ("syncs", "after", "a batch", 3.0, None, None, "")


def test_a_median_with_its_quartiles():
    assert Number.median("time", "after", "ms", Spread(2.0, 1.0, 4.0)) == (
        *("time", "after", "ms", 2.0, 1.0, 4.0, "quartiles"),
    )


def test_an_estimate_with_its_interval():
    assert Number.estimate("speed-up", "after", "ratio", Interval(2.0, 1.5, 2.5)) == (
        *("speed-up", "after", "ratio", 2.0, 1.5, 2.5, "95%"),
    )


def test_of_a_few_samples_there_is_no_interval():
    assert Number.estimate("speed-up", "after", "ratio", Interval(2.0, 0.0, math.inf)) == (
        *("speed-up", "after", "ratio", 2.0, None, None, ""),
    )


@pytest.mark.parametrize("make", [Number.plain, Number.median, Number.estimate])
def test_what_was_not_measured_makes_no_row(make):
    assert make("figure", "loop", "unit", None) is None


def test_none_at_all_is_a_number():
    assert Number.plain("syncs", "after", "a batch", 0) == ("syncs", "after", "a batch", 0.0, None, None, "")

import math

import pandas as pd
import pytest
from matplotlib.figure import Figure

from loop_bench.errors import UsageError
from loop_bench.report.report import NUMBERS, Number, Picture, Report
from loop_bench.statistics import Interval, Spread

ROW = pd.DataFrame([["x", "1 ms"]], columns=["loop", "cost"])


@pytest.fixture
def made():
    titled = [("cost as batch grows", ROW), ("nothing", ROW[:0]), ("cost as tokens grows", ROW), ("other", ROW)]
    found = [Number.plain("cost", "x", "ms", 1), Number.plain("cost", "y", "ms", None)]
    return Report.of("sweep", titled, iter(["a note"]), found, [Picture("costs", "Costs.", Figure)])


def test_tables_without_rows_are_left_out(made):
    assert [title for title, _ in made.tables] == ["cost as batch grows", "cost as tokens grows", "other"]
    assert (made.title, made.notes, [each.stem for each in made.pictures]) == ("sweep", ("a note",), ["costs"])


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
    assert [title for title, _ in some.tables] == kept
    assert some.pictures == ()
    assert (some.title, some.notes) == (made.title, made.notes)
    assert len(made.tables) == 3  # and what it is made of is as it was


def test_a_title_that_none_has_is_one_line_with_those_there_are(made):
    with pytest.raises(UsageError) as caught:
        made.only(["costs"])
    assert str(caught.value) == (
        "no table is called 'costs'; there are 'cost as batch grows', 'cost as tokens grows', 'other'"
    )


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

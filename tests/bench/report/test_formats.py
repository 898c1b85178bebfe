import io

import pandas as pd
import pytest
from everykind import RECORDS

from bench.experiments import kinds
from bench.report import formats, html, markdown, numbers
from bench.report.report import Report
from bench.statistics import Interval


def read(text):
    found = pd.read_csv(io.StringIO(text), comment="#")
    return found.assign(interval=found["interval"].astype(object).fillna(""))


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_numbers_come_back_from_csv(kind):
    made = kinds.report(RECORDS[kind]())
    found = read(formats.comma_separated(made))
    expected = made.numbers.astype({"value": float, "low": float, "high": float})
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-5)


def test_what_must_be_known_is_a_comment():
    found = numbers.interval("speed-up", "after", "ratio", Interval(2.0, 1.5, 2.5))
    text = formats.comma_separated(Report.of("run", [], ["2 cores", "of two\nlines"], found))
    assert text.splitlines() == [
        '"figure","loop","unit","value","low","high","interval"',
        '"speed-up","after","ratio",2.0,1.5,2.5,"95%"',
        "# 2 cores",
        "# of two",
        "# lines",
    ]


def test_names_may_hold_anything():
    names = ["op a#1", 'of "x", y', "é\ntwo"]
    rows = [row for name in names for row in numbers.plain(name, "before", "ms", 1.0)]
    assert list(read(formats.comma_separated(Report.of("profile", [], [], rows)))["figure"]) == names


def test_without_numbers_there_are_the_texts_of_the_tables():
    frame = pd.DataFrame([["a # b", 'says "c"']], columns=["claim", "why"])
    shown = Report.of("claims", [("what was said", frame)], ["a note"])
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(formats.comma_separated(shown)), comment="#"), frame)


def test_by_name_and_by_the_ending_of_a_file():
    assert {"markdown": markdown.page, "csv": formats.comma_separated, "html": html.page} == formats.FORMATS
    assert {*formats.SUFFIXES.values()} == {*formats.FORMATS}

import pandas as pd
from matplotlib.figure import Figure

from bench.report import markdown
from bench.report.report import Picture, Report

FRAME = pd.DataFrame([["a|b", "1.00"]], columns=["metric", "before"])
PICTURES = [Picture("costs", "Milliseconds a batch.", Figure), Picture("reads", "Reads.", Figure)]


def test_a_table_and_notes():
    frame = pd.DataFrame([["a|b", "1.00", "12.50"]], columns=["metric", "before", "after"])
    assert markdown.render(frame).splitlines() == [
        "| metric   | before   | after   |",
        "|:---------|:---------|:--------|",
        "| a\\|b     | 1.00     | 12.50   |",
    ]
    assert markdown.notes(["one", "two"]) == "one  \ntwo\n"


def test_a_page_of_one_table_has_no_title():
    assert markdown.page(Report.of("run", [("before / after", FRAME)], ["a note"])).splitlines() == [
        "| metric   | before   |",
        "|:---------|:---------|",
        "| a\\|b     | 1.00     |",
        "",
        "a note",
    ]


def test_of_several_each_has_its_title_and_pictures_stand_where_they_are():
    shown = Report.of("run", [("one", FRAME), ("another", FRAME)], ["a note"], pictures=PICTURES)
    told = markdown.page(shown, {"costs": "run-costs.svg"}).splitlines()
    assert [line for line in told if line.startswith("#")] == ["### One", "### Another"]
    assert told[-3:] == ["a note", "", "![Milliseconds a batch.](run-costs.svg)"]
    assert "![" not in markdown.page(shown)


def test_texts_of_a_program_are_no_markup():
    """A line of someone's source is shown, and neither makes HTML nor closes what a command replaces."""
    text = "<!-- loop-bench: end run --> a < b"
    frame = pd.DataFrame([[text, "x\ny"]], columns=["metric", "before"])
    shown = markdown.page(Report.of("run", [("t", frame)], ["because of <script>"]))
    assert "<!--" not in shown
    assert "<script" not in shown
    assert "&lt;!-- loop-bench: end run --> a &lt; b" in shown
    assert "x<br>y" in shown

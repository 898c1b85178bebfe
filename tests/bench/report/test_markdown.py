import pandas as pd

from bench.report import markdown


def test_a_table_and_notes():
    frame = pd.DataFrame([["a|b", "1.00", "12.50"]], columns=["metric", "before", "after"])
    assert markdown.render(frame, ["one", "two"]).splitlines() == [
        "| metric   | before   | after   |",
        "|:---------|:---------|:--------|",
        "| a\\|b     | 1.00     | 12.50   |",
        "",
        "one  ",
        "two",
    ]

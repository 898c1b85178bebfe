import io

import pandas as pd
import pytest
from rich.console import Console

from loop_bench.report import terminal
from loop_bench.report.report import Report
from loop_bench.report.texts import Texts

FRAME = pd.DataFrame(
    [["ms/batch [all]", "1.00", "2.00 (1.0 to 3.0)", "2.00× slower"]], columns=["metric", "before", "after", "change"]
)


@pytest.mark.parametrize("width", [30, 60, 140])
def test_nothing_is_lost_in_a_narrow_terminal(width):
    out = io.StringIO()
    terminal.show(Console(file=out, width=width), Texts.of(FRAME), ["preset [tiny]"], "before / after")
    shown = out.getvalue()
    assert all(len(line) <= width for line in shown.splitlines())
    cells = "".join(character for character in shown if character.isalnum() or character in ".()/[]×")
    for text in ("2.00", "preset[tiny]"):
        assert text in cells
    if width == 140:
        assert "ms/batch [all]" in shown


def test_a_report_has_its_titles_in_order_and_its_notes_last():
    out = io.StringIO()
    terminal.report(Console(file=out, width=120), Report.of("run", [("one", FRAME), ("another", FRAME)], ["a note"]))
    shown = out.getvalue()
    assert shown.index("one") < shown.index("another") < shown.index("a note")
    assert shown.splitlines()[-1] == "a note"

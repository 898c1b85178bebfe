import io

import pandas as pd
import pytest
from rich.console import Console

from loop_bench.report import terminal
from loop_bench.report.report import Fact, Headline, Report, Table, Tone
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
    terminal.report(Console(file=out, width=120), shown_report())
    shown = out.getvalue()
    assert shown.startswith("faster: 2× as fast\ndoubt: drift\n")
    assert shown.index("One: 2×") < shown.index("Another") < shown.index("machine")
    assert [line.split() for line in shown.splitlines()[-2:]] == [["machine", "2", "cores"], ["commit", "abc"]]


def shown_report():
    lines = pd.DataFrame({"line": [f"f.py:{line}" for line in range(9)], "before": ["1"] * 9})
    tables = [Table("one", FRAME, "2×"), Table("another", FRAME), Table("by line", lines, shown=5)]
    facts = [Fact("machine", "2 cores"), Fact("commit", "abc")]
    headlines = [Headline("faster", "2× as fast", Tone.GOOD)]
    return Report.of("run", tables, facts, headlines=headlines, doubts=["doubt: drift"])


def test_of_many_lines_only_the_first_are_there_and_how_many_more():
    out = io.StringIO()
    terminal.report(Console(file=out, width=120), shown_report())
    assert "f.py:4" in out.getvalue()
    assert "f.py:5" not in out.getvalue()
    assert "4 more in the report's page and in the record" in out.getvalue()


@pytest.mark.parametrize("tone", Tone)
def test_a_verdict_has_a_colour_in_a_terminal_and_none_in_a_pipe(tone):
    report = Report.of("run", [], [], headlines=[Headline("verdict", "why", tone)])
    coloured, plain = io.StringIO(), io.StringIO()
    terminal.report(Console(file=coloured, force_terminal=True, color_system="standard"), report)
    terminal.report(Console(file=plain), report)
    assert "\x1b[1" in coloured.getvalue()
    assert ("\x1b[1;3" in coloured.getvalue()) == (tone != Tone.PLAIN)
    assert plain.getvalue().startswith("verdict: why\n")


def test_control_characters_of_someones_text_do_nothing():
    out = io.StringIO()
    text = "boom\x1b[31m\x07 [bold]x"
    frame = pd.DataFrame([[text, text]], columns=["metric", "before"])
    report = Report.of("run", [Table("t", frame)], [Fact("f", text)], headlines=[Headline(text, text)], doubts=[text])
    terminal.report(Console(file=out, width=100, force_terminal=True, color_system=None), report)
    assert "\x1b" not in out.getvalue()
    assert out.getvalue().count("boom[31m [bold]x") == 6


WIDE = pd.DataFrame([["the loop"] + ["1.00"] * 7], columns=["rung", *(f"measurement {name}" for name in "abcdefg")])


@pytest.mark.parametrize("width", [60, 200])
def test_a_table_that_does_not_fit_is_a_list_for_each_row(width):
    out = io.StringIO()
    terminal.show(Console(file=out, width=width), Texts.of(WIDE), [], "costs")
    lines = out.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    is_list = any(line.split() == ["measurement", "g", "1.00"] for line in lines)
    assert is_list == (width == 60)

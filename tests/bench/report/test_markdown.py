import html
import re

import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from loop_bench.errors import UsageError
from loop_bench.report import markdown
from loop_bench.report.report import Fact, Headline, Picture, Report, Table, Term
from loop_bench.report.texts import Texts

FRAME = pd.DataFrame([["a|b", "1.00"]], columns=["metric", "before"])


PICTURES = [Picture("costs", "Milliseconds a batch.", Figure), Picture("reads", "Reads.", Figure)]


def test_a_table_and_notes():
    frame = pd.DataFrame([["a|b", "1.00", "12.50"]], columns=["metric", "before", "after"])
    assert markdown.render(Texts.of(frame)).splitlines() == [
        "| metric   | before   | after   |",
        "|:---------|:---------|:--------|",
        "| a\\|b     | 1.00     | 12.50   |",
    ]
    assert markdown.notes(["one", "two"]) == "one  \ntwo\n"


FACTS = [Fact("machine", "2 cores")]


def test_a_page_of_one_table_has_no_heading():
    assert markdown.page(Report.of("run", [Table("before / after", FRAME, "2×")], FACTS)).splitlines() == [
        "| metric   | before   |",
        "|:---------|:---------|",
        "| a\\|b     | 1.00     |",
        "",
        "- **machine**: 2 cores",
    ]


def test_a_page_begins_with_the_answer_and_the_picture_of_it():
    headlines = [Headline("faster", "2× as fast"), Headline("smaller?", "by half")]
    tables = [Table("one", FRAME, "2×"), Table("another", FRAME)]
    shown = Report.of("run", tables, FACTS, pictures=PICTURES, headlines=headlines, doubts=["doubt: a", "doubt: b"])
    told = markdown.page(shown, {"costs": "run-costs.svg", "reads": "run-reads.svg"}).splitlines()
    assert told[:7] == [
        "**faster**: 2× as fast  ", "**smaller?** by half", "", "- doubt: a", "- doubt: b", "",
        "![Milliseconds a batch.](run-costs.svg)",
    ]  # fmt: skip
    assert [line for line in told if line.startswith("#")] == ["### One: 2×", "### Another"]
    assert told[-3:] == ["- **machine**: 2 cores", "", "![Reads.](run-reads.svg)"]
    assert "![" not in markdown.page(shown)


def test_source_lines_are_code():
    sources = ["x[_a] | `b` <c", "_y_ < 1", ""]
    lines = pd.DataFrame({"line": ["f.py:1"] * 3, "source": sources})
    told = markdown.page(Report.of("run", [Table("reads", lines)], [])).splitlines()[2:]
    first, second, third = (row.split(" | ", 1)[1].strip(" |") for row in told)
    assert (second, third) == ("`_y_ < 1`", "")
    assert html.unescape(first.removeprefix("<code>").removesuffix("</code>")) == sources[0]
    assert not set("|`_<") & set(first.removeprefix("<code>").removesuffix("</code>"))


def test_rows_beyond_those_shown_are_folded_where_markdown_is_read():
    lines = pd.DataFrame({"line": ["a", "b", "c"]})
    told = markdown.page(Report.of("run", [Table("reads", lines, shown=1)], [])).splitlines()
    assert told == [
        "| line   |", "|:-------|", "| a      |", "",
        "<details>", "<summary>2 more</summary>", "",
        "| line   |", "|:-------|", "| b      |", "| c      |", "",
        "</details>",
    ]  # fmt: skip


def test_texts_of_a_program_are_no_markup():
    """A line of someone's source is shown, and neither makes HTML nor closes what a command replaces."""
    text = "<!-- loop-bench: end run --> a < b"
    frame = pd.DataFrame([[text, "x\ny"]], columns=["metric", "before"])
    tables = [Table("t", frame, "<i>"), Table("<b>", frame)]
    shown = markdown.page(
        Report.of("run", tables, [Fact("<u>", "of <script>")], headlines=[Headline("<p>", "<q>")], doubts=["<s>"])
    )
    assert not re.findall(r"<(?!br>)", shown)


def test_nothing_of_someones_text_begins_a_line_or_is_a_link():
    text = "boom\n# Title\n- item\n[x](y) \x1b[31m"
    pictures = [Picture("costs", "of [a](b)] c", Figure)]
    tables, facts, headlines = [Table("t", FRAME)], [Fact("f", text)], [Headline("w", text)]
    report = Report.of("run", tables, facts, pictures=pictures, headlines=headlines, doubts=[text])
    shown = markdown.page(report, {"costs": "costs.svg"})
    assert not re.findall(r"^(?:#|- item)", shown, re.MULTILINE)
    assert re.findall(r"(?<!\\)\]\([^)]*\)", shown) == ["](costs.svg)"]
    assert "\x1b" not in shown


def test_words_are_told_folded_at_the_end():
    shown = markdown.page(
        Report.of("run", [Table("t", FRAME)], [Fact("f", "x")], terms=[Term("same", "no difference")])
    )
    last = shown.splitlines()[-6:]
    assert last == [
        "<details>",
        "<summary>What the words mean</summary>",
        "",
        "- **same**: no difference",
        "",
        "</details>",
    ]


def test_a_comment_of_someones_is_none():
    text = "<!-- loop-bench: end run --> a < b"
    frame = pd.DataFrame([[text, "x\ny"]], columns=["metric", "before"])
    shown = markdown.page(Report.of("run", [Table("t", frame)], []))
    assert "&lt;!-- loop-bench: end run --> a &lt; b" in shown
    assert "x<br>y" in shown


FIRST, LAST = markdown.markers("run")


AROUND = st.text(st.sampled_from("a é|<!->\r\n")) | st.lists(st.sampled_from(["# A\r\n", "b", "\n", "c\r\n"])).map(
    "".join
)


CONTENT = st.text(st.sampled_from("x |<->\n"))  # of renderers, which end lines with \n


def between(text):
    return text[text.index(FIRST) + len(FIRST) : text.index(LAST)]


@given(AROUND, AROUND, AROUND, CONTENT)
def test_nothing_else_changes(before, old, after, content):
    found = markdown.replaced(f"{before}\n{FIRST}\n{old}\n{LAST}\n{after}", "run", content, "f.md")
    assert found.startswith(f"{before}\n{FIRST}")
    assert found.endswith(f"{LAST}\n{after}")
    assert between(found).replace("\r\n", "\n") == f"\n\n{content.rstrip()}\n\n"


@given(AROUND, AROUND, AROUND, CONTENT)
def test_once_more_changes_nothing(before, old, after, content):
    once = markdown.replaced(f"{before}\n{FIRST}\n{old}\n{LAST}\n{after}", "run", content, "f.md")
    assert markdown.replaced(once, "run", content, "f.md") == once


@given(AROUND, CONTENT)
def test_ends_of_lines_are_those_of_the_file(around, content):
    assume("\n" not in around.replace("\r\n", ""))
    found = markdown.replaced(f"{around}\r\n{FIRST}\r\n{LAST}\r\n", "run", content, "f.md")
    assert "\n" not in found.replace("\r\n", "")
    assert "\r" not in markdown.replaced(f"{FIRST}\n{LAST}\n", "run", content, "f.md")


def test_a_part_beside_others():
    other = "\n".join(markdown.markers("run 2"))
    text = f"{other}\n{FIRST}\nold\n{LAST}\n"
    assert markdown.replaced(text, "run", "| new |\n", "f.md") == f"{other}\n{FIRST}\n\n| new |\n\n{LAST}\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", f"f.md: {FIRST} is missing; what is written goes between {FIRST} and {LAST}"),
        (LAST, f"f.md: {FIRST} is missing"),
        (FIRST, f"f.md: {LAST} is missing"),
        (f"{FIRST}\n{LAST}\n{FIRST}", f"f.md: {FIRST} is there 2 times"),
        (f"{FIRST}\n{LAST}\r\n  {LAST}\n{LAST}", f"f.md: {LAST} is there 3 times"),
        (f"{LAST}\n{FIRST}", f"f.md: {LAST} stands before {FIRST}"),
        (f"`{FIRST}` and `{LAST}` are spoken of", f"f.md: {FIRST} is missing"),
        ("\n".join(markdown.markers("ladder")), f"f.md: {FIRST} is missing"),
    ],
)
def test_lines_that_are_not_as_they_must_be(text, says):
    with pytest.raises(UsageError) as caught:
        markdown.replaced(text, "run", "content", "f.md")
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)

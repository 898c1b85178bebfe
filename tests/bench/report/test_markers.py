import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bench.errors import UsageError
from bench.report import markers

FIRST, LAST = markers.lines("run")

AROUND = st.text(st.sampled_from("a é|<!->\r\n")) | st.lists(st.sampled_from(["# A\r\n", "b", "\n", "c\r\n"])).map(
    "".join
)
CONTENT = st.text(st.sampled_from("x |<->\n"))  # of renderers, which end lines with \n


def between(text):
    return text[text.index(FIRST) + len(FIRST) : text.index(LAST)]


@given(AROUND, AROUND, AROUND, CONTENT)
def test_nothing_else_changes(before, old, after, content):
    found = markers.replaced(f"{before}\n{FIRST}\n{old}\n{LAST}\n{after}", "run", content, "f.md")
    assert found.startswith(f"{before}\n{FIRST}")
    assert found.endswith(f"{LAST}\n{after}")
    assert between(found).replace("\r\n", "\n") == f"\n\n{content.rstrip()}\n\n"


@given(AROUND, AROUND, AROUND, CONTENT)
def test_once_more_changes_nothing(before, old, after, content):
    once = markers.replaced(f"{before}\n{FIRST}\n{old}\n{LAST}\n{after}", "run", content, "f.md")
    assert markers.replaced(once, "run", content, "f.md") == once


@given(AROUND, CONTENT)
def test_ends_of_lines_are_those_of_the_file(around, content):
    assume("\n" not in around.replace("\r\n", ""))
    found = markers.replaced(f"{around}\r\n{FIRST}\r\n{LAST}\r\n", "run", content, "f.md")
    assert "\n" not in found.replace("\r\n", "")
    assert "\r" not in markers.replaced(f"{FIRST}\n{LAST}\n", "run", content, "f.md")


def test_a_part_beside_others():
    other = "\n".join(markers.lines("run 2"))
    text = f"{other}\n{FIRST}\nold\n{LAST}\n"
    assert markers.replaced(text, "run", "| new |\n", "f.md") == f"{other}\n{FIRST}\n\n| new |\n\n{LAST}\n"


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
        ("\n".join(markers.lines("ladder")), f"f.md: {FIRST} is missing"),
    ],
)
def test_lines_that_are_not_as_they_must_be(text, says):
    with pytest.raises(UsageError) as caught:
        markers.replaced(text, "run", "content", "f.md")
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)

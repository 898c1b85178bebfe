import csv
import io
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop_bench.seqgan import table
from loop_bench.seqgan.errors import InputError

# An escaped quote is a case of its own; a surrogate is in no file; the csv module takes a NUL since Python 3.11.
VALUES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="" if sys.version_info >= (3, 11) else "\0"), max_size=8
)
TABLES = st.integers(2, 4).flatmap(lambda width: st.lists(st.lists(VALUES, min_size=width, max_size=width), min_size=1))
DELIMITERS = st.sampled_from([*table.DELIMITERS.values(), "~"])


GOES_ON = 'a quoted text continues after its closing quote; quotes inside a quoted text are doubled ("")'


def written(rows, delimiter=",", **how):
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, **how).writerows(rows)
    return file.getvalue()


def lines(text):
    return len(re.findall("\r\n|\r|\n", text))


def read(text, delimiter=","):
    return list(table.rows("table", text, delimiter))


def fault(text, delimiter=","):
    with pytest.raises(InputError) as caught:
        read(text, delimiter)
    return str(caught.value)


@given(TABLES, DELIMITERS)
def test_what_is_written_is_read_with_the_line_on_which_each_row_begins(rows, delimiter):
    rows = [row for row in rows if any(map(str.strip, row))]
    expected = [
        (1 + lines(written(rows[:number], delimiter)), [value.lstrip(" ") for value in row])
        for number, row in enumerate(rows)
    ]
    found = read(written(rows, delimiter), delimiter)
    assert [(line, [value.lstrip(" ") for value in row]) for line, row in found] == expected


@given(TABLES, DELIMITERS, st.sampled_from(["more", "fewer", "unclosed", "backslash", "goes on"]))
def test_a_bad_row_is_named_by_its_first_line_whatever_stands_before_it(rows, delimiter, kind):
    rows = [["a"] * len(rows[0]), *(row for row in rows if any(map(str.strip, row)))]
    good, width = written(rows, delimiter), len(rows[0])
    bad, says = {
        "more": (["x"] * (width + 1), f"{width + 1} fields, but the header has {width}; a text with "),
        "fewer": (["x"] * (width - 1), f"{width - 1} fields, but the header has {width}: 'a' is missing"),
        "unclosed": (['"two\nlines', *["x"] * (width - 1)], "a quote is opened in this row but not closed"),
        "backslash": (
            ['"\\"no\\" twice"', *["x"] * (width - 1)],
            GOES_ON + ', not written \\"',
        ),
        "goes on": (
            ['"no"thing', *["x"] * (width - 1)],
            GOES_ON,
        ),
    }[kind]
    assert f"table, line {1 + lines(good)}: {says}" in fault(
        f"{good}{delimiter.join(bad)}\nlast{delimiter}row\n", delimiter
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_empty_lines_are_counted_and_left_out(end):
    assert read(end.join(["", "a,b", "", " , ", "1,2", ""])) == [(2, ["a", "b"]), (5, ["1", "2"])]


def test_a_quote_may_follow_a_blank_after_a_delimiter():
    assert read('a, b\n1, "2, ""3"""\n') == [(1, ["a", "b"]), (2, ["1", '2, "3"'])]


def test_a_row_that_ends_where_another_text_begins_names_the_line_where_it_began():
    assert fault('a,b\n1,"open\n2,"closed"\n') == (
        "table, line 2: a quoted text continues after its closing quote on line 3 (is a quote missing before?); "
        'quotes inside a quoted text are doubled ("")'
    )


def test_an_unclosed_quote_of_a_long_file_names_the_row_and_not_the_limit_of_a_field():
    text = 'a,b\n1,2\n3,"open\n' + "4,some words\n" * 20_000
    assert fault(text).startswith("table, line 3: a quote is opened in this row but not closed up to line ")


@pytest.mark.parametrize(
    ("header", "used", "guess"),
    [
        (["a;b"], ",", "separated by semicolons? --delimiter ';'"),
        (["a\tb,c"], ",", "separated by tabs? --delimiter tab"),
        (["a|b|c;d"], ",", "separated by pipes? --delimiter '|'"),
        (["a,b"], ";", "separated by commas? --delimiter ,"),
        (["a", "b;c"], ",", ""),
        (["a"], ",", ""),
    ],
)
def test_the_delimiter_that_makes_more_columns_is_guessed(header, used, guess):
    assert table.guess_delimiter(header, used) == guess


def test_quoted_columns_with_another_delimiter():
    assert fault('"a";"b"\n1;2\n') == "table, line 1: quotes are misplaced; separated by semicolons? --delimiter ';'"


def test_a_long_header_is_not_shown_whole():
    assert table.quoted(["a", "b c"]) == "'a', 'b c'"
    assert table.quoted(list("abcdefghijklmn")).endswith("'l' and 2 more")
    assert table.quoted([]) == "none"


TEXT = "wer,was\nAnna,schön\n"


@pytest.mark.parametrize(
    ("raw", "encoding", "hint"),
    [
        (
            TEXT.encode("latin-1"),
            "utf-8",
            "line 2: not UTF-8 (byte 16: invalid start byte); Latin-1? --encoding latin-1",
        ),
        ("a,b\n1,“x”\n".encode("cp1252"), "utf-8", "Windows-1252? --encoding windows-1252"),
        (TEXT.encode("utf-16"), "utf-8", "UTF-16? --encoding utf-16"),
        (TEXT.encode("utf-16-le"), "utf-8", "UTF-16? --encoding utf-16-le"),
        ("a,b\n1,2\n".encode("utf-16-le"), "utf-8", "not UTF-8 (character 1 is 0); UTF-16? --encoding utf-16-le"),
        ("a,b\n1,2\n".encode("utf-16-be"), "latin-1", "UTF-16? --encoding utf-16-be"),
        (TEXT.encode("utf-16"), "latin-1", "not latin-1 (character 3 is 0); UTF-16? --encoding utf-16"),
        (TEXT.encode("utf-32"), "utf-8", "UTF-32? --encoding utf-32"),
        (TEXT.encode(), "ascii", "line 2: not ascii (byte 16: ordinal not in range(128)); UTF-8? --encoding utf-8"),
        (TEXT.encode(), "utf-16", "not utf-16 (no byte of it is 0); UTF-8? --encoding utf-8"),
        (TEXT.encode() + b".", "utf-16-le", "not utf-16-le (byte 20: truncated data); UTF-8? --encoding utf-8"),
        (b"PK\x03\x04\x14\0\x06\0\xff\0", "utf-8", "; give its encoding as --encoding NAME"),
        (b"a,b\n1,\x81\n", "utf-8", "; give its encoding as --encoding NAME"),
    ],
)
def test_an_encoding_that_fits_is_guessed(tmp_path, raw, encoding, hint):
    path = tmp_path / "t.csv"
    path.write_bytes(raw)
    with pytest.raises(InputError) as caught:
        table.read_text("table", path, encoding)
    assert str(caught.value).startswith("table")
    assert str(caught.value).endswith(hint)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "windows-1252"]
)
def test_a_text_is_read_in_its_encoding(tmp_path, encoding):
    path = tmp_path / "t.csv"
    path.write_bytes(TEXT.encode(encoding))
    assert table.read_text("table", path, encoding) == TEXT


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_a_byte_order_mark_is_no_part_of_a_text(tmp_path, encoding):
    path = tmp_path / "t.csv"
    path.write_bytes(f"\ufeff{TEXT}".encode(encoding))
    assert table.read_text("table", path, encoding) == TEXT


def test_a_missing_file(tmp_path):
    for path, says in [(tmp_path / "none.csv", "no such file"), (tmp_path, "is a folder; name a file in it")]:
        with pytest.raises(InputError, match=f"^table: {says}$"):
            table.read_text("table", path, "utf-8")

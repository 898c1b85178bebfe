import io

import pandas as pd
import pytest
from everykind import RECORDS
from ladders import ladder_record
from records import record

from loop_bench.experiments import registry
from loop_bench.report import markdown

pytestmark = pytest.mark.usefixtures("undrawn")

FIRST, LAST = markdown.markers("run")


@pytest.fixture
def path(tmp_path):
    """A record's."""
    return record(noise=0).write_as(tmp_path / "r.json")


@pytest.fixture
def page(tmp_path):
    """Someone's, with a place for a table."""
    page = tmp_path / "README.md"
    page.write_bytes(f"# Mine\r\n\r\n{FIRST}\r\nold\r\n{LAST}\r\nthe end".encode())
    return page


@pytest.mark.parametrize("kind", registry.KINDS)
def test_a_record_of_any_kind_is_shown(run, tmp_path, kind):
    code, out, err = run("report", RECORDS[kind]().write_as(tmp_path / "r.json"))
    assert (code, err) == (0, "")
    assert "2 cores of a CPU" in out


@pytest.mark.parametrize(
    ("format_", "begins", "holds"),
    [
        ("terminal", "faster: 2.00× as fast", "2.00× faster (95%: 2.00 to 2.00)"),
        ("markdown", "**faster**: 2.00×", "| 2.00× faster (95%: 2.00 to 2.00)"),
        ("csv", '"figure","loop"', '"speed-up","after","ratio",2.0,2.0,2.0,"95%"'),
        ("html", "<!doctype html>", '<td data-column="change">2.00× faster (95%: 2.00 to 2.00)</td>'),
    ],
)
def test_each_format_is_printed(run, path, format_, begins, holds):
    code, out, _ = run("report", path, "--format", format_)
    assert code == 0
    assert out.startswith(begins)
    assert holds in out


def test_in_a_narrow_terminal_nothing_is_lost(run, path, monkeypatch):
    monkeypatch.setattr("loop_bench.report.terminal.os.isatty", lambda _: True)
    monkeypatch.setenv("COLUMNS", "44")
    code, out, _ = run("report", path)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 44
    words = " ".join(out.split())
    assert "no measurable difference (95%: 1.000 to 1.000)" in words  # in a list, for the columns have no room
    assert "TensorFlow 2.21.0" in words


def test_a_short_table_for_a_document(run, path, page):
    code, out, _ = run("report", path, "--rows", "speed, syncs", "--format", "markdown")
    rows = [line for line in out.splitlines() if line.startswith("| ")]
    assert code == 0
    assert [row.split(" | ")[0].strip("| ") for row in rows] == [
        "metric", "ms/batch, median (quartiles)", "before against itself (null arm)", "host syncs a batch",
    ]  # fmt: skip
    assert out.startswith("**faster**: 2.00×")
    assert run("report", path, "--rows", "speed", "--into", page)[0] == 0
    assert run("report", path, "--rows", "speed", "--into", page, "--check")[0] == 0
    assert run("report", path, "--into", page, "--check")[0] == 1  # the whole report is another


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--rows", "speed,reads"], "no rows are called 'reads'; there are speed, syncs"),
        (["--rows", "speed", "--table", "speed"], "--rows and --table: choose one"),
        (["--rows", "speed", "--format", "csv"], "--format csv: has all numbers of a record"),
        (["--table", "speed", "--into", "r.csv"], "--format csv: has all numbers of a record"),
        (["--rows", "survival"], "survival: nothing of this was measured"),
    ],
)
def test_rows_that_are_not_there(run, path, arguments, says):
    code, _, err = run("report", path, *arguments)
    assert (code, len(err.splitlines())) == (2, 1)
    assert says in err


def test_only_some_tables(run, tmp_path):
    path = ladder_record().write_as(tmp_path / "r.json")
    code, out, _ = run("report", path, "--table", "The full set")
    assert code == 0
    assert "without one of its changes" in out
    assert "ne change after the other" not in out
    code, _, err = run("report", path, "--table", "none")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "no table is called 'none'; there are 'one change after the other'" in err


def test_into_a_page_of_which_nothing_else_changes(run, path, page):
    code, out, _ = run("report", path, "--into", page)
    assert (code, out.split()) == (0, f"written: {page}".split())
    text = page.read_bytes().decode()
    assert text.startswith(f"# Mine\r\n\r\n{FIRST}\r\n\r\n**faster**")
    assert text.endswith(f"\r\n\r\n{LAST}\r\nthe end")
    assert "\n" not in text.replace("\r\n", "")
    assert "old" not in text
    before = page.stat()
    code, out, _ = run("report", path, "--into", page)
    assert (code, out) == (0, f"{page}: says so already\n")
    assert page.stat().st_mtime_ns == before.st_mtime_ns  # not written anew


def test_into_a_part_of_another_name(run, path, tmp_path):
    page, (first, last) = tmp_path / "page.md", markdown.markers("my cpu")
    page.write_text(f"{FIRST}\n{LAST}\n{first}\n{last}\n")
    assert run("report", path, "--into", page, "--name", "my cpu")[0] == 0
    assert page.read_text().startswith(f"{FIRST}\n{LAST}\n{first}\n\n**faster**")


@pytest.mark.parametrize(("name", "begins"), [("new/r.html", "<!doctype html>"), ("r.CSV", '"figure"')])
def test_into_a_file_as_a_whole(run, path, tmp_path, name, begins):
    into = tmp_path / name
    assert run("report", path, "--into", into)[0] == 0
    assert into.read_text().startswith(begins)
    into.write_text("older")
    assert run("report", path, "--into", into)[0] == 0
    assert into.read_text().startswith(begins)


def test_a_format_goes_before_a_name(run, path, tmp_path):
    into = tmp_path / "numbers.txt"
    assert run("report", path, "--into", into, "--format", "csv")[0] == 0
    assert "speed-up" in list(pd.read_csv(io.StringIO(into.read_text()), comment="#")["figure"])


def test_a_fresh_page_passes(run, path, page):
    run("report", path, "--into", page)
    assert run("report", path, "--into", page, "--check") == (0, f"{page}: fresh\n", "")
    page.write_bytes(page.read_bytes() + b"and more of one's own")
    assert run("report", path, "--into", page, "--check")[0] == 0


def test_a_stale_page_fails_is_shown_and_left_as_it_is(run, path, page):
    run("report", path, "--into", page)
    stale = page.read_bytes().replace(b"2.00", b"2.50")
    page.write_bytes(stale)
    code, out, err = run("report", path, "--into", page, "--check")
    assert (code, out) == (1, "")
    assert "-| ms/batch, median (quartiles)" in err
    assert "+| ms/batch, median (quartiles)" in err
    assert err.splitlines()[-1] == f"{page}: stale: the record says something else"
    assert "2.00× faster (95%" in err
    assert page.read_bytes() == stale


def test_long_lines_and_many_differences_are_cut_short(run, path, tmp_path):
    page = tmp_path / "r.html"
    page.write_text("x" * 9000 + "\n" + "y\n" * 90)
    code, _, err = run("report", path, "--into", page, "--check")
    assert code == 1
    assert len(err.splitlines()) == 21
    assert max(map(len, err.splitlines())) == 200


def test_a_file_that_is_missing_is_stale_and_is_not_made(run, path, tmp_path):
    into = tmp_path / "r.html"
    code, _, err = run("report", path, "--into", into, "--check")
    assert code == 1
    assert err.splitlines()[-1] == f"{into}: stale: there is no such file"
    assert not into.exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.json"], "record none.json: cannot be read (No such file"),
        (["r.json", "--check"], "--check: needs --into FILE"),
        (["r.json", "--name", "x"], "--name: needs --into FILE"),
        (["r.json", "--into", "r.txt"], "--into r.txt: name a --format; it is known by itself for .md, .csv, .html"),
        (["r.json", "--into", "r.html", "--format", "terminal"], "--into r.html: name a --format"),
        (["r.json", "--into", "r.html", "--name", "x"], "--name x: is of a part of a Markdown file, and r.html is to"),
        (
            ["r.json", "--into", "none.md"],
            f"--into none.md: no such file; a Markdown file must already have the lines {FIRST} and {LAST}",
        ),
        (["r.json", "--into", "none.md", "--check"], "--into none.md: no such file"),
        (["r.json", "--into", "README.md", "--name", "x"], "README.md: <!-- loop-bench: begin x --> is missing"),
        (["r.json", "--into", "folder.html"], "--into folder.html: cannot be read ("),
        (["r.json", "--into", "latin.md"], "--into latin.md: cannot be read ("),
        (
            ["r.json", "--into", "README.md/r.html"],
            "--into README.md/r.html: folder README.md: cannot be written (File exists)",
        ),
        (["r.json", "--format", "pdf"], "'pdf' is not one of 'terminal', 'markdown', 'csv', 'html'"),
    ],
)
def test_wrong_use_is_exit_code_2_and_writes_nothing(run, path, page, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "latin.md").write_bytes(b"\xe9")
    there = {each: each.read_bytes() for each in tmp_path.iterdir() if each.is_file()}
    code, out, err = run("report", *arguments)
    assert (code, out) == (2, "")
    assert says in " ".join(err.replace("│", " ").split())
    assert "Traceback" not in err
    assert {each: each.read_bytes() for each in tmp_path.iterdir() if each.is_file()} == there


def test_what_is_no_record_is_told_apart(run, page):
    code, _, err = run("report", page)
    assert (code, err) == (4, f"error: record {page}: no whole record (no JSON object)\n")


def test_help_teaches(run):
    code, out, _ = run("report", "--help")
    assert code == 0
    for text in ("--into README.md --check", "--format", "between the two lines", "exit code 1"):
        assert text in " ".join(out.replace("│", " ").split())

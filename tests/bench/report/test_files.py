import io
import re

import pandas as pd
import pytest
from everykind import KINDS, RECORDS
from ladders import ladder_record
from rich.console import Console

from loop_bench.errors import UsageError
from loop_bench.experiments import registry
from loop_bench.report import files, html, markdown
from loop_bench.report.report import Fact, Headline, Number, Report, Table
from loop_bench.statistics import Interval


def shown(left):
    out = io.StringIO()
    left.show(Console(file=out, width=200))
    return out.getvalue()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_by_the_name_of_its_kind_and_what_is_made_of_it(kind, tmp_path):
    record = RECORDS[kind]()
    left = files.leave(record, registry.report, tmp_path / "new")
    stems = [f"{kind}-{each.stem}" for each in left.report.pictures]
    pictures = [f"{stem}{suffix}" for stem in stems for suffix in (".png", ".svg")]
    assert names(tmp_path / "new") == sorted([f"{kind}.json", f"{kind}.md", f"{kind}.html", *pictures])
    assert registry.read(tmp_path / "new" / f"{kind}.json").model_dump_json() == record.model_dump_json()
    assert all(path.stat().st_size for path in (tmp_path / "new").iterdir())
    linked = re.findall(r"!\[[^]]+\]\(([^)]+)\)", (tmp_path / "new" / f"{kind}.md").read_text())
    assert linked == [f"{stem}.svg" for stem in stems]  # beside it


@pytest.mark.slow
def test_the_same_record_leaves_the_same_bytes(tmp_path):
    for folder in ("one", "two"):
        files.leave(ladder_record(), registry.report, tmp_path / folder)
    assert names(tmp_path / "one") == names(tmp_path / "two")
    for name in names(tmp_path / "one"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.usefixtures("undrawn")
def test_what_an_earlier_one_left_is_replaced(tmp_path):
    files.leave(ladder_record(rounds=(), rounds_ended=None), registry.report, tmp_path)
    assert "nothing was timed" in (tmp_path / "ladder.md").read_text()
    files.leave(ladder_record(), registry.report, tmp_path)
    assert "nothing was timed" not in (tmp_path / "ladder.md").read_text()


@pytest.mark.usefixtures("undrawn")
def test_beside_a_file_of_any_name(tmp_path):
    record = ladder_record()
    path = record.write_as(tmp_path / "v1.2 of mine.json")
    files.beside(path, registry.report(record))
    assert names(tmp_path) == [
        f"v1.2 of mine{end}" for end in ("-waterfall.png", "-waterfall.svg", ".html", ".json", ".md")
    ]


@pytest.mark.usefixtures("undrawn")
def test_shows_the_tables_and_last_of_all_where_they_are(tmp_path):
    told = shown(files.leave(ladder_record(), registry.report, tmp_path, ["also: this"]))
    assert "One change after the other" in told
    assert told.index("2 cores of a CPU") < told.index("written: ")
    *_, where, also = told.splitlines()
    drawn = "; ladder-waterfall as .png and .svg"
    assert (where, also) == (f"written: {tmp_path / 'ladder.json'}, and beside it: .md, .html{drawn}", "also: this")


def test_of_a_record_that_is_not_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = shown(files.Output(registry.report(ladder_record()), ("written: nothing: no room",)))
    assert told.splitlines()[-1] == "written: nothing: no room"
    assert "written" not in shown(files.Output(registry.report(ladder_record())))
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"folder .*file: cannot be written"):
        files.leave(ladder_record(), registry.report, tmp_path / "file")


def read(text):
    found = pd.read_csv(io.StringIO(text), comment="#")
    return found.assign(interval=found["interval"].astype(object).fillna(""))


@pytest.mark.parametrize("kind", registry.KINDS)
def test_numbers_come_back_from_csv(kind):
    made = registry.report(RECORDS[kind]())
    found = read(files.comma_separated(made))
    expected = made.numbers.astype({"value": float, "low": float, "high": float})
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-5)


FACTS = [Fact("machine", "2 cores"), Fact("before", "of two\nlines")]


def test_what_must_be_known_is_a_comment():
    found = [Number.estimate("speed-up", "after", "ratio", Interval(2.0, 1.5, 2.5))]
    text = files.comma_separated(
        Report.of("run", [], FACTS, found, headlines=[Headline("faster", "2×")], doubts=["doubt: x"])
    )
    assert text.splitlines() == [
        '"figure","loop","unit","value","low","high","interval"',
        '"speed-up","after","ratio",2.0,1.5,2.5,"95%"',
        "# faster: 2×",
        "# doubt: x",
        "# machine: 2 cores",
        "# before: of two",
        "# lines",
    ]


def test_names_may_hold_anything():
    names = ["op a#1", 'of "x", y', "é\ntwo"]
    rows = [Number.plain(name, "before", "ms", 1.0) for name in names]
    assert list(read(files.comma_separated(Report.of("profile", [], [], rows)))["figure"]) == names


def test_without_numbers_there_are_the_texts_of_the_tables():
    frame = pd.DataFrame([["a # b", 'says "c"']], columns=["claim", "why"])
    shown = Report.of("claims", [Table("what was said", frame)], FACTS)
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(files.comma_separated(shown)), comment="#"), frame)


def test_by_name_and_by_the_ending_of_a_file():
    assert {"markdown": markdown.page, "csv": files.comma_separated, "html": html.page} == files.FORMATS
    assert {*files.SUFFIXES.values()} == {*files.FORMATS}


def test_files_are_brought_up_to_date_and_only_named_when_checked(tmp_path, capsys):
    old, new = tmp_path / "a" / "old.md", tmp_path / "a" / "new.md"
    old.parent.mkdir()
    old.write_text("same")
    texts = [(old, "same"), (new, "text")]
    assert files.refresh(texts, tmp_path, check=True, stale="stale: run it")
    assert (new.exists(), capsys.readouterr().out) == (False, "a/new.md: stale: run it\n")
    assert files.refresh(texts, tmp_path, check=False)
    assert (new.read_text(), capsys.readouterr().out) == ("text", "a/new.md: written\n")
    assert not files.refresh(texts, tmp_path, check=True)

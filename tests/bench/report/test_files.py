import io
import re

import pytest
from everykind import RECORDS
from ladders import ladder_record
from rich.console import Console

from bench.errors import UsageError
from bench.experiments import kinds
from bench.report import files


def shown(left):
    out = io.StringIO()
    left.show(Console(file=out, width=200))
    return out.getvalue()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_a_record_by_the_name_of_its_kind_and_what_is_made_of_it(kind, tmp_path):
    record = RECORDS[kind]()
    left = files.leave(record, tmp_path / "new")
    stems = [f"{kind}-{each.stem}" for each in left.report.pictures]
    pictures = [f"{stem}{suffix}" for stem in stems for suffix in (".png", ".svg")]
    assert names(tmp_path / "new") == sorted([f"{kind}.json", f"{kind}.md", f"{kind}.html", *pictures])
    assert kinds.read(tmp_path / "new" / f"{kind}.json").model_dump_json() == record.model_dump_json()
    assert all(path.stat().st_size for path in (tmp_path / "new").iterdir())
    linked = re.findall(r"!\[[^]]+\]\(([^)]+)\)", (tmp_path / "new" / f"{kind}.md").read_text())
    assert linked == [f"{stem}.svg" for stem in stems]  # beside it


def test_the_same_record_leaves_the_same_bytes(tmp_path):
    for folder in ("one", "two"):
        files.leave(ladder_record(), tmp_path / folder)
    assert names(tmp_path / "one") == names(tmp_path / "two")
    for name in names(tmp_path / "one"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_what_an_earlier_one_left_is_replaced(tmp_path):
    files.leave(ladder_record(rounds=(), rounds_ended=None), tmp_path)
    assert "nothing was timed" in (tmp_path / "ladder.md").read_text()
    files.leave(ladder_record(), tmp_path)
    assert "nothing was timed" not in (tmp_path / "ladder.md").read_text()


def test_beside_a_file_of_any_name(tmp_path):
    record = ladder_record()
    path = record.write_as(tmp_path / "v1.2 of mine.json")
    files.beside(record, path)
    assert names(tmp_path) == [
        f"v1.2 of mine{end}" for end in ("-waterfall.png", "-waterfall.svg", ".html", ".json", ".md")
    ]


def test_shows_the_tables_and_last_of_all_where_they_are(tmp_path):
    told = shown(files.leave(ladder_record(), tmp_path, ["also: this"]))
    assert "one change after the other" in told
    assert told.index("2 cores of a CPU") < told.index("written: ")
    *_, where, also = told.splitlines()
    drawn = "; ladder-waterfall as .png and .svg"
    assert (where, also) == (f"written: {tmp_path / 'ladder.json'}, and beside it: .md, .html{drawn}", "also: this")


def test_of_a_record_that_is_not_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = shown(files.Left.nowhere(ladder_record(), "written: nothing: no room"))
    assert told.splitlines()[-1] == "written: nothing: no room"
    assert "written" not in shown(files.Left.nowhere(ladder_record()))
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"folder .*file: cannot be written"):
        files.leave(ladder_record(), tmp_path / "file")

"""What holds the docs fresh; that they are is what CI has it check."""

import importlib.util
from pathlib import Path

import pytest
import typer
from records import record

from loop_bench import builtin

pytestmark = pytest.mark.usefixtures("undrawn")

BUILT_IN = {"before": builtin.BEFORE, "after": builtin.AFTER}  # of which something was claimed

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("docs", ROOT / "results" / "docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def docs(script, tmp_path, monkeypatch):
    """The script, on a folder with one record, a README of two parts and a page of one."""
    module = script
    results = tmp_path / "results"
    record(settings=BUILT_IN).write_as(results / "machine" / "tiny.json")
    record().write_as(results / "machine" / "reference-tiny.json")
    record().write_as(results / "runs" / "mine.json")
    parts = (
        module.Part("README.md", "run", "machine/tiny.json"),
        module.Part("README.md", "claims", None),
        module.Part("page.md", "run", "machine/tiny.json"),
    )
    for page in ("README.md", "page.md"):
        lines = [line for part in parts if part.page == page for line in module.markdown.markers(part.name)]
        (tmp_path / page).write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "RESULTS", results)
    monkeypatch.setattr(module, "CLAIMED", ("machine/tiny.json",))
    monkeypatch.setattr(module, "PARTS", parts)
    return module


def is_stale(docs):
    with pytest.raises(typer.Exit) as left:
        docs.main(check=True)
    return left.value.exit_code == 1


def test_made_once_they_are_fresh(docs, capsys):
    assert is_stale(docs)
    docs.main(check=False)
    assert not is_stale(docs)
    assert {path.name for path in (docs.RESULTS / "machine").iterdir()} == {
        "reference-tiny.json",
        "tiny.json",
        "tiny.md",
        *(f"tiny-{stem}.svg" for stem in ("times", "ratios", "host-syncs")),
    }
    assert [*(docs.RESULTS / "runs").iterdir()] == [docs.RESULTS / "runs" / "mine.json"]
    readme, page = ((docs.ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "page.md"))
    assert "**faster**: 2.0" in readme
    assert "**faster**: 2.0" in page
    assert "| time a batch" in readme
    assert "| time a batch" not in page
    assert "results/machine/tiny.md: written" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["machine/tiny.md", "../README.md", "../page.md"])
def test_a_changed_table_is_stale_and_is_named(docs, capsys, what):
    docs.main(check=False)
    page = docs.RESULTS / what
    page.write_text(page.read_text(encoding="utf-8").replace("faster", "swifter"), encoding="utf-8")
    capsys.readouterr()
    assert is_stale(docs)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith(f"{Path(what).name}: stale")


def test_another_record_makes_its_table_stale(docs):
    docs.main(check=False)
    record(after=0.05, settings=BUILT_IN).write_as(docs.RESULTS / "machine" / "tiny.json")
    assert is_stale(docs)


def test_every_page_has_the_lines_of_each_of_its_parts(script):
    assert {part.name for part in script.PARTS} >= {"run", "ladder", "convergence", "claims"}
    for part in script.PARTS:
        text = (ROOT / part.page).read_text(encoding="utf-8")
        for line in script.markdown.markers(part.name):
            assert text.count(line) == 1, part

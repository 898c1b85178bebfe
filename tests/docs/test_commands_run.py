"""The short commands of README and of the pages run as they stand there, on committed records."""

import shutil
from pathlib import Path

import command_lines
import pytest

from loop_bench.cli import commands

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md",
    *(f"docs/how-to/{name}.md" for name in ("experiments", "gate", "reports", "runners")),
    "docs/findings/claims.md",
    pytest.param("docs/how-to/doctor.md", marks=pytest.mark.slow),
]
RECORD = ROOT / "results" / "epyc-9004-2-cores" / "paper.json"
MARKERS = "<!-- loop-bench: begin run -->\n<!-- loop-bench: end run -->\n"
SHORT = {"report", "gate", "claims", "compare", "history", "accept"}
DOCTOR = "doctor"


def lines(page):
    """The short commands of a page, in its order; `doctor` on its own page only, without what takes time."""
    for program, *words in command_lines.found(ROOT / page):
        if program == "loop-bench" and words[0] in SHORT and words[1:]:
            yield words
        elif words == [DOCTOR] and page.endswith(f"{DOCTOR}.md"):
            yield [*words, "--no-measure"]


def expected(words, accepted):
    """The exit code that the pages name: a gate has no reference on a machine until one was accepted."""
    return 4 if words[0] == "gate" and "--reference" in words and not accepted else 0


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    (tmp_path / "README.md").write_text(MARKERS)
    return tmp_path


def put(folder, words):
    """The records that a command names, which are committed under that name or else are one of a run."""
    for word in words:
        if (word.endswith(".json") or word == "RECORD") and not (folder / word).exists():
            (folder / word).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / word if (ROOT / word).exists() else RECORD, folder / word)


def code_of(words):
    """The exit code of a command."""
    try:
        return commands.main(words)
    except SystemExit as left:
        return left.code or 0


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_end_as_it_says(folder, page):
    accepted, ran = False, []
    for words in lines(page):
        put(folder, words)
        ran.append((words, code_of(words), expected(words, accepted)))
        accepted |= words[0] == "accept"
    assert ran
    assert [(words, code) for words, code, _ in ran] == [(words, code) for words, _, code in ran]


def test_each_of_them_is_on_a_page():
    pages = [page if isinstance(page, str) else page.values[0] for page in PAGES]
    assert {words[0] for page in pages for words in lines(page)} == {*SHORT, DOCTOR}


def test_a_command_that_breaks_is_noticed(folder):
    put(folder, ["RECORD"])
    assert code_of(["report", "RECORD", "--rows", "nothing"]) == 2
    assert code_of(["report", "RECORD", "--nothing"]) == 2

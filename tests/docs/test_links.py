"""Links of the repository's Markdown that is no page of the site; `mkdocs build --strict` checks those of the site."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "results/README.md", "bench/hostsync/README.md",
         "bench/experiments/survival/README.md")  # fmt: skip

_LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]+))?\)")
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(text):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", _FENCED.sub("", text), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def broken(path, text):
    """The links of a page that lead nowhere."""
    for target, anchor in _LINK.findall(_FENCED.sub("", text)):
        there = (path.parent / target).resolve() if target else path
        if not there.exists():
            yield target
        elif anchor and there.suffix == ".md" and anchor not in anchors(there.read_text(encoding="utf-8")):
            yield f"{target}#{anchor}"


@pytest.mark.parametrize("name", FILES)
def test_every_link_leads_somewhere(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert [*broken(ROOT / name, text)] == []


def test_a_broken_link_is_noticed(tmp_path):
    (tmp_path / "there.md").write_text("# A *title*, `x`\n")
    text = "[a](there.md) [b](there.md#a-title-x) [c](there.md#b) [d](gone.md) [e](https://example.org/x)"
    assert [*broken(tmp_path / "page.md", text)] == ["there.md#b", "gone.md"]


def test_readme_is_one_page():
    text = (ROOT / "README.md").read_bytes()
    assert len(text) <= 9 * 1024
    assert text.count(b"\n") <= 150

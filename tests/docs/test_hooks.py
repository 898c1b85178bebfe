"""The site: what of results/ is in it, links that are checked, and nothing that another host would have to bring."""

import re
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="mkdocs is not installed: it comes with the extra docs")

from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

ROOT = Path(__file__).parents[2]
OF_ANOTHER_HOST = "(?:https?:)?//"
FETCHED = re.compile(
    rf"""<(?:link|script|img|iframe)[^>]+(?:src|href)=["']?{OF_ANOTHER_HOST}[^>]*>|url\(["']?{OF_ANOTHER_HOST}"""
)
PAGE = """# A page

[a table](../../results/machine/paper.md#times) ![a plot](../../results/machine/paper-times.svg)

<details><summary>More</summary>

| a | b |
|---|---|
| 1 | 2 |

</details>
"""


@pytest.fixture
def project(tmp_path):
    """A repository with a page and the results that it links to."""
    for name, text in {
        "docs/findings/page.md": PAGE,
        "docs/hooks.py": "",
        "docs/generate.py": "",
        "docs/generating/__init__.py": "",
        "docs/generating/markdown.py": "",
        "docs/generating/__pycache__/markdown.cpython-311.pyc": "",
        "docs/tutorial/train.py": "",
        "results/README.md": "# Results\n\n[a file](../seqgan/config.py)\n",
        "results/machine/paper.md": "## Times\n\n![a plot](paper-times.svg)\n",
        "results/machine/paper-times.svg": "<svg/>",
        "results/ladder/machine/ladder.md": "## Rungs\n",
        "results/ladder/machine/tiny.md": "## Rungs\n",
        "results/machine/paper.json": "{}",
        "results/runs/mine.md": "# Mine\n",
        "results/runs/sweep/mine.md": "# Mine\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def built(project):
    """The site, made with the project's own configuration, and the files in it by their paths."""
    site = project / "site"
    ours = {"docs_dir": str(project / "docs"), "site_dir": str(site), "nav": ["findings/page.md"]}
    build(load_config(str(ROOT / "mkdocs.yml"), strict=True, **ours))
    return {path.relative_to(site).as_posix(): path for path in site.rglob("*") if path.is_file()}


def test_results_are_where_links_say(project):
    files = built(project)
    assert {name for name in files if name.startswith("results/")} == {
        "results/machine/paper/index.html",
        "results/machine/paper-times.svg",
        "results/ladder/machine/ladder/index.html",
        "results/ladder/machine/tiny/index.html",
    }
    page = files["findings/page/index.html"].read_text(encoding="utf-8")
    assert 'href="../../results/machine/paper/#times"' in page
    assert 'src="../../results/machine/paper-times.svg"' in page
    assert 'src="../paper-times.svg"' in files["results/machine/paper/index.html"].read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("page", "title"),
    [
        ("machine/paper", "Record: machine, paper"),
        ("ladder/machine/ladder", "Record: machine, ladder"),
        ("ladder/machine/tiny", "Record: machine, ladder, tiny"),
    ],
)
def test_the_page_of_a_record_says_what_it_is_of(project, page, title):
    text = built(project)[f"results/{page}/index.html"].read_text(encoding="utf-8")
    assert f"<title>{title} - loop-bench</title>" in text


def test_tables_inside_details_are_rendered(project):
    page = built(project)["findings/page/index.html"].read_text(encoding="utf-8")
    assert re.search(r"<details>\s*<summary>More</summary>.*<table>.*</details>", page, re.DOTALL)


@pytest.mark.parametrize(
    "link", ["../../results/machine/none.md", "../../results/machine/paper.md#none", "../../results/runs/mine.md"]
)
def test_a_link_to_what_is_not_there_fails(project, link):
    (project / "docs" / "findings" / "page.md").write_text(f"# A page\n\n[a table]({link})\n", encoding="utf-8")
    with pytest.raises(Abort):
        built(project)


def test_tools_are_left_out_and_programs_of_the_tutorial_can_be_copied(project):
    files = built(project)
    assert [name for name in files if name.endswith((".py", ".pyc"))] == ["tutorial/train.py"]
    assert not [name for name in files if name.startswith(("generating", "generate", "hooks"))]


def test_nothing_is_fetched(project):
    files = built(project)
    texts = {name: path.read_text(encoding="utf-8") for name, path in files.items() if name.endswith((".html", ".css"))}
    assert {name: found for name, text in texts.items() if (found := FETCHED.findall(text))} == {}

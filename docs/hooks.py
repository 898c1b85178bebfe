"""Brings the tables and pictures of results/ into the site: a hook of MkDocs, named in mkdocs.yml.

Pages link to them as the repository has them, `../../results/…`. MkDocs resolves links against docs/: a file that is
added under its path from there, `../results/…`, is found by the same link; a strict build fails where there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

SUFFIXES = (".md", ".svg")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the tables and pictures of records to the files of the site."""
    results = Path(config.docs_dir).parent / "results"
    for path in _shown(results):
        files.append(_file(path.relative_to(results.parent).as_posix(), config))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Gives the page of a record its title, and has Markdown inside <details> rendered, as GitHub does."""
    if page.file.src_uri.startswith("../"):
        markdown = f"# {_title(page.file.src_uri)}\n\n{markdown}"
    return markdown.replace("<details>", '<details markdown="1">')


def _title(uri: str) -> str:
    """What the record at ../results/[KIND/]MACHINE/NAME.md is of: `Record: MACHINE, KIND, NAME`."""
    *kind, machine, name = uri.removeprefix("../results/").removesuffix(".md").split("/")
    return f"Record: {', '.join(dict.fromkeys((machine, *kind, name)))}"


def _shown(results: Path) -> Iterator[Path]:
    """Files in folders of results/; those beside the folders speak of the repository."""
    for path in sorted(results.glob("*/**/*")):
        if path.suffix in SUFFIXES and results / "runs" not in path.parents:  # runs/: a user's own
            yield path


def _file(uri: str, config: MkDocsConfig) -> File:
    """A file of the repository, which lies in the site where it lies there."""
    in_site = File(uri, None, config.site_dir, config.use_directory_urls).dest_uri
    return File(
        f"../{uri}",
        config.docs_dir,
        config.site_dir,
        config.use_directory_urls,
        dest_uri=in_site,
        inclusion=InclusionLevel.NOT_IN_NAV,
    )

"""Makes every table and picture of the docs anew from its record, or says which are stale.

    python results/docs.py            # after a new record, or a change of a renderer
    python results/docs.py --check    # as CI does it; exit code 1 when something is stale

Beside each record NAME.json lies what it says: NAME.md, and its pictures as SVG. README.md has some of these tables
between lines that name them. A picture is drawn anew but not checked: other versions of matplotlib draw other bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from loop_bench import builtin
from loop_bench.document import Document
from loop_bench.experiments import registry
from loop_bench.records.claims import report as claims
from loop_bench.records.claims.evidence import Evidence
from loop_bench.report import files, markdown, plots
from loop_bench.report.report import Report
from loop_bench.writing import write_whole

RESULTS = Path(__file__).parent
README = RESULTS.parent / "README.md"
MACHINE = "epyc-9004-2-cores"
"""Where time was measured last."""

OLDER = "epyc-2-cores"
"""Where what depends on no time was found out, which takes hours."""

CLAIMED = (
    f"{MACHINE}/paper.json",
    f"survival/{OLDER}/survival.json",
    f"convergence/{OLDER}/paper.json",
)
"""What the claims are held against."""

IN_README: dict[str, tuple[str, Sequence[str]]] = {
    "run": (f"{MACHINE}/paper.json", ()),
    "ladder": (f"ladder/{MACHINE}/ladder.json", ()),
    "convergence": (f"convergence/{OLDER}/paper.json", ("verdicts",)),
}
"""Its parts by their names: the record, and the beginnings of the titles of tables, all of them if there are none."""


def records() -> dict[Path, Document]:
    """Every record of these folders."""
    runs = RESULTS / "runs"  # a user's own
    found = (path for path in sorted(RESULTS.rglob("*.json")) if runs not in path.parents)
    return {path: registry.read(path) for path in found if not path.name.startswith("reference-")}


def pages(found: dict[Path, Document], reports: dict[Path, Report]) -> Iterator[tuple[Path, str]]:
    """The files that are made of records, and what is to stand in them."""
    for path, report in reports.items():
        yield path.with_suffix(".md"), files.page(report, path)
    text = README.read_text(encoding="utf-8")
    for name, (where, titles) in IN_README.items():
        report = reports[RESULTS / where]
        text = _with(text, name, report.only(titles) if titles else report)
    claimed = (found[RESULTS / where] for where in CLAIMED)
    evidence = Evidence.of(claimed, (builtin.BEFORE, builtin.AFTER), builtin.FIXED)
    yield README, _with(text, "claims", claims.report(evidence))


def _with(text: str, name: str, report: Report) -> str:
    return markdown.replaced(text, name, markdown.page(report), str(README))


def draw(reports: dict[Path, Report]) -> Iterator[Path]:
    """Draws all pictures; gives their paths."""
    for path, report in reports.items():
        for each in report.pictures:
            yield write_whole(path.with_name(f"{files.picture_name(path, each)}.svg"), plots.svg(each.draw()))


def main(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit code 1 when a table is stale.")] = False,
) -> None:
    """Make the tables and pictures of the docs anew from their records."""
    found = records()
    reports = {path: registry.report(record) for path, record in found.items()}
    stale = [
        (path, text) for path, text in pages(found, reports) if not path.exists() or path.read_text("utf-8") != text
    ]
    for path, text in stale:
        print(f"{path.relative_to(RESULTS.parent)}: {'stale' if check else 'written'}")
        if not check:
            write_whole(path, text)
    if check:
        raise typer.Exit(int(bool(stale)))
    for path in draw(reports):
        print(f"{path.relative_to(RESULTS.parent)}: drawn")


if __name__ == "__main__":
    typer.run(main)

"""Makes every table and picture of the docs anew from its record, or says which are stale.

    python results/docs.py            # after a new record, or a change of a renderer
    python results/docs.py --check    # as CI does it; exit code 1 when something is stale

Beside each record NAME.json lies what it says: NAME.md, and its pictures as SVG. Pages of the docs have some of these
tables between lines that name them. A picture is drawn anew but not checked: other versions of matplotlib draw other
bytes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

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
ROOT = RESULTS.parent
MACHINE = "epyc-9004-2-cores"
"""Where time was measured last."""

OLDER = "epyc-2-cores"
"""Where what depends on no time was found out, which takes hours."""

RUN = f"{MACHINE}/paper.json"
LADDER = f"ladder/{MACHINE}/ladder.json"
CONVERGENCE = f"convergence/{OLDER}/paper.json"
BUILT_IN = (builtin.BEFORE, builtin.AFTER)
CLAIMED = (RUN, f"survival/{OLDER}/survival.json", CONVERGENCE)
"""What the claims are held against."""


class Part(NamedTuple):
    """A part of a page, made of records, between the two lines that name it."""

    page: str  # from the root of the repository
    name: str  # in the two lines
    record: str | None  # in results/; None: the claims
    titles: Sequence[str] = ()  # beginnings of the titles of its tables; all of them if there are none
    rows: Sequence[str] = ()  # the groups of rows of a short table in place of them


PARTS = (
    Part("README.md", "run", RUN, rows=("speed", "syncs", "memory", "survival")),
    Part("docs/findings/speed.md", "run", RUN),
    Part("docs/findings/ladder.md", "ladder", LADDER),
    Part("docs/findings/convergence.md", "convergence", CONVERGENCE, ("verdicts",)),
    Part("docs/findings/claims.md", "claims", None),
)


def records() -> dict[Path, Document]:
    """Every record of these folders."""
    runs = RESULTS / "runs"  # a user's own
    found = (path for path in sorted(RESULTS.rglob("*.json")) if runs not in path.parents)
    return {path: registry.read(path) for path in found if not path.name.startswith("reference-")}


def pages(found: dict[Path, Document], reports: dict[Path, Report]) -> Iterator[tuple[Path, str]]:
    """The files that are made of records, and what is to stand in them."""
    for path, report in reports.items():
        yield path.with_suffix(".md"), files.page(report, path)
    evidence = Evidence.of((found[RESULTS / record] for record in CLAIMED), BUILT_IN, builtin.FIXED)
    held = claims.report(evidence)
    texts: dict[Path, str] = {}
    for part in PARTS:
        path = ROOT / part.page
        report = held if part.record is None else reports[RESULTS / part.record]
        if part.rows:
            report = report.short(part.rows)
        elif part.titles:
            report = report.only(part.titles)
        report = dataclasses.replace(report, terms=())  # docs/explanation/verdicts.md has them
        text = texts[path] if path in texts else path.read_text(encoding="utf-8")
        texts[path] = markdown.replaced(text, part.name, markdown.page(report), part.page)
    yield from texts.items()


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
    is_stale = files.refresh(pages(found, reports), ROOT, check)
    if check:
        raise typer.Exit(int(is_stale))
    for path in draw(reports):
        print(f"{path.relative_to(ROOT)}: drawn")


if __name__ == "__main__":
    typer.run(main)

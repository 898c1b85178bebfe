"""Makes the parts of docs/ that the code knows, or says which are stale.

    python docs/generate.py            # after a change of a command, option, contract, fault or verdict
    python docs/generate.py --check    # as CI does it; exit code 1 when something is stale

Such a part stands between two comments that name it; the rest of a page is written by hand. What makes the parts is in
docs/generating/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer
from generating import contract, interface, outcomes

from loop_bench.report import files, markdown

PAGES = Path(__file__).parent

MADE: Mapping[str, Callable[[], Iterator[tuple[str, str]]]] = {
    "reference/commands.md": interface.command_parts,
    "reference/options.md": interface.option_parts,
    "reference/contract.md": contract.contract_parts,
    "reference/exit-codes.md": outcomes.exit_code_parts,
    "reference/faults.md": outcomes.fault_parts,
    "explanation/verdicts.md": outcomes.verdict_parts,
}
"""By page, what makes its parts."""


def pages(folder: Path) -> Iterator[tuple[Path, str]]:
    """Each page, and what is to stand in it."""
    for name, parts in MADE.items():
        path = folder / name
        text = path.read_text(encoding="utf-8")
        for part, content in parts():
            text = markdown.replaced(text, part, content, str(path))
        yield path, text


def main(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit code 1 when a page is stale.")] = False,
) -> None:
    """Make the generated parts of docs/ anew."""
    is_stale = files.refresh(pages(PAGES), PAGES.parent, check, "stale: run python docs/generate.py")
    raise typer.Exit(int(check and is_stale))


if __name__ == "__main__":
    typer.run(main)

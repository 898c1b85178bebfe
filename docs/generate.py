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

from loop_bench.report import markdown
from loop_bench.writing import write_whole

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


def pages(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """Each page, what stands in it, and what is to stand in it."""
    for name, parts in MADE.items():
        path = folder / name
        old = new = path.read_text(encoding="utf-8")
        for part, content in parts():
            new = markdown.replaced(new, part, content, str(path))
        yield path, old, new


def main(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit code 1 when a page is stale.")] = False,
) -> None:
    """Make the generated parts of docs/ anew."""
    stale = [(path, new) for path, old, new in pages(PAGES) if old != new]
    for path, new in stale:
        state = "stale: run python docs/generate.py" if check else "written"
        print(f"docs/{path.relative_to(PAGES).as_posix()}: {state}")
        if not check:
            write_whole(path, new)
    raise typer.Exit(int(check and bool(stale)))


if __name__ == "__main__":
    typer.run(main)

"""Findings as text for a terminal or a pipe, and as JSON for a program."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from loop_bench.doctor.examination import Examination
from loop_bench.doctor.finding import Finding, Part, State, problems
from loop_bench.report.texts import counted

_STYLES = {State.OK: "green", State.NOTE: "yellow", State.PROBLEM: "bold red"}
_INDENT = max(len(state.value) for state in State) + 2
_NARROWEST = 30  # columns; a narrower terminal folds lines itself


def show(console: Console, parts: Iterable[Part]) -> None:
    """Prints all findings under their headings, and a conclusion.

    Lines are folded at words to the console's width on a terminal; in a pipe, each stays whole.
    """
    parts = tuple(parts)
    for part in parts:
        console.print(Text(part.title, style="bold"))
        for finding in part.findings:
            for line in lines(finding, max(_NARROWEST, console.width) if console.is_terminal else None):
                console.print(_styled(line, finding.state), soft_wrap=True)
    console.print(Text(conclusion(parts), style="bold"), soft_wrap=not console.is_terminal)


def lines(finding: Finding, width: int | None) -> Iterator[str]:
    """A finding and its advice, as lines no longer than `width`; None: of any length."""
    texts = [(finding.state.value, f"{finding.name}: {finding.found}")]
    texts += [("", f"→ {finding.advice}")] if finding.advice else []
    for begins, text in texts:
        first, rest = begins.ljust(_INDENT), " " * _INDENT
        if width is None:
            yield first + text
        else:
            yield from textwrap.wrap(
                text,
                width,
                initial_indent=first,
                subsequent_indent=rest,
                break_on_hyphens=False,
                break_long_words=False,  # a command is there to be copied
            )


def _styled(line: str, state: State) -> Text:
    text = Text(line)
    if line.startswith(state.value):
        text.stylize(_STYLES[state], 0, len(state.value))
    return text


def conclusion(parts: Iterable[Part]) -> str:
    """The conclusion from all findings, in one line."""
    parts = tuple(parts)
    blocking = problems(parts)
    notes = sum(each.state is State.NOTE for part in parts for each in part.findings)
    also = f"; {counted(notes, 'note')}" if notes else ""
    if not blocking:
        return f"nothing stands in the way of measuring{also}"
    return f"in the way of measuring: {', '.join(each.name for each in blocking)}{also}"


def plain(examination: Examination) -> dict[str, Any]:
    """An examination as values of JSON.

    Returns:
        `problems`: their number. `findings`: of each its part, name, what was found, state (ok, note, problem) and
        advice. `null_arm`: fields of `NullArm`, or None.
    """
    return {
        "problems": len(problems(examination.parts)),
        "findings": [
            {"part": part.title, **dataclasses.asdict(each), "state": each.state.value}
            for part in examination.parts
            for each in part.findings
        ],
        "null_arm": dataclasses.asdict(examination.null_arm) if examination.null_arm else None,
    }

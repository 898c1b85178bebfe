"""What GitHub Actions shows of a gate: the job's summary, and an annotation when it did not pass.

After GitHub's documentation, "Workflow commands for GitHub Actions".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from bench.records import report
from bench.records.gate import Decision, Outcome
from bench.report import markdown

_LEVELS = {Outcome.FAILED: "error", Outcome.INVALID: "error", Outcome.INCONCLUSIVE: "warning"}


def publish(decision: Decision, log: TextIO, environment: Mapping[str, str] = os.environ) -> None:
    """Does nothing outside of GitHub Actions.

    Args:
        decision: of a gate.
        log: where the step's output goes: GitHub looks for annotations in it.
        environment: of the process.
    """
    if environment.get("GITHUB_ACTIONS") != "true":
        return
    if level := _LEVELS.get(decision.outcome):
        print(f"::{level} title=loop-bench gate::{_escape(decision.line)}", file=log, flush=True)
    if summary := environment.get("GITHUB_STEP_SUMMARY"):
        text = f"{markdown.render(report.checks(decision))}\nloop-bench gate: {decision.outcome.name.lower()}\n"
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")


def _escape(text: str) -> str:
    for character in "%\r\n":  # the percent sign first, or it would be escaped twice
        text = text.replace(character, f"%{ord(character):02X}")
    return text

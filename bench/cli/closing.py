"""The end of a run: its record, verdict and table, and what the gate says of it, to GitHub Actions too."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rich.console import Console

from loop_bench.errors import UsageError
from loop_bench.experiments import registry
from loop_bench.experiments.run.record import Record
from loop_bench.records import gate, references, report
from loop_bench.records.gate import Decision, Limits, Outcome
from loop_bench.report import files, markdown, terminal
from loop_bench.report.files import Output
from loop_bench.report.texts import Texts

if TYPE_CHECKING:
    from typing_extensions import Self

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
    checks = markdown.render(Texts.of(report.checks(decision)))
    summarise(f"{checks}\nloop-bench gate: {decision.outcome.name.lower()}\n", environment)


def summarise(text: str, environment: Mapping[str, str] = os.environ) -> None:
    """Adds Markdown to the summary of a job; does nothing outside of GitHub Actions."""
    summary = environment.get("GITHUB_STEP_SUMMARY")
    if summary and environment.get("GITHUB_ACTIONS") == "true":
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")


def _escape(text: str) -> str:
    for character in "%\r\n":  # the percent sign first, or it would be escaped twice
        text = text.replace(character, f"%{ord(character):02X}")
    return text


@dataclasses.dataclass
class Closing:
    """What a run ends with, on disk and in the terminal."""

    record: Record
    output: Output
    flaws: tuple[str, ...] = ()  # of stages and experiments of the run that came to nothing
    failed: bool = False  # to write
    decision: Decision | None = None  # None when there was no gate

    @classmethod
    def of(cls, record: Record, results: Path, flaws: tuple[str, ...] = ()) -> Self:
        """Leaves the record in a folder before anything else, and then what is made of it."""
        try:
            path = record.write(results)
            return cls(record, files.beside(path, registry.report(record)), flaws)
        except UsageError as error:
            nothing = (f"written: nothing: {error}",)
            return cls(record, Output(registry.report(record), nothing), flaws, failed=True)

    def judge(self, limits: tuple[Limits, Path | None] | None) -> int:
        """The exit code of the run; tells GitHub Actions of what was found, and what the gate decides.

        Args:
            limits: for the run, and where what it is held against lies; None for no gate.
        """
        summarise(markdown.page(self.output.report))
        if limits:
            self.decision = self._decide(*limits)
            publish(self.decision, sys.stderr)
        if self.failed:
            return 2
        if self.decision:
            return int(self.decision.outcome)
        # Without a gate a slow loop is a result; one that did not do its work is none.
        broken = self.record.problems or (self.record.equivalence and not self.record.equivalence.equal)
        return int(Outcome.INVALID) if broken else int(bool(self.flaws))

    def _decide(self, wanted: Limits, where: Path | None) -> Decision:
        try:
            reference = None if where is None else references.find(self.record, where)
        except UsageError as error:
            return Decision.invalid(str(error))
        decision = gate.judge(self.record, wanted, reference)
        # What was asked for and came to nothing can hide a failure: such a run must not pass.
        return Decision((*decision.checks, *Decision.invalid(*self.flaws).checks))

    def show(self, console: Console) -> None:
        """Prints the table and what must be known with it."""
        self.output.show(console)
        if self.decision:
            terminal.notes(console, [f"gate: {self.decision.line}"])
        else:
            terminal.notes(console, [f"error: {flaw}" for flaw in self.flaws])

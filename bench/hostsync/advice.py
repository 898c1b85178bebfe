"""What to do about host syncs and retraces, for the lines that matter, and how much could be won at most.

A rule knows one pattern, and says nothing where it is not sure. What it says is held against the time of the run: a
line that never waited cannot make it faster.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

from loop_bench.hostsync import advice_rules as rules
from loop_bench.hostsync.graphs import HostOp
from loop_bench.hostsync.log import Site
from loop_bench.hostsync.tracing import TracedSite
from loop_bench.source import is_installed, place

FEWEST_READS, FEWEST_RETRACES = 10, 3
"""Reads of a line, and retraces of a function, that are worth a word: fewer happen once."""

LEAST_SHARE, LEAST_WAIT = 0.1, 0.02
"""Of all reads, and of the time of the run: a line with less of both is left alone."""


@dataclasses.dataclass(frozen=True)
class Advice:
    """What to do about one line."""

    rule: str  # that has found it
    file: str
    line: int
    found: str  # in words
    todo: str
    seconds: float | None  # that went by waiting for it, or in tracing altogether; None: not to be seen from Python
    run: float  # seconds of the whole run

    @property
    def share(self) -> float | None:
        """Share of the run's time."""
        return None if self.seconds is None else min(1.0, self.seconds / self.run)

    @property
    def at_most(self) -> float | None:
        """How many times as fast the run could be if all those seconds went; no promise: work may only move."""
        if self.share is None:
            return None
        return 1 / (1 - self.share) if self.share < 1 else float("inf")

    def plain(self) -> dict[str, Any]:
        """As JSON takes it, which has no infinity."""
        finite = self.at_most if self.at_most is not None and math.isfinite(self.at_most) else None
        return {**dataclasses.asdict(self), "share": self.share, "at_most": finite}

    @property
    def text(self) -> str:
        """As a reader sees it."""
        bound = "" if not self.share else f", {self.share:.1%} of the run: at most {self.at_most:.2f}× as fast"
        return f"{place(self.file, self.line)}: {self.found}{bound}. {self.todo}"


def advice(
    sites: Sequence[Site], traced: Sequence[TracedSite], ops: Sequence[HostOp], seconds: float, tracing: float
) -> tuple[Advice, ...]:
    """What to do, what could win most first.

    Args:
        sites: where was read, by line and route, without what is allowed.
        traced: functions that were traced.
        ops: host ops in their graphs.
        seconds: of the run, more than 0.
        tracing: of them, spent on tracing.
    """
    found = [
        *_on_reads(sites, seconds),
        *_on_traces(traced, seconds, tracing),
        *_on_graphs(ops, traced, seconds),
    ]
    return tuple(sorted(found, key=lambda each: -(each.seconds or 0.0)))


def _on_reads(sites: Sequence[Site], seconds: float) -> Iterator[Advice]:
    total = sum(site.reads for site in sites)
    for site in sites:
        often = site.reads >= FEWEST_READS and site.reads >= LEAST_SHARE * total
        if (often or site.waited >= LEAST_WAIT * seconds) and (said := rules.on_reads(site)):
            waited = f"; waiting took {site.waited:.2g} s" if site.waited else ""
            found = f"{site.reads} of {total} reads ({site.route}){waited}"
            yield Advice(said.rule, site.file, site.line, found, said.todo, site.waited, seconds)


def _on_traces(traced: Sequence[TracedSite], seconds: float, tracing: float) -> Iterator[Advice]:
    for each in traced:
        if each.again >= FEWEST_RETRACES and not each.in_pipeline and (said := rules.on_retraces(each)):
            file, line = each.callers[0] if is_installed(each.file) else (each.file, each.line)
            found = f"{each.function} was traced {each.traces} times ({each.why[0]}); all tracing took {tracing:.2g} s"
            yield Advice(said.rule, file, line, found, said.todo, tracing, seconds)


def _on_graphs(ops: Sequence[HostOp], traced: Sequence[TracedSite], seconds: float) -> Iterator[Advice]:
    # A pipeline runs on the host anyway, and a function that is called once is no step. An op knows its by name alone.
    others = {each.function for each in traced if each.in_pipeline or not rules.is_step(each)}
    steps = {each.function for each in traced} - others
    for kind, file, line, function in dict.fromkeys((op.kind, op.file, op.line, op.function) for op in ops):
        if function.partition("/")[0] in steps and (said := rules.on_host_ops(kind)):
            found = f"{kind} in each run of {function}, which Python does not see"
            yield Advice(said.rule, file, line, found, said.todo, None, seconds)

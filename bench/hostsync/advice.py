"""Advice on host syncs and retraces at the lines that matter, with an upper bound on the speed-up.

Each rule knows one pattern, and gives no advice unless it is sure. The bound compares the seconds at a line with those
of the run: removing a read that never waited cannot make the run faster.
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
"""Least reads of a line, and least retraces of a function, that get advice: fewer are one-time work."""

LEAST_SHARE, LEAST_WAIT = 0.1, 0.02
"""Shares of all reads and of the run's time: a line that is below both gets no advice."""


@dataclasses.dataclass(frozen=True)
class Advice:
    """Advice on one line of code."""

    rule: str  # the rule that matched
    file: str
    line: int
    found: str  # what happens at the line, in words
    todo: str  # what to do about it
    seconds: float | None  # waiting at the line, or of all tracing; None: Python cannot see them
    run: float  # seconds of the whole run

    @property
    def share(self) -> float | None:
        """Share of the run's time spent at the line; None: unknown."""
        return None if self.seconds is None else min(1.0, self.seconds / self.run)

    @property
    def at_most(self) -> float | None:
        """Upper bound on the speed-up if those seconds went; the work may only move elsewhere. None: unknown."""
        if self.share is None:
            return None
        return 1 / (1 - self.share) if self.share < 1 else float("inf")

    def plain(self) -> dict[str, Any]:
        """Plain values for JSON, with None for infinity."""
        finite = self.at_most if self.at_most is not None and math.isfinite(self.at_most) else None
        return {**dataclasses.asdict(self), "share": self.share, "at_most": finite}

    @property
    def text(self) -> str:
        """The advice in one line, as it is printed."""
        bound = "" if not self.share else f", {self.share:.1%} of the run: at most {self.at_most:.2f}× as fast"
        return f"{place(self.file, self.line)}: {self.found}{bound}. {self.todo}"


def advice(
    sites: Sequence[Site], traced: Sequence[TracedSite], ops: Sequence[HostOp], seconds: float, tracing: float
) -> tuple[Advice, ...]:
    """Advice for a run, the greatest possible gain first.

    Args:
        sites: reads by line and route, without those that are allowed.
        traced: functions that were traced.
        ops: host ops in the graphs of those functions.
        seconds: duration of the run, more than 0.
        tracing: seconds of the run that were spent on tracing.
    """
    items = [
        *_on_reads(sites, seconds),
        *_on_traces(traced, seconds, tracing),
        *_on_graphs(ops, traced, seconds),
    ]
    return tuple(sorted(items, key=lambda item: -(item.seconds or 0.0)))


def _on_reads(sites: Sequence[Site], seconds: float) -> Iterator[Advice]:
    total = sum(site.reads for site in sites)
    for site in sites:
        often = site.reads >= FEWEST_READS and site.reads >= LEAST_SHARE * total
        if (often or site.waited >= LEAST_WAIT * seconds) and (match := rules.on_reads(site)):
            waited = f"; waiting took {site.waited:.2g} s" if site.waited else ""
            found = f"{site.reads} of {total} reads ({site.route}){waited}"
            yield Advice(match.rule, site.file, site.line, found, match.todo, site.waited, seconds)


def _on_traces(traced: Sequence[TracedSite], seconds: float, tracing: float) -> Iterator[Advice]:
    for site in traced:
        if site.again >= FEWEST_RETRACES and not site.in_pipeline and (match := rules.on_retraces(site)):
            file, line = site.callers[0] if is_installed(site.file) else (site.file, site.line)
            found = f"{site.function} was traced {site.traces} times ({site.why[0]}); all tracing took {tracing:.2g} s"
            yield Advice(match.rule, file, line, found, match.todo, tracing, seconds)


def _on_graphs(ops: Sequence[HostOp], traced: Sequence[TracedSite], seconds: float) -> Iterator[Advice]:
    # A pipeline runs on the host anyway, and a function that is called once is no step. Ops know their function only
    # by its name.
    others = {site.function for site in traced if site.in_pipeline or not rules.is_step(site)}
    steps = {site.function for site in traced} - others
    for kind, file, line, function in dict.fromkeys((op.kind, op.file, op.line, op.function) for op in ops):
        if function.partition("/")[0] in steps and (match := rules.on_host_ops(kind)):
            found = f"{kind} in each run of {function}, which Python does not see"
            yield Advice(match.rule, file, line, found, match.todo, None, seconds)

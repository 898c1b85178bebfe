"""The host syncs of one run of a program, and the tables that show them."""

from __future__ import annotations

import collections
import dataclasses
import resource
from typing import Any

import pandas as pd
import tensorflow as tf

from bench import hostsync
from bench.errors import UsageError
from bench.hostsync import HostOp, Site
from bench.hostsync.callsite import shorter
from bench.hostsync.command.program import Program
from bench.hostsync.guards import Guard
from bench.hostsync.reconcile import Reconciled, reconciled
from bench.report import markdown as renderer

_LESS_WANTED = ["reads/s", "blocked", "ready"]

NARROW = 100
"""Columns of a terminal; in fewer, some of the table's are left out, so that call sites can be read."""


@dataclasses.dataclass(frozen=True)
class Syncs:
    """What was found in one run of a program."""

    program: str
    exit_code: int
    seconds: float  # that it ran
    sites: tuple[Site, ...]
    host_ops: tuple[HostOp, ...]  # in the graphs that it traced
    copies: Reconciled | None  # what the device says of it; None where no device was traced
    refused: int  # reads that --disallow has kept from happening
    has_gpu: bool
    has_children: bool  # whether it has started processes, which were not looked into
    unseen: tuple[str, ...]  # routes that could not be recorded

    @classmethod
    def of(cls, program: Program, disallow: bool = False, stack: bool = False, trace: bool = False) -> Syncs:
        """Runs the program.

        Args:
            program: the program.
            disallow: whether the first read that is not inside `hostsync.allow` ends it.
            stack: whether to keep which code of a library read for a line.
            trace: whether TensorFlow's profiler looks at the device meanwhile.

        Raises:
            UsageError: it was to be traced, and a profiler is running already.
        """
        guard = Guard("disallow" if disallow else "allow")
        children = _seconds_of_children()
        try:
            with reconciled(trace, stack) as (log, copies):
                exit_code = program.run(guard if disallow else None)
        except RuntimeError as error:
            raise UsageError(str(error)) from error
        return cls(
            program=program.name,
            exit_code=exit_code or (1 if guard.refused else 0),
            seconds=log.seconds,
            sites=hostsync.by_site(log.reads),
            host_ops=tuple(log.host_ops),
            copies=copies[0] if copies else None,
            refused=guard.refused,
            has_gpu=bool(tf.config.list_physical_devices("GPU")),
            has_children=_seconds_of_children() > children,
            unseen=log.unseen,
        )

    @property
    def reads(self) -> int:
        """How many there were, over all sites."""
        return sum(site.reads for site in self.sites)

    def plain(self) -> dict[str, Any]:
        """As JSON takes it, the totals and source lines with it."""
        sites = [{**dataclasses.asdict(site), "source": site.source} for site in self.sites]
        return {**dataclasses.asdict(self), "reads": self.reads, "sites": sites}


def _seconds_of_children() -> float:
    """CPU time of the processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def tables(found: Syncs, width: int = NARROW) -> list[tuple[str, pd.DataFrame]]:
    """What there is to show, each table with its title; none when there is nothing.

    Args:
        found: what was found.
        width: of the terminal, in characters.
    """
    reads = sites(found).drop(columns=_LESS_WANTED if width < NARROW else [])
    titled = [("host syncs", reads), ("host ops in graphs, which no count above includes", in_graphs(found))]
    return [(title, frame) for title, frame in titled if len(frame)]


def markdown(found: Syncs) -> str:
    """The tables and the footer, for docs."""
    return "\n".join([*(renderer.render(frame) for _, frame in tables(found)), renderer.notes(footer(found))])


def sites(found: Syncs) -> pd.DataFrame:
    """One row a line and route, those with most reads first; then what the device says, where it was asked.

    Returns:
        Texts in the columns call site, route, reads, reads/s, bytes, blocked, ready, had to wait.
    """
    rows = [_site(site, found.seconds) for site in found.sites]
    if found.copies:
        rows += _copies(found)
    columns = ["call site", "route", "reads", "reads/s", "bytes", "blocked", "ready", "had to wait"]
    return pd.DataFrame(rows, columns=columns)


def in_graphs(found: Syncs) -> pd.DataFrame:
    """One row for each line that has put an op into a graph in which the host takes part.

    Returns:
        Texts in the columns made at, kind, in function, ops.
    """
    counts: collections.Counter[tuple[str, str, str]] = collections.Counter()
    for op in dict.fromkeys(found.host_ops):  # a function that is traced again has the same ones again
        counts[f"{shorter(op.file)}:{op.line}", f"{op.kind} ({op.op})", op.function] += 1
    rows = [(*what, str(count)) for what, count in counts.items()]
    return pd.DataFrame(rows, columns=["made at", "kind", "in function", "ops"])


def footer(found: Syncs) -> list[str]:
    """What must be known to read the tables."""
    total = sum(site.seconds for site in found.sites)
    waited = sum(site.waited for site in found.sites)
    blocked = f"; {_time(total)} blocked in them" if found.reads else ""
    before = f", {_time(waited)} of it before the value was ready" if waited else ""
    lines = [f"{_syncs(found.reads)} in {found.seconds:.2f} s of {found.program}{blocked}{before}"]
    if found.refused:
        lines.append(f"{_syncs(found.refused)} refused")
    if waited:
        lines.append("Time waited is mostly work that was queued on the device before, not the price of the copy.")
    elif not found.has_gpu:
        lines.append(
            "On a CPU every value is ready and nothing is copied: the times are not those of a GPU; the counts are, "
            "but for what is on the host there as well (int32 shapes, as tape.gradient reads them)."
        )
    if found.has_children:
        lines.append("It has started other processes. What they read is not in the table.")
    lines += [f"not recorded: {route}" for route in found.unseen]
    return lines


def _syncs(count: int) -> str:
    return f"{count} host sync{'' if count == 1 else 's'}"


def _site(site: Site, seconds: float) -> tuple[str, ...]:
    return (
        "\n".join(filter(None, [f"{shorter(site.file)}:{site.line}", site.source, *_readers(site)])),
        site.route + (f"\n{site.allowed} allowed" if site.allowed else ""),
        str(site.reads),
        f"{site.reads / seconds:.3g}",
        str(site.nbytes),
        _time(site.seconds),
        str(site.reads - site.waits),
        f"{site.waits} for {_time(site.waited)}" if site.waits else "",
    )


def _readers(site: Site) -> list[str]:
    return [
        f"{count} × {' ← '.join(frame.function for frame in frames)} ({shorter(frames[0].file)}:{frames[0].line})"
        for frames, count in site.readers
    ]


def _copies(found: Syncs) -> list[tuple[str, ...]]:
    copies = found.copies
    assert copies
    rows: list[Any] = [
        ("copies from the device that a read above explains", copies.matched, ""),
        ("copies that no call site explains", len(copies.unexplained), str(copies.unexplained_nbytes)),
        ("reads of values that were on the host already", copies.python_only, ""),
        ("reads of the device without a copy", copies.uncopied, ""),
    ]
    return [(what, "profiler", str(count), "", nbytes, "", "", "") for what, count, nbytes in rows]


def _time(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{1e3 * seconds:.3g} ms" if seconds >= 1e-3 or not seconds else f"{1e6 * seconds:.3g} µs"

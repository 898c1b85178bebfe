"""Totals, tables, notes and advice of `loop-bench syncs`."""

from __future__ import annotations

import collections
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.text import Text

from loop_bench.hostsync.command.findings import Syncs
from loop_bench.hostsync.graphs import HostOp
from loop_bench.hostsync.log import Site
from loop_bench.hostsync.tracing import TracedSite
from loop_bench.report import markdown as renderer
from loop_bench.report import terminal
from loop_bench.report.texts import Texts, counted
from loop_bench.source import place

_OPTIONAL = {True: ("reads/s", "blocked", "ready"), False: ("reads/s", "ready", "had to wait")}
"""Columns that a narrow terminal leaves out, by whether any read had to wait."""

NARROW = 100
"""Width in characters below which a terminal shows fewer columns, so that call sites stay readable."""

_MOST_CALLERS, _MOST_TYPES = 3, 4


def tables(syncs: Syncs, width: int = NARROW) -> list[tuple[str, Texts]]:
    """Non-empty tables, each with its title.

    Args:
        syncs: result of the run.
        width: width of the terminal in characters.
    """
    reads = sites(syncs).without(_OPTIONAL[syncs.waited > 0] if width < NARROW else ())
    titled = [
        ("host syncs", reads),
        ("functions traced again", retraces(syncs)),
        ("host ops in graphs, which no count above includes", in_graphs(syncs)),
    ]
    return [(title, texts) for title, texts in titled if texts.rows]


def show(console: Console, syncs: Syncs, with_advice: bool = True) -> None:
    """Prints the totals first, then the tables, the advice and the notes."""
    for line in totals(syncs):
        console.print(Text(line, style="bold"), soft_wrap=True)
    for title, texts in tables(syncs, console.width):
        console.print()
        terminal.show(console, texts, [], title)
    for lines in (advice(syncs, with_advice), notes(syncs)):
        if lines:
            console.print()
            terminal.notes(console, lines)


def markdown(syncs: Syncs, with_advice: bool = True) -> str:
    """The totals, the tables, the advice and the notes as Markdown."""
    parts = [renderer.notes(totals(syncs)), *(renderer.render(texts) for _, texts in tables(syncs))]
    if lines := advice(syncs, with_advice):
        parts.append("\n".join([f"{renderer.plain(lines[0])}\n", *map(renderer.plain, lines[1:])]) + "\n")
    if lines := notes(syncs):
        parts.append(renderer.notes(lines))
    return "\n".join(parts)


def advice(syncs: Syncs, wanted: bool = True) -> list[str]:
    """Lines of advice under a heading; empty if there is no advice or it is not wanted."""
    items = syncs.advice if wanted else ()
    if not items:
        return []
    free = any(item.seconds == 0 for item in items)
    note = " (no read had to wait, so without them this run is no faster; on a GPU it may be)" if free else ""
    return [f"what to do{note}:", *(f"- {item.text}" for item in items)]


def sites(syncs: Syncs) -> Texts:
    """Table of reads by line and route, most reads first; then the copies, if the device was traced.

    Returns:
        The columns call site, route, reads, reads/s, bytes, blocked, ready, had to wait.
    """
    rows = [_site(site, syncs.seconds) for site in syncs.sites]
    if syncs.copies:
        rows += _copies(syncs)
    columns = ["call site", "route", "reads", "reads/s", "bytes", "blocked", "ready", "had to wait"]
    return Texts(columns, rows)


def retraces(syncs: Syncs) -> Texts:
    """Table of retraced functions, the most retraces first.

    Returns:
        The columns function, traces, what differed, called from.
    """
    rows = [_traced(site) for site in syncs.traced if site.again]
    return Texts(["function", "traces", "what differed", "called from"], rows)


def _traced(site: TracedSite) -> tuple[str, ...]:
    callers = [place(*caller) for caller in site.callers]
    more = [f"{len(callers) - _MOST_CALLERS} more"] if len(callers) > _MOST_CALLERS else []
    return (
        "\n".join(filter(None, [site.function, place(site.file, site.line), site.source])),
        str(site.traces),
        "\n".join(site.why),
        "\n".join([*callers[:_MOST_CALLERS], *more]),
    )


def in_graphs(syncs: Syncs) -> Texts:
    """Table of host ops by line and kind.

    Returns:
        The columns made at, kind, in function, and ops, the number of ops in one trace.
    """
    groups: dict[tuple[str, str, str], collections.Counter[HostOp]] = collections.defaultdict(collections.Counter)
    for op in syncs.host_ops:
        groups[place(op.file, op.line), op.kind, op.function][op] += 1  # an equal op appears in each trace
    rows = [
        (where, f"{kind} ({_types(ops)})", function + _number_of_traces(ops), str(len(ops)))
        for (where, kind, function), ops in groups.items()
    ]
    return Texts(["made at", "kind", "in function", "ops"], rows)


def _types(ops: Iterable[HostOp]) -> str:
    types = [*dict.fromkeys(op.op for op in ops)]
    return ", ".join(types[:_MOST_TYPES] + (["…"] if len(types) > _MOST_TYPES else []))


def _number_of_traces(ops: collections.Counter[HostOp]) -> str:
    traces = max(ops.values())
    return f"\nin {traces} traces" if traces > 1 else ""


def totals(syncs: Syncs) -> list[str]:
    """Host syncs and traces of the whole run, which the output begins with."""
    total = sum(site.seconds for site in syncs.sites)
    blocked = f"; {_time(total)} blocked in them" if syncs.reads else ""
    before = f", {_time(syncs.waited)} of it before the value was ready" if syncs.waited else ""
    seen = f"{_syncs(syncs.reads)} seen" if syncs.session_runs else _syncs(syncs.reads)
    lines = [f"{seen} in {syncs.seconds:.2f} s of {syncs.program}{blocked}{before}"]
    if syncs.traced:
        traces, functions = sum(site.traces for site in syncs.traced), len(syncs.traced)
        built = sum(site.traces for site in syncs.traced if site.in_pipeline)
        again = f", {syncs.again} of them again" if syncs.again else ""
        again += f", {built} in building pipelines of tf.data" if built else ""
        lines.append(
            f"{counted(traces, 'trace')} of {counted(functions, 'function')}{again}; "
            f"tracing took {_time(syncs.seconds_tracing)}"
        )
    if syncs.refused:
        lines.append(f"{_syncs(syncs.refused)} refused")
    return lines


def notes(syncs: Syncs) -> list[str]:
    """What must be known to read the tables."""
    lines = []
    if syncs.waited:
        lines.append("Time waited is mostly work that was queued on the device before, not the cost of the copy.")
    elif not syncs.has_gpu and syncs.reads:
        lines.append(
            "On a CPU every value is ready and nothing is copied: the times are not those of a GPU; the counts are, "
            "but for what is on the host there as well (int32 shapes, as tape.gradient reads them)."
        )
    return [*lines, *(f"not seen: {reason}" for reason in unseen(syncs))]


def unseen(syncs: Syncs) -> list[str]:
    """Descriptions of reads and host ops that the program may have had but no table shows."""
    lines = []
    if syncs.session_runs:
        runs = counted(syncs.session_runs, "run")
        lines.append(f"reads of TensorFlow 1 sessions: {runs} of tf.compat.v1.Session")
    if syncs.has_children:
        lines.append("reads in other processes that the program started")
    if syncs.graphs_before:
        graphs = counted(syncs.graphs_before, "graph")
        lines.append(f"host ops in graphs that were traced before the program began: {graphs}")
    return [*lines, *syncs.unseen]


def _syncs(count: int) -> str:
    return counted(count, "host sync")


def _site(site: Site, seconds: float) -> tuple[str, ...]:
    return (
        "\n".join(filter(None, [place(site.file, site.line), site.source, *_readers(site)])),
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
        f"{count} × {' ← '.join(frame.function for frame in frames)} ({place(frames[0].file, frames[0].line)})"
        for frames, count in site.readers
    ]


def _copies(syncs: Syncs) -> list[tuple[str, ...]]:
    copies = syncs.copies
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

"""Extracts busy time and copies of a stretch of training from a trace of TensorFlow's profiler."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

from loop_bench.experiments.profile import events, figures
from loop_bench.experiments.telemetry.record import Copies, CopyKind, TracedStretch
from loop_bench.hostsync.trace import Copy, of_kinds, trace_started

_PS = 1e-12


def of_trace(space: Any, batches: int) -> TracedStretch:
    """Summarises the stretch that is marked in a trace.

    Args:
        space: a `tensorflow.tsl.profiler.protobuf.xplane_pb2.XSpace`.
        batches: number of batches in the stretch.

    Raises:
        ProfilerError: no stretch is marked.
    """
    marked = events.traced(space)
    spent = figures.account(marked.ops, marked.begin, marked.end)
    origin = trace_started(space) * 1e-9
    begin, end = (origin + moment * _PS for moment in (marked.begin, marked.end))
    return TracedStretch(
        device=marked.device,
        batches=batches,
        seconds=(marked.end - marked.begin) * _PS,
        busy=spent.busy * _PS,
        longest_gap=float(spent.gaps.max(initial=0.0)) * _PS,
        copies=by_kind(copy for copy in of_kinds(space, *get_args(CopyKind)) if begin <= copy.started < end),
        problems=marked.problems,
    )


def by_kind(traced: Iterable[Copy]) -> tuple[Copies, ...]:
    """Sums copies by kind; kinds without copies are omitted."""
    copies = list(traced)
    groups = {kind: [copy for copy in copies if copy.kind == kind] for kind in get_args(CopyKind)}
    return tuple(
        Copies(
            kind=kind,
            count=len(group),
            nbytes=sum(copy.nbytes for copy in group),
            seconds=sum(copy.seconds for copy in group),
        )
        for kind, group in groups.items()
        if group
    )

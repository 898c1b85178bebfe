"""A short stretch under TensorFlow's profiler: how long the device was busy, and what was copied."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from bench.experiments.profile import events, figures, trial
from bench.experiments.telemetry.record import Copies, CopyKind, TracedStretch
from bench.hostsync import copies, profiler
from bench.hostsync.copies import Copy
from bench.loop import TrainingLoop

_PS = 1e-12


def trace(loop: TrainingLoop, batches: int) -> TracedStretch:
    """Traces so many batches.

    Raises:
        ProfilerError: there is no trace to be had.
    """
    with tempfile.TemporaryDirectory(prefix="telemetry-") as folder:
        trial.run_traced(loop, batches, Path(folder), events.EXPENSIVE)
        return of_trace(profiler.read(Path(folder)), batches)


def of_trace(space: Any, batches: int) -> TracedStretch:
    """What a trace says of the stretch that is marked in it.

    Args:
        space: a `tensorflow.tsl.profiler.protobuf.xplane_pb2.XSpace`.
        batches: of the stretch.

    Raises:
        ProfilerError: no stretch is marked.
    """
    found = events.traced(space)
    spent = figures.account(found.ops, found.begin, found.end)
    origin = copies.trace_started(space) * 1e-9
    begin, end = (origin + moment * _PS for moment in (found.begin, found.end))
    return TracedStretch(
        device=found.device,
        batches=batches,
        seconds=(found.end - found.begin) * _PS,
        busy=spent.busy * _PS,
        longest_gap=float(spent.gaps.max(initial=0.0)) * _PS,
        copies=by_kind(copy for copy in copies.of_kinds(space, *get_args(CopyKind)) if begin <= copy.started < end),
        problems=found.problems,
    )


def by_kind(found: Iterable[Copy]) -> tuple[Copies, ...]:
    """Copies taken together by their kind."""
    listed = list(found)
    groups = {kind: [copy for copy in listed if copy.kind == kind] for kind in get_args(CopyKind)}
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

"""Computes busy time, gaps and time per op of a traced stretch from the times of its ops; pure functions."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import pandas as pd

from loop_bench.experiments.profile.record import Device, Gaps, OpTime, Profile, Timed

_PS: Final = 1e-12


@dataclasses.dataclass(frozen=True, slots=True)
class OpEvent:
    """One run of one op; times are whole picoseconds, counted from the start of the trace."""

    name: str
    kind: str
    thread: int  # unique number of the thread or stream
    begin: int
    left: int  # when its thread returned from it
    end: int  # when it was complete; not before `left`


@dataclasses.dataclass(frozen=True)
class Traced:
    """The ops of a stretch, as its trace shows them."""

    device: Device
    ops: tuple[OpEvent, ...]  # that began in the stretch
    begin: int  # of the stretch, in ps
    end: int
    problems: tuple[str, ...]  # errors and warnings that the trace reports


@dataclasses.dataclass(frozen=True)
class Account:
    """Time of a stretch, split into gaps and ops; in ps, as floats."""

    busy: float  # time with at least one op in flight
    gaps: np.ndarray  # [gaps] length of each time without one
    in_flight: np.ndarray  # [ops] time of each op, less that of the ops inside it
    apportioned: np.ndarray  # [ops] that time, with each moment divided evenly among the ops in flight; sums to busy


def summary(factory: str, events: Traced, traced: Timed, untraced: tuple[Timed, ...]) -> Profile:
    """Summarises a trace for the record.

    Args:
        factory: the loop's factory.
        events: the ops in the trace.
        traced: wall-clock and CPU time of the traced stretch.
        untraced: the same of the stretches before and after it.
    """
    spent = account(events.ops, events.begin, events.end)
    frame = pd.DataFrame(
        {
            "name": [op.name for op in events.ops],
            "kind": [op.kind for op in events.ops],
            "in_flight": spent.in_flight * _PS,
            "apportioned": spent.apportioned * _PS,
        }
    )
    return Profile(
        factory=factory,
        device=events.device,
        untraced=untraced,
        traced=traced,
        stretch=(events.end - events.begin) * _PS,
        busy=spent.busy * _PS,
        gaps=Gaps(count=len(spent.gaps), longest=spent.gaps.max(initial=0.0) * _PS, seconds=spent.gaps.sum() * _PS),
        ops=_grouped(frame, "name"),
        kinds=_grouped(frame.assign(name=frame["kind"]), "kind"),
        problems=events.problems,
    )


def account(ops: Sequence[OpEvent], begin: int, end: int) -> Account:
    """Splits the time of a stretch into gaps and ops.

    Args:
        ops: in any order; parts of them outside the stretch do not count.
        begin: begin of the stretch, in ps.
        end: end of the stretch, in ps.
    """
    parts = np.array([*own_parts(ops)], np.int64).reshape(-1, 3)  # [parts, (op, begin, end)]
    parts[:, 1:] = parts[:, 1:].clip(begin, end)
    parts = parts[parts[:, 1] < parts[:, 2]]
    moments = np.unique([begin, end, *parts[:, 1], *parts[:, 2]])  # [moments]
    began, ended = np.searchsorted(moments, parts[:, 1]), np.searchsorted(moments, parts[:, 2])
    changes = np.bincount(began, minlength=len(moments)) - np.bincount(ended, minlength=len(moments))
    depth = np.cumsum(changes)[:-1]  # [moments - 1] ops in flight from one moment to the next
    widths = np.diff(moments).astype(float)
    shares = np.concatenate([[0.0], np.cumsum(np.where(depth > 0, widths / np.maximum(depth, 1), 0.0))])
    return Account(
        busy=float(widths[depth > 0].sum()),
        gaps=widths[depth == 0],
        in_flight=np.bincount(parts[:, 0], parts[:, 2] - parts[:, 1], len(ops)),
        apportioned=np.bincount(parts[:, 0], shares[ended] - shares[began], len(ops)),
    )


def own_parts(ops: Sequence[OpEvent]) -> Iterator[tuple[int, int, int]]:
    """The times in which each op was in flight and no other op ran inside it on the same thread.

    Yields:
        The index of an op, and begin and end of one such time; an op may have several, or none.
    """
    by_thread = sorted(range(len(ops)), key=lambda index: (ops[index].thread, ops[index].begin, -ops[index].left))
    for _, indices in itertools.groupby(by_thread, key=lambda index: ops[index].thread):
        yield from _of_thread(ops, indices)


def _of_thread(ops: Sequence[OpEvent], indices: Iterable[int]) -> Iterator[tuple[int, int, int]]:
    """The own parts of the ops of one thread, given in the order in which they began."""
    running: list[int] = []  # each inside the previous one
    since: dict[int, int] = {}  # begin of the current own part of each running op
    for index in indices:
        op = ops[index]
        while running and ops[running[-1]].left <= op.begin:
            finished = running.pop()
            yield finished, since[finished], ops[finished].end
        if running:
            outer = running[-1]
            yield outer, since[outer], op.begin
            since[outer] = op.left
        running.append(index)
        since[index] = op.begin
    for finished in reversed(running):
        yield finished, since[finished], ops[finished].end


def _grouped(frame: pd.DataFrame, by: str) -> tuple[OpTime, ...]:
    """Sums the ops by name or kind, the largest share of the stretch first."""
    groups = frame.groupby(by, sort=True)
    summed = groups.agg(
        name=("name", "first"),
        kind=("kind", "first"),
        count=("name", "size"),
        in_flight=("in_flight", "sum"),
        apportioned=("apportioned", "sum"),
    ).sort_values("apportioned", ascending=False, kind="stable")
    return tuple(OpTime(**{str(key): value for key, value in row.items()}) for row in summed.to_dict("records"))

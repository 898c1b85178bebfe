"""How much of a traced stretch ops take: pure functions of when they ran."""

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
    thread: int  # or stream, by a number that is its own
    begin: int
    left: int  # when its thread was through with it
    end: int  # when it was complete; not before `left`


@dataclasses.dataclass(frozen=True)
class Traced:
    """What a trace shows of a stretch."""

    device: Device
    ops: tuple[OpEvent, ...]  # that began in it
    begin: int  # of the stretch, in ps
    end: int
    problems: tuple[str, ...]  # that the trace says it has


@dataclasses.dataclass(frozen=True)
class Account:
    """Where the time of a stretch went; times in ps, as floats."""

    busy: float  # while at least one op was in flight
    gaps: np.ndarray  # [gaps] the times when none was
    in_flight: np.ndarray  # [ops] the time of each op less that of the ops inside it
    apportioned: np.ndarray  # [ops] that time, each moment of it divided evenly among the ops in flight; sums to busy


def summary(factory: str, found: Traced, traced: Timed, untraced: tuple[Timed, ...]) -> Profile:
    """Sums a trace up as the record keeps it.

    Args:
        factory: of the loop.
        found: what the trace shows.
        traced: the traced stretch by the clock.
        untraced: the stretches beside it.
    """
    spent = account(found.ops, found.begin, found.end)
    frame = pd.DataFrame(
        {
            "name": [op.name for op in found.ops],
            "kind": [op.kind for op in found.ops],
            "in_flight": spent.in_flight * _PS,
            "apportioned": spent.apportioned * _PS,
        }
    )
    return Profile(
        factory=factory,
        device=found.device,
        untraced=untraced,
        traced=traced,
        stretch=(found.end - found.begin) * _PS,
        busy=spent.busy * _PS,
        gaps=Gaps(count=len(spent.gaps), longest=spent.gaps.max(initial=0.0) * _PS, seconds=spent.gaps.sum() * _PS),
        ops=_grouped(frame, "name"),
        kinds=_grouped(frame.assign(name=frame["kind"]), "kind"),
        problems=found.problems,
    )


def account(ops: Sequence[OpEvent], begin: int, end: int) -> Account:
    """Where the time of a stretch went.

    Args:
        ops: in any order; the parts of them that lie outside the stretch do not count.
        begin: of the stretch, in ps.
        end: of the stretch, in ps.
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
    """When each op was in flight and no other op ran inside it, on the same thread.

    Yields:
        The number of an op, begin and end of one such time; an op may have several, or none.
    """
    by_thread = sorted(range(len(ops)), key=lambda each: (ops[each].thread, ops[each].begin, -ops[each].left))
    for _, numbers in itertools.groupby(by_thread, key=lambda each: ops[each].thread):
        yield from _of_thread(ops, numbers)


def _of_thread(ops: Sequence[OpEvent], numbers: Iterable[int]) -> Iterator[tuple[int, int, int]]:
    """Own parts of the ops of one thread, which come in the order in which they began."""
    running: list[int] = []  # each inside the one before
    since: dict[int, int] = {}  # from when on the time of a running op is its own
    for number in numbers:
        op = ops[number]
        while running and ops[running[-1]].left <= op.begin:
            done = running.pop()
            yield done, since[done], ops[done].end
        if running:
            outer = running[-1]
            yield outer, since[outer], op.begin
            since[outer] = op.left
        running.append(number)
        since[number] = op.begin
    for done in reversed(running):
        yield done, since[done], ops[done].end


def _grouped(frame: pd.DataFrame, by: str) -> tuple[OpTime, ...]:
    """The ops together that have the same name or kind, the most of the stretch first."""
    groups = frame.groupby(by, sort=True)
    summed = groups.agg(
        name=("name", "first"),
        kind=("kind", "first"),
        count=("name", "size"),
        in_flight=("in_flight", "sum"),
        apportioned=("apportioned", "sum"),
    ).sort_values("apportioned", ascending=False, kind="stable")
    return tuple(OpTime(**{str(key): value for key, value in row.items()}) for row in summed.to_dict("records"))

"""What was seen of a run, in the words of a reason: numbers that are not finite, and updates that were skipped."""

from __future__ import annotations

from collections.abc import Collection

from loop_bench.experiments.survival.kinds import KINDS, Kind
from loop_bench.experiments.survival.observation import Observation
from loop_bench.experiments.survival.updates import StruckUpdates

_STATES: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind not in ("weights", "metrics"))

_MOST_NAMED = 6
"""Variables in a reason: a large network's optimizer has hundreds."""


def at_a_crash(seen: Observation) -> str:
    """What a loop that has crashed has left behind; nothing of a process that died."""
    if not seen.steps:
        return ""
    if seen.bad_weights:
        return f" (with {_weights(seen)})"
    return f" (with {bad_state(seen, seen.bad_state)})" if seen.bad_state else " (with every variable finite)"


def bad_weights(seen: Observation) -> str:
    """`4 weights not finite from batch 11 on; other state first at batch 10`."""
    return f"{_weights(seen)} from {_first(seen, 'weights')} on{_states_at_any_time(seen)}"


def weights_bad_at_times(seen: Observation) -> str:
    """Words for weights that are finite at the end, and were not shortly before it."""
    first = _first(seen, "weights")
    return f"weights not finite now and again, from {first} to the end{_states_at_any_time(seen)}"


def bad_state(seen: Observation, bad: Collection[str]) -> str:
    """`2 variables of optimizer state (first at batch 10) not finite`.

    Args:
        seen: the run.
        bad: of its variables that are not trained, those that are to be told.
    """
    known = set(seen.optimizer_state)
    counts = dict(zip(_STATES, (len(known & {*bad}), len({*bad} - known)), strict=True))
    told = [
        f"{_counted(count, 'variable')} of {kind} (first at {_first(seen, kind)})"
        for kind, count in counts.items()
        if count
    ]
    return f"{' and '.join(told)} not finite"


def apart(seen: Observation, variables: Collection[str]) -> str:
    """`the replicas of 4 variables differ, from batch 11 on, with finite numbers`."""
    count = _counted(len(variables), "variable")
    return f"the replicas of {count} differ, from batch {seen.first_apart} on, with finite numbers"


def skipped(updates: StruckUpdates) -> str:
    """`1 update, bit for bit as before` of all that a fault was in, `skipped 1 of 2 updates` of some."""
    count = len(updates.skipped)
    if updates.skipped != updates.batches:
        return f"skipped {count} of {_counted(len(updates.batches), 'update')}"
    if not updates.moved:
        return f"{_counted(count, 'update')}, bit for bit as before"
    more = len(updates.moved) - _MOST_NAMED
    named = ", ".join(updates.moved[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"{_counted(count, 'update')}, but {named} moved"


def _weights(seen: Observation) -> str:
    return f"{_counted(len(seen.bad_weights), 'weight')} not finite"


def _states_at_any_time(seen: Observation) -> str:
    return "".join(f"; {kind} first at {_first(seen, kind)}" for kind in _STATES if kind in seen.first_bad_of)


def _first(seen: Observation, kind: Kind) -> str:
    return f"batch {seen.first_bad_of.get(kind)}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"

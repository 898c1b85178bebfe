"""Words for the reasons of outcomes: numbers that are not finite, replicas that differ, skipped updates."""

from __future__ import annotations

from collections.abc import Collection

from loop_bench.experiments.survival.kinds import KINDS, Kind
from loop_bench.experiments.survival.observation import Observation
from loop_bench.experiments.survival.updates import StruckUpdates
from loop_bench.report.texts import counted

_STATES: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind not in ("weights", "metrics"))

_MOST_NAMED = 6
"""Most variables that a reason names: the optimizer of a large network has hundreds."""


def at_a_crash(seen: Observation) -> str:
    """Words for the state of a crashed loop's variables; empty if its process died."""
    if not seen.steps:
        return ""
    if seen.bad_weights:
        return f" (with {_weights(seen)})"
    return f" (with {bad_state(seen, seen.bad_state)})" if seen.bad_state else " (with every variable finite)"


def bad_weights(seen: Observation) -> str:
    """Words for weights that are not finite: `4 weights not finite from batch 11 on; other state first at batch 10`."""
    return f"{_weights(seen)} from {_first(seen, 'weights')} on{_states_at_any_time(seen)}"


def weights_bad_at_times(seen: Observation) -> str:
    """Words for weights that are finite at the end, but were not shortly before it."""
    first = _first(seen, "weights")
    return f"weights intermittently not finite, from {first} to the end{_states_at_any_time(seen)}"


def bad_state(seen: Observation, bad: Collection[str]) -> str:
    """Words for state that is not finite: `2 variables of optimizer state (first at batch 10) not finite`.

    Args:
        seen: observations of the run.
        bad: the variables to describe, none of them trained.
    """
    of_optimizer = set(seen.optimizer_state)
    counts = dict(zip(_STATES, (len(of_optimizer & {*bad}), len({*bad} - of_optimizer)), strict=True))
    parts = [
        f"{counted(count, 'variable')} of {kind} (first at {_first(seen, kind)})"
        for kind, count in counts.items()
        if count
    ]
    return f"{' and '.join(parts)} not finite"


def apart(seen: Observation, variables: Collection[str]) -> str:
    """Words for diverged replicas: `the replicas of 4 variables differ, from batch 11 on, with finite numbers`."""
    count = counted(len(variables), "variable")
    return f"the replicas of {count} differ, from batch {seen.first_apart} on, with finite numbers"


def skipped(updates: StruckUpdates) -> str:
    """Words for skipped updates: `1 update, bit for bit as before` if all were, else `skipped 1 of 2 updates`."""
    count = len(updates.skipped)
    if updates.skipped != updates.batches:
        return f"skipped {count} of {counted(len(updates.batches), 'update')}"
    if not updates.moved:
        return f"{counted(count, 'update')}, bit for bit as before"
    more = len(updates.moved) - _MOST_NAMED
    named = ", ".join(updates.moved[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"{counted(count, 'update')}, but {named} moved"


def _weights(seen: Observation) -> str:
    return f"{counted(len(seen.bad_weights), 'weight')} not finite"


def _states_at_any_time(seen: Observation) -> str:
    return "".join(f"; {kind} first at {_first(seen, kind)}" for kind in _STATES if kind in seen.first_bad_of)


def _first(seen: Observation, kind: Kind) -> str:
    return f"batch {seen.first_bad_of.get(kind)}"

"""What became of a loop that had a fault: it is not enough that it runs on with finite numbers."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from loop_bench.experiments.survival import reasons
from loop_bench.experiments.survival.fault import Fault
from loop_bench.experiments.survival.observation import WATCHED, Observation
from loop_bench.experiments.survival.plan import SurvivalPlan
from loop_bench.experiments.survival.record import ALIVE, PACE, Outcome, Survival, SurvivalRecord, Undisturbed
from loop_bench.experiments.survival.trial import SurvivalTrial, observed
from loop_bench.experiments.survival.updates import StruckUpdates
from loop_bench.jobs.kinds import ran_on
from loop_bench.jobs.trial import Result
from loop_bench.settings import ARMS

FROZEN_BELOW = 0.1
"""A loop whose weights move (in the median) less than this share of what they move without the fault is frozen.

Adam's update is its first moment over the root of its second. One gradient k times too large leaves a second
moment of about k**2 that decays by 0.1% a batch, so that thousands of updates are too small by about k.
"""

DIVERGED_ABOVE = 10.0
"""And one whose weights still move this many times as far is not where it was, whatever its metrics say."""

SMOOTHED = 10
"""Batches over whose mean a metric is compared with that of the clean run."""

WITHIN_NOISE, WITHIN_REACH = 2.0, 0.05
"""A metric is back when its mean lies, from then on, no farther from that of the clean run than twice its noise from
batch to batch, or 5% of all that it moves in the clean run, whichever is more."""

PACE_BACK = 0.5
"""And the weights are back when they move, from then on, at least this share of what they move in the clean run.
Metrics alone do not tell: those of a generator hardly change in 70 batches, whether it learns or not."""

LEAST_REACH = 0.01
"""A metric that never moves in the clean run may differ by this share of its value before that counts."""


def record(
    plan: SurvivalPlan,
    results: Mapping[str, Result[Observation]],
    environment: dict[str, Any],
    shown: tuple[str, ...] = (),
) -> SurvivalRecord:
    """Judges the results of a plan.

    Args:
        plan: all of whose trials have a result.
        results: by the keys of the trials.
        environment: in which they were.
        shown: faults whose metrics are kept batch by batch.
    """

    def seen(trial: SurvivalTrial) -> Observation:
        return observed(results[trial.key])

    survivals, undisturbed, curves = {}, {}, {}
    for name, loop in plan.loops.items():
        cleans = {seed: seen(plan.clean(name, seed)) for seed in plan.seeds_of(name)}
        survivals[name] = tuple(
            judge(seen(plan.faulty(name, seed, fault)), cleans[seed], Fault.parse(fault), seed)
            for fault in loop.faults
            for seed in plan.seeds_of(name)
        )
        if plan.epochs and name in ARMS:
            undisturbed[name] = tuple(
                Undisturbed.of(seed, seen(plan.undisturbed(name, seed))) for seed in plan.seeds_of(name)
            )
        kept = [fault for fault in shown if fault in loop.faults]
        if kept:
            curves[name] = {"": _metrics(list(cleans.values()))}
        for fault in kept:
            runs = {seed: seen(plan.faulty(name, seed, fault)) for seed in plan.seeds_of(name)}
            # A process that was killed has left no steps.
            paces = [pace(run, cleans[seed], Fault.parse(fault)) if run.steps else () for seed, run in runs.items()]
            curves[name][fault] = {PACE: _short(paces), **_metrics(list(runs.values()))}
    return SurvivalRecord(
        created=datetime.datetime.now(datetime.timezone.utc),
        environment=environment,
        plan=plan,
        seconds=sum(each.seconds for each in results.values()),
        survivals=survivals,
        undisturbed=undisturbed,
        curves=curves,
        ran_on=ran_on(plan.trials(), results),
    )


def judge(seen: Observation, clean: Observation, fault: Fault, seed: int = 0) -> Survival:
    """The outcome of a run with a fault, against the run of the same loop from the same seed without it.

    Args:
        seen: the run with it.
        clean: the run without it, at least as long.
        fault: what went wrong.
        seed: of both.
    """
    movement, recovery, updates = math.nan, None, StruckUpdates.of(seen, clean, fault, seed)
    outcome: Outcome
    if problem := _problem(clean):
        outcome, reason = "not tested", problem
    elif seen.ended == "not tested":
        outcome, reason = "not tested", seen.why
    elif seen.ended == "timed out":
        outcome, reason = "timed out", seen.why
    elif seen.ended == "crashed":
        outcome, reason = "crashed", seen.why + reasons.at_a_crash(seen)
    elif not seen.struck:
        outcome, reason = "not tested", "the fault did not happen"
    elif clean.batches < seen.batches:
        outcome, reason = "not tested", f"the run without the fault has {clean.batches} batches, not {seen.batches}"
    else:
        movement = _movement(seen, clean, fault)
        outcome, reason = _of_whole(seen, clean, movement, updates)
        if outcome in ALIVE:
            applied = [batch for batch in updates.batches if batch + 1 < seen.batches]
            recovery = _recovery(seen, clean, fault, max([seen.struck[-1], *applied]))
            reason += f", back after {recovery} batches" if recovery is not None else ", not back yet"
    looked_at = outcome != "not tested" and bool(seen.steps)  # a process that was ended shows nothing any more
    return Survival(
        fault=str(fault),
        seed=seed,
        outcome=outcome,
        reason=reason,
        weights_finite=not seen.bad_weights if looked_at else None,
        state_finite=not seen.bad_state if looked_at else None,
        struck=len(seen.struck),
        updates=len(updates.batches),
        skipped=len(updates.skipped),
        moved_in_skips=updates.moved,
        first_bad=seen.first_bad,
        first_bad_of=seen.first_bad_of,
        worst=seen.worst,
        recovery=recovery,
        movement=movement,
        batches=seen.batches,
    )


def _problem(clean: Observation) -> str | None:
    """Why nothing can be compared with a clean run."""
    if clean.ended != "whole":
        return f"it does not come through without any fault: {clean.why}"
    broken = [*clean.bad_weights, *(key for key, values in clean.metrics.items() if not np.all(np.isfinite(values)))]
    return f"{broken[0]} is not finite without any fault" if broken else None


def _of_whole(seen: Observation, clean: Observation, movement: float, updates: StruckUpdates) -> tuple[Outcome, str]:
    """The outcome of a loop that ran to the end, and its reason; the worst first."""
    if seen.bad_weights:
        return "poisoned weights", reasons.bad_weights(seen)
    if _is_bad_at_times(seen, clean):
        return "poisoned weights", reasons.weights_bad_at_times(seen)
    if broken := set(seen.bad_state) - set(clean.bad_state):
        return "poisoned state", f"{reasons.bad_state(seen, broken)}, with finite weights"
    watched = {key: np.array(values[-WATCHED:]) for key, values in seen.metrics.items() if values}
    if endless := [key for key, values in watched.items() if not np.all(np.isfinite(values))]:
        return "poisoned state", f"{', '.join(endless)} not finite, with finite weights"
    for key, values, usual in _compared(seen, clean):
        level, expected = float(np.mean(values[-WATCHED:])), float(np.mean(usual[-WATCHED:]))
        if abs(level - expected) > max(float(np.ptp(usual)), LEAST_REACH * abs(expected)):
            return "diverged", f"{key} is {level:.3g}, without the fault {expected:.3g}"
    if math.isnan(movement):
        return "not tested", "the weights that it hits do not move without it either"
    if movement > DIVERGED_ABOVE:
        return "diverged", f"the weights move {movement:.0f} times as far as without it"
    if movement < FROZEN_BELOW:
        return "frozen", f"finite, but the weights move only {movement:.1%} as far as without it"
    moving = f"the weights move {movement:.0%} as far as without it"
    if not updates.skipped:
        return "survived", moving
    return "skipped" if updates.skipped == updates.batches else "survived", f"{reasons.skipped(updates)}; {moving}"


def _is_bad_at_times(seen: Observation, clean: Observation) -> bool:
    """Whether a weight that is finite without the fault was not in one of the last batches."""
    never_finite = {name for name, steps in clean.steps.items() if not all(map(math.isfinite, steps))}
    watched = [step for name, steps in seen.steps.items() for step in steps[-WATCHED:] if name not in never_finite]
    return not all(map(math.isfinite, watched))


def _movement(seen: Observation, clean: Observation, fault: Fault) -> float:
    """How far the attacked weights moved at the end, as a share of how far they move without the fault.

    The way that they went, batch by batch, and the median over the variables: an embedding's rows that had no
    gradient when the fault struck go on as if nothing had happened, and there can be more of them than of all other
    weights together.
    """
    shares = []
    for name, steps in seen.steps.items():
        usual = sum(clean.steps[name][: seen.batches][-WATCHED:])
        if fault.hits(name) and usual > 0:
            shares.append(sum(steps[-WATCHED:]) / usual)
    return float(np.median(shares)) if shares else math.nan


def pace(seen: Observation, clean: Observation, fault: Fault) -> tuple[float, ...]:
    """How far the attacked weights moved in each batch, as a share of how far they move in the mean without the fault.

    The median over the variables, [batches]; NaN where they are not finite.
    """
    usual = {name: float(np.mean(steps)) for name, steps in clean.steps.items() if fault.hits(name)}
    shares = [np.array(seen.steps[name]) / mean for name, mean in usual.items() if 0 < mean < math.inf]
    return tuple(np.median(np.array(shares), axis=0).tolist()) if shares else ()


def _recovery(seen: Observation, clean: Observation, fault: Fault, last: int) -> int | None:
    """Batches after batch `last` until weights and metrics were back where the clean run is, and stayed.

    None if never, or if there is no metric to tell it by.
    """
    metrics = [_back(values, usual, last) for _, values, usual in _compared(seen, clean) if len(values) > last + 1]
    moved, usual = (_smoothed(np.array(pace(each, clean, fault))[last + 1 : seen.batches]) for each in (seen, clean))
    far = ~(moved >= PACE_BACK * usual)  # NaN is far
    found = [_first_of_rest(far), *metrics]
    if not metrics or any(each is None for each in found):
        return None
    return max(each for each in found if each is not None)


def _compared(seen: Observation, clean: Observation) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """The metrics of both, [batches] with the fault and without; a loop may leave out the value of a batch."""
    for key, values in seen.metrics.items():
        length = min(len(values), len(clean.metrics.get(key, ())))
        if length:
            yield key, np.array(values[:length]), np.array(clean.metrics[key][:length])


def _back(values: np.ndarray, usual: np.ndarray, last: int) -> int | None:
    """Batches after `last` from which on the smoothed `values` [batches] keep to the `usual` ones; None if never."""
    noise = float(np.median(np.abs(np.diff(usual)))) / (math.sqrt(2) * 0.6745)  # of a normal's absolute difference
    near = max(WITHIN_NOISE * noise, WITHIN_REACH * float(np.ptp(usual)))
    after = slice(last + 1, None)
    with np.errstate(invalid="ignore"):
        far = ~(np.abs(_smoothed(values[after]) - _smoothed(usual[after])) <= near)  # NaN is far
    return _first_of_rest(far)


def _smoothed(values: np.ndarray) -> np.ndarray:
    """The mean of each value and up to SMOOTHED - 1 before it: [n] of [n]."""
    return pd.Series(values).rolling(SMOOTHED, min_periods=1).apply(np.mean, raw=True).to_numpy()


def _first_of_rest(far: Sequence[bool] | np.ndarray) -> int | None:
    """The first position from which on nothing is far; None if the last one is."""
    positions = np.flatnonzero(far)
    if not positions.size:
        return 0
    first = int(positions[-1]) + 1
    return first if first < len(far) else None


def _metrics(runs: list[Observation]) -> dict[str, tuple[tuple[float, ...], ...]]:
    names = dict.fromkeys(name for run in runs for name in run.metrics)
    return {name: _short([run.metrics.get(name, ()) for run in runs]) for name in names}


def _short(series: Iterable[Iterable[float]]) -> tuple[tuple[float, ...], ...]:
    """Four digits of the numbers: they are for a picture."""
    return tuple(tuple(float(f"{value:.4g}") for value in each) for each in series)

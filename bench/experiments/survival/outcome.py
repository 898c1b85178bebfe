"""Judges the outcome of a run with a fault; to continue with finite numbers is not enough to survive."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from typing_extensions import Self

from loop_bench.experiments.survival import reasons
from loop_bench.experiments.survival.clean_run import SMOOTHED, CleanRun, UsualMetric
from loop_bench.experiments.survival.fault import Fault
from loop_bench.experiments.survival.observation import WATCHED, Observation
from loop_bench.experiments.survival.plan import SurvivalPlan
from loop_bench.experiments.survival.record import ALIVE, PACE, Curves, Outcome, Survival, SurvivalRecord, Undisturbed
from loop_bench.experiments.survival.trial import SurvivalTrial, observed
from loop_bench.experiments.survival.updates import StruckUpdates
from loop_bench.jobs.kinds import ran_on
from loop_bench.jobs.machines import Machine
from loop_bench.jobs.trial import Result
from loop_bench.settings import ARMS

FROZEN_BELOW = 0.1
"""A loop is frozen if its weights move (in the median) less than this share of their movement without the fault.

Adam's update is its first moment over the root of its second. One gradient that is k times too large leaves a second
moment of about k**2, which decays by 0.1% a batch, so that thousands of updates are too small by a factor of about k.
"""

DIVERGED_ABOVE = 10.0
"""A loop has diverged if its weights still move this many times as far as without the fault, whatever its metrics."""

PACE_BACK = 0.5
"""Weights have recovered when they move at least this share of their movement in the clean run, from then on.

Metrics alone do not show this: those of a generator hardly change in 70 batches, whether it learns or not."""

LEAST_REACH = 0.01
"""Tolerance for a metric that never moves in the clean run, as a share of its value."""

CURVED = 100
"""Most seeds whose metrics are kept batch by batch: more would not make medians and quartiles smoother, but would
dominate the size of the record."""

MEANINGS: Mapping[Outcome, str] = {
    "skipped": "The bad update did not happen: in the batch whose update it should have been, every weight that the "
    "fault could hit stayed finite and unchanged, bit for bit, and training went on. Other state that changed "
    "nevertheless (a step counter, decaying moments) is named.",
    "survived": f"Every number is finite, and the weights that were hit still move at least {FROZEN_BELOW:.0%} as far "
    "as in the clean run.",
    "frozen": f"Every number is finite, but the weights that were hit move less than {FROZEN_BELOW:.0%} as far as in "
    "the clean run. After one spike, Adam's second moment is so large that thousands of updates are too small.",
    "diverged": "Every number is finite, but a metric is farther from the clean run than it ever travels in it, or the "
    f"weights move more than {DIVERGED_ABOVE:g} times as far.",
    "replicas differ": "Every number is finite, but replicas of a variable that held the same bits no longer do.",
    "poisoned state": "The weights are finite; optimizer state, other state or a metric is not.",
    "poisoned weights": f"Weights are not finite, at the end or in one of the last {WATCHED} batches.",
    "crashed": "The loop raised an exception, or its process died.",
    "timed out": "The run exceeded its time limit and was ended.",
    "not tested": "The fault could not be made to happen; the reason is given.",
}
"""What was observed of a run with each outcome, from best to worst; a clean run is one from the same seed without the
fault."""

Series = Mapping[str, tuple[float, ...]]
"""Series of one run by name, [batches] each."""


def record(
    plan: SurvivalPlan,
    results: Mapping[str, Result[Observation]],
    environment: dict[str, Any],
    shown: tuple[str, ...] = (),
) -> SurvivalRecord:
    """Judges the results of a plan.

    Args:
        plan: the plan; all its trials have a result.
        results: results by the keys of the trials.
        environment: the environment of the trials.
        shown: faults whose metrics are kept batch by batch, for the first CURVED seeds.
    """
    judged = {name: JudgedLoop.of(plan, name, results, shown) for name in plan.loops}
    return SurvivalRecord(
        created=datetime.datetime.now(datetime.timezone.utc),
        environment=environment,
        plan=plan,
        seconds=sum(loop.seconds for loop in judged.values()),
        survivals={name: loop.survivals for name, loop in judged.items()},
        undisturbed={name: loop.undisturbed for name, loop in judged.items() if loop.undisturbed},
        curves={name: loop.curves for name, loop in judged.items() if loop.curves},
        ran_on=ran_on(itertools.chain(*(loop.elsewhere for loop in judged.values()))),
    )


@dataclasses.dataclass(frozen=True)
class JudgedLoop:
    """The part of a survival record that belongs to one loop."""

    survivals: tuple[Survival, ...]  # by fault, then by seed
    undisturbed: tuple[Undisturbed, ...]
    curves: Curves
    seconds: float  # of the loop's processes together
    elsewhere: tuple[tuple[str, Machine], ...]  # title and machine of runs on other machines

    @classmethod
    def of(
        cls, plan: SurvivalPlan, name: str, results: Mapping[str, Result[Observation]], shown: tuple[str, ...]
    ) -> Self:
        """Judges a loop's runs seed by seed; reads each result once, and holds those of one seed at a time."""
        seconds, faults = 0.0, {text: Fault.parse(text) for text in plan.loops[name].faults}
        elsewhere: list[tuple[str, Machine]] = []

        def seen(trial: SurvivalTrial) -> Observation:
            nonlocal seconds
            result = results[trial.key]
            seconds += result.seconds
            if result.machine:
                elsewhere.append((trial.title, result.machine))
            return observed(result)

        survivals: dict[str, list[Survival]] = {text: [] for text in faults}
        kept = [text for text in shown if text in faults]
        drawn: dict[str, list[Series]] = {text: [] for text in (["", *kept] if kept else [])}
        undisturbed = []
        for seed in plan.seeds_of(name):
            clean = CleanRun(seen(plan.clean(name, seed)))
            is_drawn = seed in plan.seeds_of(name)[:CURVED]
            if kept and is_drawn:
                drawn[""].append(clean.seen.metrics)
            for text, fault in faults.items():
                run = seen(plan.faulty(name, seed, text))
                survivals[text].append(judge(run, clean, fault, seed))
                if text in kept and is_drawn:
                    paces = pace(run, clean, fault) if run.steps else ()  # a killed process leaves no steps
                    drawn[text].append({PACE: paces, **run.metrics})
            if plan.epochs and name in ARMS:
                undisturbed.append(Undisturbed.of(seed, seen(plan.undisturbed(name, seed))))
        curves = {text: _curves(runs) for text, runs in drawn.items()}
        all_survivals = tuple(itertools.chain(*survivals.values()))
        return cls(all_survivals, tuple(undisturbed), curves, seconds, tuple(elsewhere))


def judge(seen: Observation, clean: CleanRun, fault: Fault, seed: int = 0) -> Survival:
    """Judges a run with a fault by comparison with the clean run of the same loop from the same seed.

    Args:
        seen: the run with the fault.
        clean: the clean run, at least as long.
        fault: the fault.
        seed: the seed of both runs.
    """
    movement, recovery, updates = math.nan, None, StruckUpdates.of(seen, clean, fault, seed)
    outcome: Outcome
    if clean.problem:
        outcome, reason = "not tested", clean.problem
    elif seen.ended == "not tested":
        outcome, reason = "not tested", seen.why
    elif seen.ended == "timed out":
        outcome, reason = "timed out", seen.why
    elif seen.ended == "crashed":
        outcome, reason = "crashed", seen.why + reasons.at_a_crash(seen)
    elif not seen.struck:
        outcome, reason = "not tested", "the fault did not happen"
    elif clean.seen.batches < seen.batches:
        outcome = "not tested"
        reason = f"the run without the fault has {clean.seen.batches} batches, not {seen.batches}"
    else:
        movement = _movement(seen, clean, fault)
        outcome, reason = _judge_complete(seen, clean, movement, updates)
        if outcome in ALIVE:
            applied = [batch for batch in updates.batches if batch + 1 < seen.batches]
            recovery = _recovery(seen, clean, fault, max([seen.struck[-1], *applied]))
            reason += f", back after {recovery} batches" if recovery is not None else ", not back yet"
    observed_at_end = outcome != "not tested" and bool(seen.steps)  # a killed process leaves no steps
    return Survival(
        fault=str(fault),
        seed=seed,
        outcome=outcome,
        reason=reason,
        weights_finite=not seen.bad_weights if observed_at_end else None,
        state_finite=not seen.bad_state if observed_at_end else None,
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


def _judge_complete(seen: Observation, clean: CleanRun, movement: float, updates: StruckUpdates) -> tuple[Outcome, str]:
    """The outcome of a complete run, and its reason; the worst outcome that applies."""
    if seen.bad_weights:
        return "poisoned weights", reasons.bad_weights(seen)
    if _is_bad_at_times(seen, clean):
        return "poisoned weights", reasons.weights_bad_at_times(seen)
    if broken := set(seen.bad_state) - set(clean.seen.bad_state):
        return "poisoned state", f"{reasons.bad_state(seen, broken)}, with finite weights"
    if apart := set(seen.apart) - set(clean.seen.apart):
        return "replicas differ", reasons.apart(seen, apart)
    watched = {key: np.array(values[-WATCHED:]) for key, values in seen.metrics.items() if values}
    if bad_metrics := [key for key, values in watched.items() if not np.all(np.isfinite(values))]:
        return "poisoned state", f"{', '.join(bad_metrics)} not finite, with finite weights"
    for key, values, usual in _compared(seen, clean):
        level = float(np.mean(values[-WATCHED:]))
        if abs(level - usual.level) > max(usual.reach, LEAST_REACH * abs(usual.level)):
            return "diverged", f"{key} is {level:.3g}, without the fault {usual.level:.3g}"
    if math.isnan(movement):
        return "not tested", "the weights that the fault hits do not move without it either"
    if movement > DIVERGED_ABOVE:
        return "diverged", f"the weights move {movement:.0f} times as far as without the fault"
    if movement < FROZEN_BELOW:
        return "frozen", f"finite, but the weights move only {movement:.1%} as far as without the fault"
    moving = f"the weights move {movement:.0%} as far as without the fault"
    if not updates.skipped:
        return "survived", moving
    return "skipped" if updates.skipped == updates.batches else "survived", f"{reasons.skipped(updates)}; {moving}"


def _is_bad_at_times(seen: Observation, clean: CleanRun) -> bool:
    """Whether a weight was not finite in one of the last batches, except those that are not finite in the clean run."""
    never = clean.never_finite
    watched = [step for name, steps in seen.steps.items() for step in steps[-WATCHED:] if name not in never]
    return not all(map(math.isfinite, watched))


def _movement(seen: Observation, clean: CleanRun, fault: Fault) -> float:
    """The movement of the attacked weights in the last batches, as a share of that in the clean run.

    It is the median over the variables of the summed steps: the rows of an embedding that had no gradient when the
    fault struck continue as if nothing had happened, and can outnumber all other weights.
    """
    shares = []
    for name, steps in seen.steps.items():
        usual = sum(clean.seen.steps[name][: seen.batches][-WATCHED:])
        if fault.hits(name) and usual > 0:
            shares.append(sum(steps[-WATCHED:]) / usual)
    return float(np.median(shares)) if shares else math.nan


def pace(seen: Observation, clean: CleanRun, fault: Fault) -> tuple[float, ...]:
    """The step of the attacked weights in each batch, as a share of their mean step without the fault.

    Returns:
        The median over the variables, [batches]; NaN where they are not finite.
    """
    usual = clean.hit(fault).steps
    shares = np.array([seen.steps[name] for name in usual]) / np.array([*usual.values()])[:, None]
    return tuple(np.median(shares, axis=0).tolist()) if usual else ()


def _recovery(seen: Observation, clean: CleanRun, fault: Fault, last: int) -> int | None:
    """The number of batches after batch `last` until weights and metrics are as in the clean run, and stay so.

    None: never, or there is no metric to compare.
    """
    metrics = [_back(values, usual, last) for _, values, usual in _compared(seen, clean) if len(values) > last + 1]
    moved, usual = (_smoothed(np.array(pace(run, clean, fault))[last + 1 : seen.batches]) for run in (seen, clean.seen))
    far = ~(moved >= PACE_BACK * usual)  # NaN is far
    recoveries = [_first_of_rest(far), *metrics]
    if not metrics or any(batches is None for batches in recoveries):
        return None
    return max(batches for batches in recoveries if batches is not None)


def _compared(seen: Observation, clean: CleanRun) -> Iterator[tuple[str, np.ndarray, UsualMetric]]:
    """The common metrics of both runs, over their common length, [batches]; a loop may lack a batch's value."""
    for key, values in seen.metrics.items():
        length = min(len(values), len(clean.seen.metrics.get(key, ())))
        if length:
            yield key, np.array(values[:length]), clean.metric(key, length)


def _back(values: np.ndarray, usual: UsualMetric, last: int) -> int | None:
    """Batches after `last` until the smoothed `values` [batches] stay near the clean run's; None: never."""
    after = slice(last + 1, None)
    with np.errstate(invalid="ignore"):
        far = ~(np.abs(_smoothed(values[after]) - _smoothed(usual.values[after])) <= usual.near)  # NaN is far
    return _first_of_rest(far)


def _smoothed(values: np.ndarray) -> np.ndarray:
    """The moving mean [n] of values [n] over up to SMOOTHED values; NaN if one of them is."""
    if not len(values):
        return values
    sums = np.convolve(values, np.ones(SMOOTHED))[: len(values)]
    return sums / np.minimum(np.arange(len(values)) + 1, SMOOTHED)


def _first_of_rest(far: Sequence[bool] | np.ndarray) -> int | None:
    """The first position from which on nothing is far; None: the last one is far."""
    positions = np.flatnonzero(far)
    if not positions.size:
        return 0
    first = int(positions[-1]) + 1
    return first if first < len(far) else None


def _curves(runs: Sequence[Series]) -> dict[str, tuple[tuple[float, ...], ...]]:
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: _short(run.get(name, ()) for run in runs) for name in names}


def _short(series: Iterable[Iterable[float]]) -> tuple[tuple[float, ...], ...]:
    """Rounds numbers to four digits, which suffice for a plot."""
    return tuple(tuple(float(f"{value:.4g}") for value in values) for values in series)

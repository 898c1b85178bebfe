"""What became of a loop that had a fault: it is not enough that it runs on with finite numbers."""

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
"""A loop whose weights move (in the median) less than this share of what they move without the fault is frozen.

Adam's update is its first moment over the root of its second. One gradient k times too large leaves a second
moment of about k**2 that decays by 0.1% a batch, so that thousands of updates are too small by about k.
"""

DIVERGED_ABOVE = 10.0
"""And one whose weights still move this many times as far is not where it was, whatever its metrics say."""

PACE_BACK = 0.5
"""And the weights are back when they move, from then on, at least this share of what they move in the clean run.
Metrics alone do not tell: those of a generator hardly change in 70 batches, whether it learns or not."""

LEAST_REACH = 0.01
"""A metric that never moves in the clean run may differ by this share of its value before that counts."""

CURVED = 100
"""Seeds of which metrics are kept batch by batch. Medians and quartiles of as many are drawn as smoothly as those of
more, and of more they would be most of the record."""

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
"""Of one run by name, [batches] each."""


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
        shown: faults whose metrics are kept batch by batch, of the first CURVED seeds.
    """
    judged = {name: JudgedLoop.of(plan, name, results, shown) for name in plan.loops}
    return SurvivalRecord(
        created=datetime.datetime.now(datetime.timezone.utc),
        environment=environment,
        plan=plan,
        seconds=sum(each.seconds for each in judged.values()),
        survivals={name: each.survivals for name, each in judged.items()},
        undisturbed={name: each.undisturbed for name, each in judged.items() if each.undisturbed},
        curves={name: each.curves for name, each in judged.items() if each.curves},
        ran_on=ran_on(itertools.chain(*(each.elsewhere for each in judged.values()))),
    )


@dataclasses.dataclass(frozen=True)
class JudgedLoop:
    """All that a record says of one loop."""

    survivals: tuple[Survival, ...]  # by fault, and then by seed
    undisturbed: tuple[Undisturbed, ...]
    curves: Curves
    seconds: float  # of its processes together
    elsewhere: tuple[tuple[str, Machine], ...]  # title and machine of runs that were not on this one

    @classmethod
    def of(
        cls, plan: SurvivalPlan, name: str, results: Mapping[str, Result[Observation]], shown: tuple[str, ...]
    ) -> Self:
        """Judges its runs, seed by seed: each result is asked for once, and no more than one seed's are at hand."""
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
                    # A process that was killed has left no steps.
                    paces = pace(run, clean, fault) if run.steps else ()
                    drawn[text].append({PACE: paces, **run.metrics})
            if plan.epochs and name in ARMS:
                undisturbed.append(Undisturbed.of(seed, seen(plan.undisturbed(name, seed))))
        curves = {text: _curves(runs) for text, runs in drawn.items()}
        every = tuple(itertools.chain(*survivals.values()))
        return cls(every, tuple(undisturbed), curves, seconds, tuple(elsewhere))


def judge(seen: Observation, clean: CleanRun, fault: Fault, seed: int = 0) -> Survival:
    """The outcome of a run with a fault, against the run of the same loop from the same seed without it.

    Args:
        seen: the run with it.
        clean: the run without it, at least as long.
        fault: what went wrong.
        seed: of both.
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


def _of_whole(seen: Observation, clean: CleanRun, movement: float, updates: StruckUpdates) -> tuple[Outcome, str]:
    """The outcome of a loop that ran to the end, and its reason; the worst first."""
    if seen.bad_weights:
        return "poisoned weights", reasons.bad_weights(seen)
    if _is_bad_at_times(seen, clean):
        return "poisoned weights", reasons.weights_bad_at_times(seen)
    if broken := set(seen.bad_state) - set(clean.seen.bad_state):
        return "poisoned state", f"{reasons.bad_state(seen, broken)}, with finite weights"
    if apart := set(seen.apart) - set(clean.seen.apart):
        return "replicas differ", reasons.apart(seen, apart)
    watched = {key: np.array(values[-WATCHED:]) for key, values in seen.metrics.items() if values}
    if endless := [key for key, values in watched.items() if not np.all(np.isfinite(values))]:
        return "poisoned state", f"{', '.join(endless)} not finite, with finite weights"
    for key, values, usual in _compared(seen, clean):
        level = float(np.mean(values[-WATCHED:]))
        if abs(level - usual.level) > max(usual.reach, LEAST_REACH * abs(usual.level)):
            return "diverged", f"{key} is {level:.3g}, without the fault {usual.level:.3g}"
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


def _is_bad_at_times(seen: Observation, clean: CleanRun) -> bool:
    """Whether a weight that is finite without the fault was not in one of the last batches."""
    never = clean.never_finite
    watched = [step for name, steps in seen.steps.items() for step in steps[-WATCHED:] if name not in never]
    return not all(map(math.isfinite, watched))


def _movement(seen: Observation, clean: CleanRun, fault: Fault) -> float:
    """How far the attacked weights moved at the end, as a share of how far they move without the fault.

    The way that they went, batch by batch, and the median over the variables: an embedding's rows that had no
    gradient when the fault struck go on as if nothing had happened, and there can be more of them than of all other
    weights together.
    """
    shares = []
    for name, steps in seen.steps.items():
        usual = sum(clean.seen.steps[name][: seen.batches][-WATCHED:])
        if fault.hits(name) and usual > 0:
            shares.append(sum(steps[-WATCHED:]) / usual)
    return float(np.median(shares)) if shares else math.nan


def pace(seen: Observation, clean: CleanRun, fault: Fault) -> tuple[float, ...]:
    """How far the attacked weights moved in each batch, as a share of how far they move in the mean without the fault.

    The median over the variables, [batches]; NaN where they are not finite.
    """
    usual = clean.hit(fault).steps
    shares = np.array([seen.steps[name] for name in usual]) / np.array([*usual.values()])[:, None]
    return tuple(np.median(shares, axis=0).tolist()) if usual else ()


def _recovery(seen: Observation, clean: CleanRun, fault: Fault, last: int) -> int | None:
    """Batches after batch `last` until weights and metrics were back where the clean run is, and stayed.

    None if never, or if there is no metric to tell it by.
    """
    metrics = [_back(values, usual, last) for _, values, usual in _compared(seen, clean) if len(values) > last + 1]
    moved, usual = (
        _smoothed(np.array(pace(each, clean, fault))[last + 1 : seen.batches]) for each in (seen, clean.seen)
    )
    far = ~(moved >= PACE_BACK * usual)  # NaN is far
    found = [_first_of_rest(far), *metrics]
    if not metrics or any(each is None for each in found):
        return None
    return max(each for each in found if each is not None)


def _compared(seen: Observation, clean: CleanRun) -> Iterator[tuple[str, np.ndarray, UsualMetric]]:
    """The metrics of both, [batches] with the fault and without; a loop may leave out the value of a batch."""
    for key, values in seen.metrics.items():
        length = min(len(values), len(clean.seen.metrics.get(key, ())))
        if length:
            yield key, np.array(values[:length]), clean.metric(key, length)


def _back(values: np.ndarray, usual: UsualMetric, last: int) -> int | None:
    """Batches after `last` from which on the smoothed `values` [batches] keep to the usual ones; None if never."""
    after = slice(last + 1, None)
    with np.errstate(invalid="ignore"):
        far = ~(np.abs(_smoothed(values[after]) - _smoothed(usual.values[after])) <= usual.near)  # NaN is far
    return _first_of_rest(far)


def _smoothed(values: np.ndarray) -> np.ndarray:
    """The mean of each value and up to SMOOTHED - 1 before it: [n] of [n]; of a single NaN among them it is NaN."""
    if not len(values):
        return values
    sums = np.convolve(values, np.ones(SMOOTHED))[: len(values)]
    return sums / np.minimum(np.arange(len(values)) + 1, SMOOTHED)


def _first_of_rest(far: Sequence[bool] | np.ndarray) -> int | None:
    """The first position from which on nothing is far; None if the last one is."""
    positions = np.flatnonzero(far)
    if not positions.size:
        return 0
    first = int(positions[-1]) + 1
    return first if first < len(far) else None


def _curves(runs: Sequence[Series]) -> dict[str, tuple[tuple[float, ...], ...]]:
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: _short(run.get(name, ()) for run in runs) for name in names}


def _short(series: Iterable[Iterable[float]]) -> tuple[tuple[float, ...], ...]:
    """Four digits of the numbers: they are for a picture."""
    return tuple(tuple(float(f"{value:.4g}") for value in each) for each in series)

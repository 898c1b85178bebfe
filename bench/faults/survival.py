"""What became of a loop that had a fault: it is not enough that it runs on with finite numbers."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from bench import work
from bench.faults.fault import Fault
from bench.faults.injection import Injector
from bench.loop import LoopFactory, LoopSpec, TrainingLoop, build, history, variable_name
from bench.record import Outcome, Survival

BEFORE, SETTLING, WATCHED = 10, 60, 10
"""Batches before the fault, after it until the momentum of a spike is spent, and watched for learning.

A spike is in both of Adam's moments: it pushes the weights on by about 0.9**n of a full step, whatever its
size, which looks like learning and is none. After 60 batches that is 0.2%.
"""

PATIENCE = 20
"""Batches for which a fault waits to strike: a network need not be trained in every one."""

FROZEN_BELOW = 0.1
"""A loop whose weights move (in the median) less than this share of what they move without the fault is frozen.

Adam's update is its first moment over the root of its second. One gradient k times too large leaves a second
moment of about k**2 that decays by 0.1% a batch, so that thousands of updates are too small by about k.
"""

DIVERGED_ABOVE = 10.0
"""And one whose weights still move this many times as far is not where it was, whatever its metrics say."""

Distances = dict[str, float]
"""How far each weight moved: the L2 norm of its change, by variable."""


class _Broken(NamedTuple):
    """The names of the variables that are not finite."""

    weights: list[str]
    state: list[str]  # of the optimizer, and whatever else is not trained

    @classmethod
    def of(cls, loop: TrainingLoop) -> _Broken:
        found = [variable for variable in loop.variables if not np.all(np.isfinite(variable.numpy()))]
        return cls(
            weights=[variable_name(variable) for variable in found if variable.trainable],
            state=[variable_name(variable) for variable in found if not variable.trainable],
        )


@dataclasses.dataclass(frozen=True)
class CleanRun:
    """How a loop trains when nothing goes wrong, to compare with."""

    distance: Distances  # while watched
    level: dict[str, float]  # of each metric while watched: its mean
    reach: dict[str, float]  # of each metric: the difference of its extremes over the whole run
    problem: str | None = None  # why nothing can be compared with it

    @classmethod
    def of(cls, loop: TrainingLoop, trained: int) -> CleanRun:
        """Trains `loop`, which has trained so many batches already, as long as one that has a fault."""
        loop.run(BEFORE + 1 + SETTLING - trained)
        before = work.weights(loop)
        loop.run(WATCHED)
        distance = _distances(before, work.weights(loop))
        metrics = history(loop)
        broken = _Broken.of(loop).weights or [key for key, values in metrics.items() if not np.all(np.isfinite(values))]
        return cls(
            distance,
            level={key: float(np.mean(values[-WATCHED:])) for key, values in metrics.items()},
            reach={key: float(np.ptp(values)) for key, values in metrics.items()},
            problem=f"{broken[0]} is not finite without any fault" if broken else None,
        )


def survive(name: str, factory: LoopFactory, spec: LoopSpec, fault: Fault, clean: CleanRun) -> Survival:
    """Builds a loop, lets the fault happen in one batch, and watches it afterwards.

    Args:
        name: of the factory.
        factory: of the loop.
        spec: the one that the clean run was made with.
        fault: what goes wrong.
        clean: the same loop without it.
    """
    if clean.problem:
        return _verdict(fault, "not tested", clean.problem)
    with Injector(fault) as injector:
        loop = build(name, factory, spec)
        loop.run(BEFORE)
        during = 0
        if not injector.hit:
            why = "no gradient of such a variable was traced for this loop; a step traced earlier is not traced again"
            return _verdict(fault, "not tested", why)
        try:
            during = _strike(injector, loop)
            if not during:
                return _verdict(fault, "not tested", f"no such gradient was computed in {PATIENCE} batches")
            loop.run(SETTLING)
            settled = work.weights(loop)
            loop.run(WATCHED)
            distance = _distances(settled, work.weights(loop))
            metrics = history(loop)
        except Exception as error:  # whatever a loop dies of is the result
            broken = _Broken.of(loop)
            after = f" after {len(broken.weights)} weights had become not finite" if broken.weights else ""
            return _verdict(fault, "crashed", f"{type(error).__name__}{after}: {_gist(error)}", broken, during=during)
    movement, broken = _movement(distance, clean.distance, fault), _Broken.of(loop)
    return _verdict(fault, *_judge(broken, metrics, movement, clean), broken, movement, during)


def _strike(injector: Injector, loop: TrainingLoop) -> int:
    """Lets the fault happen in one batch; gives the batches that it took, or 0 if it did not happen."""
    for batch in range(1, PATIENCE + 1):
        injector.arm()
        loop.run(1)
        injector.disarm()
        if injector.struck():
            return batch
    return 0


def _judge(broken: _Broken, metrics: dict[str, np.ndarray], movement: float, clean: CleanRun) -> tuple[Outcome, str]:
    """The outcome of a loop that ran to the end, and its reason; the worst first."""
    if broken.weights:
        return "poisoned", f"{len(broken.weights)} weights not finite"
    if broken.state:
        return "poisoned", f"{len(broken.state)} optimizer variables not finite"
    watched = {key: values[-WATCHED:] for key, values in metrics.items()}
    endless = [key for key, values in watched.items() if not np.all(np.isfinite(values))]
    if endless:
        return "poisoned", f"{', '.join(endless)} not finite, with finite weights"
    for key, values in watched.items():
        level = float(np.mean(values))
        if abs(level - clean.level[key]) > clean.reach[key]:
            return "diverged", f"{key} is {level:.3g}, without the fault {clean.level[key]:.3g}"
    if math.isnan(movement):
        return "not tested", "the weights that it hits do not move without it either"
    if movement > DIVERGED_ABOVE:
        return "diverged", f"the weights move {movement:.0f} times as far as without it"
    if movement < FROZEN_BELOW:
        return "frozen", f"finite, but the weights move only {movement:.1%} as far as without it"
    return "survived", f"the weights move {movement:.0%} as far as without it"


def _verdict(
    fault: Fault,
    outcome: Outcome,
    reason: str,
    broken: _Broken | None = None,
    movement: float = math.nan,
    during: int = 0,
) -> Survival:
    return Survival(
        fault=str(fault),
        outcome=outcome,
        reason=reason,
        weights_finite=None if broken is None else not broken.weights,
        optimizer_finite=None if broken is None else not broken.state,
        movement=movement,
        batches=(BEFORE, during, SETTLING + WATCHED),
    )


def _gist(error: Exception) -> str:
    """The line of a message that says what happened; TensorFlow begins its own with where."""
    where = ("Graph execution error", "Detected at node", "<stack traces", "File ", "[[{{", "[Op:")
    lines = [line.strip() for line in str(error).splitlines()]
    telling = [line for line in lines if line and not line.startswith(where)]
    return (telling or lines or [""])[0][:120]


def _distances(before: work.Snapshot, after: work.Snapshot) -> Distances:
    return {name: float(np.linalg.norm(after[name].astype(float) - before[name])) for name in before}


def _movement(distance: Distances, clean: Distances, fault: Fault) -> float:
    """How far the attacked weights moved, as a share of how far they move without the fault.

    The median over the variables: an embedding's rows that had no gradient when the fault struck go on as if
    nothing had happened, and there can be more of them than of all other weights together.
    """
    shares = [distance[name] / clean[name] for name in distance if fault.hits(name) and clean[name] > 0]
    return float(np.median(shares)) if shares else math.nan

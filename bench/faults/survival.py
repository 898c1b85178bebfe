"""What became of a loop that had a fault: it is not enough that it runs on with finite numbers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench import work
from bench.errors import UsageError
from bench.faults.fault import Fault
from bench.faults.injection import Injector
from bench.loop import LoopFactory, LoopSpec, TrainingLoop, build, variable_name
from bench.record import Survival

BEFORE, DURING, SETTLING, WATCHED = 10, 1, 60, 10
"""Batches before the fault, with it, after it until the momentum of a spike is spent, and watched for learning.

A spike is in both of Adam's moments: it pushes the weights on by about 0.9**n of a full step, whatever its
size, which looks like learning and is none. After 60 batches that is 0.2%.
"""

FROZEN_BELOW = 0.1
"""A loop whose weights move (in the median) less than this share of what they move without the fault is frozen.

Adam's update is its first moment over the root of its second. One gradient k times too large leaves a second
moment of about k**2 that decays by 0.1% a batch, so that thousands of updates are too small by about k.
"""

Distances = dict[str, float]
"""How far each weight moved: the L2 norm of its change, by variable."""


@dataclasses.dataclass(frozen=True)
class CleanRun:
    """How a loop trains when nothing goes wrong, to compare with: how far each weight moves while watched."""

    distance: Distances

    @classmethod
    def of(cls, loop: TrainingLoop, trained: int) -> CleanRun:
        """Trains `loop`, which has trained so many batches already, as long as one that has a fault.

        Raises:
            UsageError: it does not survive even this.
        """
        loop.run(BEFORE + DURING + SETTLING - trained)
        before = work.weights(loop)
        loop.run(WATCHED)
        distance = _distances(before, work.weights(loop))
        broken = [name for name, moved in distance.items() if not np.isfinite(moved)]
        if broken:
            raise UsageError(f"{type(loop).__name__}: {broken[0]} is not finite without any fault")
        return cls(distance)


def survive(name: str, factory: LoopFactory, spec: LoopSpec, fault: Fault, clean: CleanRun) -> Survival:
    """Builds a loop, lets the fault happen for one batch, and watches it afterwards.

    Args:
        name: of the factory.
        factory: of the loop.
        spec: the one that the clean run was made with.
        fault: what goes wrong.
        clean: the same loop without it.

    Raises:
        UsageError: no gradient in this loop is of a variable that the fault could hit.
    """
    with Injector(fault) as injector:
        loop = build(name, factory, spec)
        loop.run(BEFORE)
        if not injector.hit:
            raise UsageError(f"fault {fault}: no gradient in {name} is of a variable called that")
        try:
            injector.arm()
            loop.run(DURING)
            injector.disarm()
            loop.run(SETTLING)
            settled = work.weights(loop)
            loop.run(WATCHED)
            distance = _distances(settled, work.weights(loop))
            history = {key: np.asarray(values) for key, values in loop.history().items()}
        except Exception as error:  # whatever a loop dies of is the result
            return _judge(fault, loop, crash=error)
    return _judge(fault, loop, movement=_movement(distance, clean.distance, fault), history=history)


def _judge(
    fault: Fault,
    loop: TrainingLoop,
    *,
    movement: float = math.nan,
    history: dict[str, np.ndarray] | None = None,
    crash: Exception | None = None,
) -> Survival:
    """The outcome and its reason, the worst first."""
    bad_weights = _not_finite([variable for variable in loop.variables if variable.trainable])
    bad_state = _not_finite([variable for variable in loop.variables if not variable.trainable])
    bad_metrics = [key for key, values in (history or {}).items() if not np.all(np.isfinite(values[-WATCHED:]))]
    if crash is not None:
        after = f" after {len(bad_weights)} weights had become not finite" if bad_weights else ""
        outcome, reason = "crashed", f"{type(crash).__name__}{after}: {_gist(crash)}"
    elif bad_weights or bad_state:
        what = f"{len(bad_weights)} weights" if bad_weights else f"{len(bad_state)} optimizer variables"
        outcome, reason = "poisoned", f"{what} not finite, e.g. {(bad_weights or bad_state)[0]}"
    elif bad_metrics:
        outcome, reason = "poisoned", f"{', '.join(bad_metrics)} not finite, with finite weights"
    elif movement < FROZEN_BELOW:
        outcome, reason = "frozen", f"finite, but the weights move only {movement:.1%} as far as without it"
    else:
        outcome, reason = "survived", f"the weights move {movement:.0%} as far as without it"
    return Survival(
        fault=str(fault),
        outcome=outcome,  # type: ignore[arg-type]  # a Literal, checked by the record
        reason=reason,
        weights_finite=not bad_weights,
        optimizer_finite=not bad_state,
        movement=movement,
        batches=(BEFORE, DURING, SETTLING + WATCHED),
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


def _not_finite(variables: Sequence[Any]) -> list[str]:
    return [variable_name(variable) for variable in variables if not np.all(np.isfinite(variable.numpy()))]

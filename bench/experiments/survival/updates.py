"""Finds the updates that a fault reached, and those of them that the loop skipped."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from typing_extensions import Self

from loop_bench.experiments.survival.clean_run import CleanRun, HitWeights, moving
from loop_bench.experiments.survival.fault import Fault
from loop_bench.experiments.survival.observation import Observation


@dataclasses.dataclass(frozen=True)
class StruckUpdates:
    """The updates that should apply corrupted numbers, by the batches in which they are.

    The times of updates are taken from the run without the fault: numbers that are corrupted in a batch are applied in
    the first batch, from that one on, in which weights that the fault can hit move in the clean run. A loop that
    accumulates gradients moves nothing in most batches, and applies the faults of several batches in one update.

    Attributes:
        batches: batches of the updates, ascending.
        skipped: updates that the loop skipped: in that batch no weight that the fault can hit changed a bit, all are
            finite before and after, and some of them move later. (The weights of a frozen loop never move again; if a
            loop ended before an unaffected update was due, the update counts as skipped.) If a fault makes numbers
            smaller, an update may be too small to change a bit, so none of its updates count as skipped.
        moved: untrained variables that changed before the fault, and changed in a skipped update nevertheless; if other
            weights were updated in it, only those with names that the fault hits.
    """

    batches: tuple[int, ...]
    skipped: tuple[int, ...]
    moved: tuple[str, ...]

    @classmethod
    def of(cls, seen: Observation, clean: CleanRun, fault: Fault, seed: int = 0) -> Self:
        """Finds the updates of a run.

        Args:
            seen: a run with the fault.
            clean: the run of the same loop from the same seed without it.
            fault: the fault.
            seed: the seed of both runs.
        """
        hit = clean.hit(fault)
        applied = {batch: update for batch in seen.struck if (update := _first(hit.rhythm, batch)) is not None}
        batches = tuple(dict.fromkeys(applied.values()))
        skippable = dict.fromkeys(update for batch, update in applied.items() if not _shrinks(fault, batch, seed))
        skipped = [
            update
            for update in skippable
            if _unchanged(seen, clean, hit, update) and _continues(seen, hit, batches, update)
        ]
        return cls(batches, tuple(skipped), _moved(seen, fault, skipped))


def _first(batches: np.ndarray, batch: int) -> int | None:
    """The first of ascending `batches` that is not before `batch`; None: there is none."""
    index = int(np.searchsorted(batches, batch))
    return int(batches[index]) if index < len(batches) else None


def _shrinks(fault: Fault, batch: int, seed: int) -> bool:
    # A fault of one batch may wait to strike, so its batch can differ from the one for which strength was drawn.
    strength = fault.factor if fault.batches == 1 else fault.strength(batch, seed)
    return strength is not None and abs(strength) < 1


def _unchanged(seen: Observation, clean: CleanRun, hit: HitWeights, update: int) -> bool:
    """Whether no weight that can be hit moved in an update, except those that are not finite without the fault."""
    of_weights = [seen.steps.get(name, ()) for name in hit.names if math.isfinite(clean.seen.steps[name][update])]
    return all(len(steps) > update and steps[update] == 0 for steps in of_weights)  # NaN is not 0


def _continues(seen: Observation, hit: HitWeights, struck: tuple[int, ...], update: int) -> bool:
    """Whether weights move after an update, or the run ended before another update without the fault was due."""
    due = _first(np.setdiff1d(hit.rhythm, struck), update + 1)
    return due is None or due >= seen.batches or bool(np.any(moving(seen, hit.names) > update))


def _moved(seen: Observation, fault: Fault, skipped: list[int]) -> tuple[str, ...]:
    moved: set[str] = set()
    first = min(seen.struck, default=0)
    usual = {name: batches for name, batches in seen.moved.items() if min(batches) < first}
    for update in skipped:
        # State is matched to the hit weights by name; if no weight at all was updated, all state counts.
        others_trained = any(len(steps) > update and steps[update] != 0 for steps in seen.steps.values())
        moved |= {
            name for name, batches in usual.items() if update in batches and (not others_trained or fault.hits(name))
        }
    return tuple(name for name in usual if name in moved)

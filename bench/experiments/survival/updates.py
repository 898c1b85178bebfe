"""Updates that a fault was in, and those of them that the loop left out."""

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
    """Updates in which a loop should have applied what a fault had hit, by the batches that they are in.

    When a loop updates is taken from its run without the fault: what a fault hits in a batch is applied in the first
    batch, from that one on, in which weights that it can hit move there. A loop that adds up the gradients of several
    batches moves nothing in most of them, and applies the faults of all of them in one update.

    Attributes:
        batches: of the updates, ascending.
        skipped: of them, those that the loop left out: no weight that the fault can hit changed a bit in that batch,
            all are finite before and after, and some of them move later on. (The weights of a frozen loop do not; of a
            loop that ended before an update without the fault was due, nobody knows.) A fault that makes numbers
            smaller may make an update too small to change a bit: of such a fault nothing counts as skipped.
        moved: variables that are not trained and changed in a skipped one nevertheless, of those that had changed
            before the fault: where other weights were updated, only of those of the names that the fault hits.
    """

    batches: tuple[int, ...]
    skipped: tuple[int, ...]
    moved: tuple[str, ...]

    @classmethod
    def of(cls, seen: Observation, clean: CleanRun, fault: Fault, seed: int = 0) -> Self:
        """Finds them.

        Args:
            seen: a run with the fault.
            clean: the run of the same loop from the same seed without it.
            fault: what went wrong.
            seed: of both.
        """
        hit = clean.hit(fault)
        applied = {batch: update for batch in seen.struck if (update := _first(hit.rhythm, batch)) is not None}
        batches = tuple(dict.fromkeys(applied.values()))
        skippable = dict.fromkeys(update for batch, update in applied.items() if not _shrinks(fault, batch, seed))
        skipped = [each for each in skippable if _held(seen, clean, hit, each) and _goes_on(seen, hit, batches, each)]
        return cls(batches, tuple(skipped), _moved(seen, fault, skipped))


def _first(batches: np.ndarray, batch: int) -> int | None:
    """The first of ascending `batches` from `batch` on."""
    place = int(np.searchsorted(batches, batch))
    return int(batches[place]) if place < len(batches) else None


def _shrinks(fault: Fault, batch: int, seed: int) -> bool:
    # A fault of one batch waits to strike, so that its batch is not the one for which strength was drawn.
    strength = fault.factor if fault.batches == 1 else fault.strength(batch, seed)
    return strength is not None and abs(strength) < 1


def _held(seen: Observation, clean: CleanRun, hit: HitWeights, update: int) -> bool:
    """Whether no weight that can be hit moved in an update, but for those that are not finite without the fault."""
    steps = [seen.steps.get(name, ()) for name in hit.names if math.isfinite(clean.seen.steps[name][update])]
    return all(len(each) > update and each[update] == 0 for each in steps)  # NaN is not 0


def _goes_on(seen: Observation, hit: HitWeights, struck: tuple[int, ...], update: int) -> bool:
    """Whether weights move after an update, or none of the updates that the fault is not in was due any more."""
    due = _first(np.setdiff1d(hit.rhythm, struck), update + 1)
    return due is None or due >= seen.batches or bool(np.any(moving(seen, hit.names) > update))


def _moved(seen: Observation, fault: Fault, skipped: list[int]) -> tuple[str, ...]:
    found: set[str] = set()
    first = min(seen.struck, default=0)
    usual = {name: batches for name, batches in seen.moved.items() if min(batches) < first}
    for update in skipped:
        # State belongs to what is hit by its name; where nothing at all was trained, whatever its name is.
        others = any(len(steps) > update and steps[update] != 0 for steps in seen.steps.values())
        found |= {name for name, moved in usual.items() if update in moved and (not others or fault.hits(name))}
    return tuple(name for name in usual if name in found)

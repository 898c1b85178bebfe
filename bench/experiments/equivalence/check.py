"""Whether two loops compute the same thing: a speed-up of a loop that does something else is none.

Three outcomes. Bit for bit the same, as what only moves reads and calls must be. The same up to rounding: where
compilation reorders arithmetic, each batch must agree from the same state (in lockstep), and the first draw that
rounding flips in a run of its own is named. Or not the same.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from loop_bench.experiments.equivalence.figures import problem, rounding
from loop_bench.experiments.equivalence.lockstep import lockstep, unequal
from loop_bench.experiments.equivalence.record import BATCHES, AgreementRecord, Candidate, Equivalence, Flip
from loop_bench.experiments.equivalence.side import Side
from loop_bench.machine.environment import environment
from loop_bench.settings import ARMS, Settings

_BLOCK = 10
"""Batches, at most, between two looks at what the loops have drawn by themselves."""


def equivalence(before: Side, after: Side, options: Mapping[str, Any], batches: int = BATCHES) -> Equivalence:
    """Trains two fresh loops, by themselves and then, if a bit differs, batch by batch from the same state.

    By themselves they are trained little further than to the first token that they draw differently.

    Args:
        before: built with `options`.
        after: built with them too.
        options: that leave nothing but how the algorithm is carried out to differ; for the record.
        batches: of each, and as many again from the same state.
    """

    def found(equal: bool, reason: str, **more: Any) -> Equivalence:
        return Equivalence(batches=batches, options=dict(options), equal=equal, reason=reason, **more)

    # A learning rate is state as well, which `lockstep` would hand over.
    if others := unequal(before, after):
        return found(False, f"they do not start from the same state: {', '.join(others)}")
    _train_until_a_flip(before, after, batches)
    one, other = before.history(), after.history()
    common = [name for name in one if name in other]
    if not common:
        return found(False, f"no metric is common to both: {', '.join(one)}; {', '.join(other)}")
    if any(one[name].shape != other[name].shape for name in common):
        return found(False, "the histories have different lengths")
    flip = _first_flip(before, after)
    same_metrics = all(np.array_equal(one[name], other[name], equal_nan=True) for name in common)
    if drift := _drift(before, after):
        return found(False, drift)
    if same_metrics and flip is None and _same_weights(before, after):
        drawn = "metrics and weights" if _drawn(before, after) is None else "metrics, weights and drawn tokens"
        return found(True, f"bit for bit the same over {batches} batches, {drawn}", bit_for_bit=True)
    stepped = lockstep(before, after, _stretches(batches))
    if stepped is None:
        return found(False, "not bit for bit the same, and with other variables, so that no batch can be compared")
    too_far = problem(stepped) or _drift(before, after)
    return found(not too_far, too_far or rounding(stepped, flip), flip=flip, lockstep=stepped)


def _train_until_a_flip(before: Side, after: Side, batches: int) -> None:
    """Trains both by themselves; no further than a draw that differs, after which they have nothing in common."""
    done = 0
    while done < batches and _first_flip(before, after) is None:
        block = min(max(1, done), _BLOCK, batches - done)  # ever more, for most flips come within a few
        for loop in (before, after):
            loop.run(block)
        done += block


def _stretches(batches: int) -> list[int]:
    """A third of the batches two at a time, for what goes wrong between those of one call; the others one by one."""
    pairs = max(1, batches // 6)
    return [*[1] * (batches - 2 * pairs), *[2] * pairs]


def _drift(before: Side, after: Side) -> str:
    """Which loop has replicas that no longer hold the same, in words; empty if none has."""
    for arm, side in zip(ARMS, (before, after), strict=True):
        if apart := side.apart():
            most = max(apart.values())
            return f"the replicas of {arm} differ, by up to {most:.2g} of how far they have moved: {', '.join(apart)}"
    return ""


def _same_weights(before: Side, after: Side) -> bool:
    one, other = map(_weights, (before, after))
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def _weights(side: Side) -> list[np.ndarray]:
    return side.values([place for place, (*_, trained) in enumerate(side.variables()) if trained])


def _drawn(before: Side, after: Side) -> tuple[np.ndarray, np.ndarray] | None:
    """What both have drawn, [batches, lines, tokens] each; None if that is not known, or cannot be compared."""
    one, other = before.lines(), after.lines()
    if one is None or other is None or one.shape != other.shape:
        return None
    shape = [len(one), one.shape[1] if one.ndim > 1 else 1, -1]
    return one.reshape(shape), other.reshape(shape)


def _first_flip(before: Side, after: Side) -> Flip | None:
    """The first drawn token that differs; None if there is none, or nothing is known of it."""
    drawn = _drawn(before, after)
    if drawn is None or np.array_equal(*drawn):
        return None
    batch, line, place = (int(index) for index in np.argwhere(drawn[0] != drawn[1])[0])
    one, other = (int(each[batch, line, place]) for each in drawn)
    return Flip(batch=batch, line=line, place=place, before=one, after=other)


def agreement(
    settings: Settings,
    candidates: Sequence[Candidate],
    batches: int = BATCHES,
    tell: Callable[[str], None] = lambda title: None,
) -> AgreementRecord:
    """Compares loops with the one before.

    Args:
        settings: from what seed, with which loop before.
        candidates: the loops.
        batches: of each loop by itself, and as many from the same state.
        tell: is told what has been compared.

    Raises:
        UsageError: a loop that cannot be built.
    """
    found, here = {}, environment()
    for each in candidates:
        # Options of someone else's loops are theirs: nothing is known that would make the two alike.
        options = dict(each.equivalent or {})
        before = _build(settings, settings.before, {**settings.options, **options}, ARMS[0])
        after = _build(settings, each.factory, {**each.options, **options}, each.name)
        same = equivalence(before, after, options, batches)
        why = each.inexact(same, here)
        found[each.name] = same.model_copy(update={"equal": False, "reason": why}) if why else same
        tell(each.name)
    return AgreementRecord(
        created=datetime.datetime.now(datetime.timezone.utc), environment=here, settings=settings, found=found
    )


def _build(settings: Settings, factory: str, options: dict[str, Any], role: str) -> Side:
    return Side.made(factory, settings.preset, settings.seed, options, role)

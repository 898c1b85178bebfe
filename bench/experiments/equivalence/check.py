"""Checks whether two loops compute the same thing, without which a speed-up means nothing.

There are three outcomes. Bit for bit the same: required of changes that only move reads and calls. The same up to
rounding: if compilation reorders arithmetic, each batch must agree from the same state (in lockstep), and the first
draw that rounding flips in free runs is named. Otherwise: not the same.
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
"""Most batches of a free run between two comparisons of the drawn tokens."""


def equivalence(before: Side, after: Side, options: Mapping[str, Any], batches: int = BATCHES) -> Equivalence:
    """Trains two fresh loops independently and then, if a bit differs, batch by batch from the same state.

    The independent runs end soon after the first token that the loops draw differently.

    Args:
        before: the loop before, built with `options`.
        after: the loop after, built with `options`.
        options: options under which both loops implement the same algorithm; for the record.
        batches: batches of the independent runs, and as many again from the same state.
    """

    def result(equal: bool, reason: str, **details: Any) -> Equivalence:
        return Equivalence(batches=batches, options=dict(options), equal=equal, reason=reason, **details)

    # Checked first, because `lockstep` copies all variables, a differing learning rate for example.
    if differing := unequal(before, after):
        return result(False, f"they do not start from the same state: {', '.join(differing)}")
    _train_until_a_flip(before, after, batches)
    metrics_before, metrics_after = before.history(), after.history()
    common = [name for name in metrics_before if name in metrics_after]
    if not common:
        return result(False, f"no metric is common to both: {', '.join(metrics_before)}; {', '.join(metrics_after)}")
    if any(metrics_before[name].shape != metrics_after[name].shape for name in common):
        return result(False, "the histories have different lengths")
    flip = _first_flip(before, after)
    same_metrics = all(np.array_equal(metrics_before[name], metrics_after[name], equal_nan=True) for name in common)
    if drift := _drift(before, after):
        return result(False, drift)
    if same_metrics and flip is None and _same_weights(before, after):
        compared = "metrics and weights" if _drawn(before, after) is None else "metrics, weights and drawn tokens"
        return result(True, f"bit for bit the same over {batches} batches, {compared}", bit_for_bit=True)
    stepped = lockstep(before, after, _stretches(batches))
    if stepped is None:
        return result(False, "not bit for bit the same, and the variables differ, so that no batch can be compared")
    reason = problem(stepped) or _drift(before, after)
    return result(not reason, reason or rounding(stepped, flip), flip=flip, lockstep=stepped)


def _train_until_a_flip(before: Side, after: Side, batches: int) -> None:
    """Trains both loops independently; stops after the first differing draw, from which on they diverge."""
    done = 0
    while done < batches and _first_flip(before, after) is None:
        block = min(max(1, done), _BLOCK, batches - done)  # short blocks first, because most flips come early
        for loop in (before, after):
            loop.run(block)
        done += block


def _stretches(batches: int) -> list[int]:
    """Lengths of the stretches: two batches for a third of them, to check what happens within a call; otherwise one."""
    pairs = max(1, batches // 6)
    return [*[1] * (batches - 2 * pairs), *[2] * pairs]


def _drift(before: Side, after: Side) -> str:
    """The loop whose replicas have diverged, in words; empty: none."""
    for arm, side in zip(ARMS, (before, after), strict=True):
        if distances := side.apart():
            largest = max(distances.values())
            names = ", ".join(distances)
            return f"the replicas of {arm} differ, by up to {largest:.2g} of how far they have moved: {names}"
    return ""


def _same_weights(before: Side, after: Side) -> bool:
    weights_before, weights_after = map(_weights, (before, after))
    return len(weights_before) == len(weights_after) and all(map(np.array_equal, weights_before, weights_after))


def _weights(side: Side) -> list[np.ndarray]:
    return side.values([index for index, (*_, trained) in enumerate(side.variables()) if trained])


def _drawn(before: Side, after: Side) -> tuple[np.ndarray, np.ndarray] | None:
    """The drawn tokens of both loops, [batches, lines, tokens] each; None: not kept, or their shapes differ."""
    lines_before, lines_after = before.lines(), after.lines()
    if lines_before is None or lines_after is None or lines_before.shape != lines_after.shape:
        return None
    shape = [len(lines_before), lines_before.shape[1] if lines_before.ndim > 1 else 1, -1]
    return lines_before.reshape(shape), lines_after.reshape(shape)


def _first_flip(before: Side, after: Side) -> Flip | None:
    """The first drawn token that differs; None: none differs, or tokens cannot be compared."""
    drawn = _drawn(before, after)
    if drawn is None or np.array_equal(*drawn):
        return None
    batch, line, place = (int(index) for index in np.argwhere(drawn[0] != drawn[1])[0])
    token_before, token_after = (int(tokens[batch, line, place]) for tokens in drawn)
    return Flip(batch=batch, line=line, place=place, before=token_before, after=token_after)


def agreement(
    settings: Settings,
    candidates: Sequence[Candidate],
    batches: int = BATCHES,
    tell: Callable[[str], None] = lambda title: None,
) -> AgreementRecord:
    """Compares several loops with the loop before.

    Args:
        settings: from what seed, and with which loop before.
        candidates: the loops to compare with it.
        batches: batches of the independent runs, and as many from the same state.
        tell: called with the name of each compared loop.

    Raises:
        UsageError: a loop cannot be built.
    """
    results, machine = {}, environment()
    for candidate in candidates:
        # For loops that are not built in, no options are known that make both compute the same.
        options = dict(candidate.equivalent or {})
        before = _build(settings, settings.before, {**settings.options, **options}, ARMS[0])
        after = _build(settings, candidate.factory, {**candidate.options, **options}, candidate.name)
        result = equivalence(before, after, options, batches)
        inexact = candidate.inexact(result, machine)
        results[candidate.name] = result.model_copy(update={"equal": False, "reason": inexact}) if inexact else result
        tell(candidate.name)
    return AgreementRecord(
        created=datetime.datetime.now(datetime.timezone.utc), environment=machine, settings=settings, found=results
    )


def _build(settings: Settings, factory: str, options: dict[str, Any], role: str) -> Side:
    return Side.made(factory, settings.preset, settings.seed, options, role)

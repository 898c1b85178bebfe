"""Whether two loops compute the same thing: a speed-up of a loop that does something else is none.

Three outcomes. Bit for bit the same, as what only moves reads and calls must be. The same up to rounding: where
compilation reorders arithmetic, each batch must agree from the same state (in lockstep), and the first draw that
rounding flips in a run of its own is named. Or not the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.experiments.equivalence.lockstep import lockstep, unequal
from bench.experiments.equivalence.record import Equivalence, Flip, Lockstep
from bench.loop import TrainingLoop, history, lines
from bench.timing import work

BATCHES = 60
"""Of each loop by itself, and as many from the same state: more than an epoch of 100 together."""

METRIC_TOLERANCE = 1e-5
"""Largest difference of a metric in a batch from one state, as a share of its size.

A float32 is known to 6e-8 of its size, and the sum of n of them in another order differs by that times something like
the square root of log n to that of n (Higham, Accuracy and Stability of Numerical Algorithms, 2002, chapter 4). The
built-in pair shows up to 6e-7.
"""

UPDATE_TOLERANCE = 1e-3
"""Largest difference of a variable's update in a batch from one state, as a share of the update.

More than a metric's, for a gradient may be the small difference of large terms, and Adam divides each element by its
own size: one whose gradient is all rounding moves as far as any other. The built-in pair shows up to 4e-4.
"""

MUST_AGREE = 0.9
"""Share of stretches in which every metric agrees. Not in all, for a count jumps: a probability that rounding has moved
to the other side of one half changes an accuracy by a whole line."""

LARGEST_JUMP = 0.05
"""And by no more than this share of its size may a metric differ in any of them."""

MOST_FLIPPED = 0.05
"""Largest share of lines in which rounding may flip a draw.

A draw by inversion falls between two of V sums, each known to about 6e-8 of the whole: it is another one in V x 6e-8 of
all cases, and somewhere in a line of T tokens in T times as many. That is 0.6% at preset `paper` (measured: 0.3% and
0.6%) and 2.4% at `script`; another sampler draws another line nearly always.
"""

FEWEST = 5
"""Stretches without a flipped draw: in the others, there is nothing that would have to agree."""


def equivalence(
    before: TrainingLoop, after: TrainingLoop, options: Mapping[str, Any], batches: int = BATCHES
) -> Equivalence:
    """Trains two fresh loops, by themselves and then, if a bit differs, batch by batch from the same state.

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
    for loop in (before, after):
        loop.run(batches)
    one, other = history(before), history(after)
    common = [name for name in one if name in other]
    if not common:
        return found(False, f"no metric is common to both: {', '.join(one)}; {', '.join(other)}")
    if any(one[name].shape != other[name].shape for name in common):
        return found(False, "the histories have different lengths")
    flip = _first_flip(before, after)
    same_metrics = all(np.array_equal(one[name], other[name], equal_nan=True) for name in common)
    if same_metrics and flip is None and _same_weights(before, after):
        drawn = "metrics and weights" if _drawn(before, after) is None else "metrics, weights and drawn tokens"
        return found(True, f"bit for bit the same over {batches} batches, {drawn}", bit_for_bit=True)
    stepped = lockstep(before, after, _stretches(batches))
    if stepped is None:
        return found(False, "not bit for bit the same, and with other variables, so that no batch can be compared")
    problem = _problem(stepped)
    return found(problem is None, problem or _rounding(stepped, flip), flip=flip, lockstep=stepped)


def _stretches(batches: int) -> list[int]:
    """A third of the batches two at a time, for what goes wrong between those of one call; the others one by one."""
    pairs = max(1, batches // 6)
    return [*[1] * (batches - 2 * pairs), *[2] * pairs]


def _same_weights(before: TrainingLoop, after: TrainingLoop) -> bool:
    one, other = (list(work.weights(loop).values()) for loop in (before, after))
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def _drawn(before: TrainingLoop, after: TrainingLoop) -> tuple[np.ndarray, np.ndarray] | None:
    """What both have drawn, [batches, lines, tokens] each; None if that is not known, or cannot be compared."""
    one, other = lines(before), lines(after)
    if one is None or other is None or one.shape != other.shape:
        return None
    shape = [len(one), one.shape[1] if one.ndim > 1 else 1, -1]
    return one.reshape(shape), other.reshape(shape)


def _first_flip(before: TrainingLoop, after: TrainingLoop) -> Flip | None:
    """The first drawn token that differs; None if there is none, or nothing is known of it."""
    drawn = _drawn(before, after)
    if drawn is None or np.array_equal(*drawn):
        return None
    batch, line, place = (int(index) for index in np.argwhere(drawn[0] != drawn[1])[0])
    one, other = (int(each[batch, line, place]) for each in drawn)
    return Flip(batch=batch, line=line, place=place, before=one, after=other)


def _problem(stepped: Lockstep) -> str | None:
    """Why stretches from the same state differ by more than rounding; None if they do not."""
    known, alike = stepped.other_lines is not None, np.array(stepped.drew_alike)
    share = sum(stepped.other_lines or ()) / max(1, stepped.lines * stepped.batches)
    if share > MOST_FLIPPED:
        return f"from the same state, {share:.2%} of the lines are others"
    if np.sum(alike) < FEWEST:
        return f"not known: rounding flips a draw in {np.sum(~alike)} of {len(alike)} stretches; --batches takes more"
    # What rounding does to a batch, it does to each of a stretch.
    lengths = np.array(stepped.lengths or [1] * len(alike))
    updates, metrics = np.array(stepped.updates), np.array(stepped.metrics)
    may_differ = (1 - MUST_AGREE) * np.sum(alike)
    astray = np.flatnonzero(alike & ~(updates <= UPDATE_TOLERANCE * lengths))
    if len(astray) > (0 if known else may_differ):
        return f"from the same state, updates differ by {updates[astray[0]]:.2g} of their size in stretch {astray[0]}"
    off = np.flatnonzero(alike & ~(metrics <= METRIC_TOLERANCE * lengths))
    if len(off) > may_differ or np.any(metrics[off] > LARGEST_JUMP):
        worst = np.max(metrics[off])
        count = f"{len(off)} of {np.sum(alike)} stretches"
        return f"from the same state, metrics differ in {count}, by up to {worst:.2g} of their size"
    return None


def _rounding(stepped: Lockstep, flip: Flip | None) -> str:
    alike = np.array(stepped.drew_alike)
    metric, update = (np.max(np.array(values)[alike]) for values in (stepped.metrics, stepped.updates))
    flipped, rest = sum(stepped.other_lines or ()), stepped.batches - stepped.batches_alike
    flips = f"; in the other {rest}, rounding has flipped a draw in {flipped} lines" if flipped else ""
    alone = ""
    if flip is not None:
        place = f"line {flip.line}, token {flip.place}: {flip.before} and {flip.after}"
        alone = f"; by themselves, they drew the same tokens until batch {flip.batch} ({place})"
    elif stepped.other_lines is not None:
        alone = "; by themselves, they drew the same tokens throughout"
    return (
        f"the same up to rounding: in {stepped.batches_alike} of {stepped.batches} batches from the same state, "
        f"metrics differ by at most {metric:.1g} and updates by at most {update:.1g} of their size{flips}{alone}"
    )

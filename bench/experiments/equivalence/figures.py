"""Decides whether the differences of loops that train from the same state are rounding, by these tolerances."""

from __future__ import annotations

import numpy as np

from loop_bench.experiments.equivalence.record import Flip, Lockstep

METRIC_TOLERANCE = 1e-5
"""Largest difference of a metric after a batch from the same state, relative to the metric.

A float32 is accurate to 6e-8 of its size, and summing n of them in another order changes the result by that times
something between the square roots of log n and of n (Higham, Accuracy and Stability of Numerical Algorithms, 2002,
chapter 4). The built-in pair shows up to 6e-7.
"""

UPDATE_TOLERANCE = 1e-3
"""Largest difference of a variable's update after a batch from the same state, relative to the update, or to a usual
update of that variable if that is larger.

It is larger than a metric's, because a gradient can be the small difference of large terms, and Adam divides each
element by its own size: an element whose gradient is only rounding moves as far as any other. The built-in pair shows
up to 4e-5.
"""

MUST_AGREE = 0.9
"""Share of stretches in which every metric must agree. It is less than 1 because counts jump: a probability that
rounding moves across one half changes an accuracy by a whole line."""

MUST_MOVE_ALIKE = 0.75
"""Share of stretches, of one batch or of two, in which every update must agree.

It is less than 1 because gradients jump: if two n-grams of a line are both the largest up to rounding, a maximum over
time learns from only one of them. At preset `script`, with 65,000 maxima in a batch, one such choice moved the update
of a kernel by 1.3% in 1 of 14 stretches, and in 2 of 21.
"""

LARGEST_JUMP = 0.05
"""Largest relative difference of a metric or an update in any stretch."""

MOST_FLIPPED = 0.05
"""Largest share of lines in which rounding may flip a draw.

A draw by inversion falls between two of V sums, each accurate to about 6e-8 of the whole: rounding flips it in V x 6e-8
of all cases, and some token of a line of T tokens in T times as many. That is 0.6% at preset `paper` (measured: 0.3%
and 0.6%) and 2.4% at `script`; a different sampler draws a different line nearly always.
"""

NOT_KNOWN = "undetermined"
"""First word of a reason that leaves open whether loops compute the same."""

FEWEST = 5
"""Fewest stretches without a flipped draw: after a flipped draw, nothing has to agree."""


def problem(stepped: Lockstep) -> str | None:
    """Why stretches from the same state differ by more than rounding; None: they do not."""
    draws_known, alike = stepped.other_lines is not None, np.array(stepped.drew_alike)
    share = sum(stepped.other_lines or ()) / max(1, stepped.lines * stepped.batches)
    if share > MOST_FLIPPED:
        return f"from the same state, {share:.2%} of the drawn lines differ"
    if np.sum(alike) < FEWEST:
        flipped = np.sum(~alike)
        return f"{NOT_KNOWN}: rounding flips a draw in {flipped} of {len(alike)} stretches; raise --batches"
    # Rounding in each batch of a stretch adds up, so tolerances scale with its length.
    lengths = np.array(stepped.lengths or [1] * len(alike))
    updates, metrics = np.array(stepped.updates), np.array(stepped.metrics)
    may_differ = (1 - MUST_AGREE) * np.sum(alike)
    differing = np.flatnonzero(alike & ~(updates <= UPDATE_TOLERANCE * lengths))
    if draws_known:
        differing = _unexplained(differing, updates, lengths, alike)
    elif len(differing) <= may_differ:  # unknown draws may differ, and the effect on an update is unknown as well
        differing = differing[:0]
    if len(differing):
        first = differing[0]
        return f"from the same state, updates differ by {updates[first]:.2g} of their size in stretch {first}"
    off = np.flatnonzero(alike & ~(metrics <= METRIC_TOLERANCE * lengths))
    if len(off) > may_differ or np.any(metrics[off] > LARGEST_JUMP):
        worst = np.max(metrics[off])
        count = f"{len(off)} of {np.sum(alike)} stretches"
        return f"from the same state, metrics differ in {count}, by up to {worst:.2g} of their size"
    return None


def _unexplained(differing: np.ndarray, updates: np.ndarray, lengths: np.ndarray, alike: np.ndarray) -> np.ndarray:
    """The stretches with differing updates that jumps do not explain, being too large or too frequent.

    Frequency is judged by length, because an error between the batches of a call shows in all stretches of two.
    """
    far: np.ndarray = differing[~(updates[differing] <= LARGEST_JUMP)]
    if len(far):
        return far
    for length in np.unique(lengths[differing]):
        of_length: np.ndarray = differing[lengths[differing] == length]
        if len(of_length) > max(1, (1 - MUST_MOVE_ALIKE) * np.sum(alike & (lengths == length))):
            return of_length
    return differing[:0]


def rounding(stepped: Lockstep, flip: Flip | None) -> str:
    """The differences of loops that are the same up to rounding, in words.

    Args:
        stepped: differences within the tolerances.
        flip: the first token that the loops drew differently in independent runs; None: none, or not known.
    """
    metric, update = (largest(stepped, what) for what in ("metrics", "updates"))
    flipped, rest = sum(stepped.other_lines or ()), stepped.batches - stepped.batches_alike
    flips = f"; in the other {rest}, rounding has flipped a draw in {flipped} lines" if flipped else ""
    independent = ""
    if flip is not None:
        token = f"line {flip.line}, token {flip.place}: {flip.before} and {flip.after}"
        independent = f"; in independent runs, they drew the same tokens until batch {flip.batch} ({token})"
    elif stepped.other_lines is not None:
        independent = "; in independent runs, they drew the same tokens throughout"
    return (
        f"the same up to rounding: in {stepped.batches_alike} of {stepped.batches} batches from the same state, "
        f"metrics differ by at most {metric:.1g} and updates by at most {update:.1g} of their size{flips}{independent}"
    )


def largest(stepped: Lockstep, what: str) -> float:
    """The largest value of the field `what` (`metrics` or `updates`) over stretches whose draws are all the same.

    In the other stretches the loops learned from different lines.
    """
    return float(np.max(np.array(getattr(stepped, what))[np.array(stepped.drew_alike)]))

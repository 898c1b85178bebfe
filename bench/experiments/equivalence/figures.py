"""Tolerances for loops that train from the same state, and whether their differences are no more than rounding."""

from __future__ import annotations

import numpy as np

from loop_bench.experiments.equivalence.record import Flip, Lockstep

METRIC_TOLERANCE = 1e-5
"""Largest difference of a metric in a batch from one state, as a share of its size.

A float32 is known to 6e-8 of its size, and the sum of n of them in another order differs by that times something like
the square root of log n to that of n (Higham, Accuracy and Stability of Numerical Algorithms, 2002, chapter 4). The
built-in pair shows up to 6e-7.
"""

UPDATE_TOLERANCE = 1e-3
"""Largest difference of a variable's update in a batch from one state, as a share of the update, or of a usual one of
that variable where that is larger.

More than a metric's, for a gradient may be the small difference of large terms, and Adam divides each element by its
own size: one whose gradient is all rounding moves as far as any other. The built-in pair shows up to 4e-5.
"""

MUST_AGREE = 0.9
"""Share of stretches in which every metric agrees. Not in all, for a count jumps: a probability that rounding has moved
to the other side of one half changes an accuracy by a whole line."""

MUST_MOVE_ALIKE = 0.75
"""Share of stretches, of one batch or of two, in which every update agrees.

Not in all, for a gradient jumps: of two n-grams that are the largest of a line up to rounding, a maximum over time
learns from one. At preset `script`, with 65,000 maxima in a batch, one such choice moved the update of a kernel by 1.3%
in 1 of 14 stretches, and in 2 of 21.
"""

LARGEST_JUMP = 0.05
"""Largest difference of a metric or an update in any stretch, as a share of its size."""

MOST_FLIPPED = 0.05
"""Largest share of lines in which rounding may flip a draw.

A draw by inversion falls between two of V sums, each known to about 6e-8 of the whole: it is another one in V x 6e-8 of
all cases, and somewhere in a line of T tokens in T times as many. That is 0.6% at preset `paper` (measured: 0.3% and
0.6%) and 2.4% at `script`; another sampler draws another line nearly always.
"""

NOT_KNOWN = "not known"
"""What a reason begins with that leaves open whether loops compute the same."""

FEWEST = 5
"""Stretches without a flipped draw: in the others, there is nothing that would have to agree."""


def problem(stepped: Lockstep) -> str | None:
    """Why stretches from the same state differ by more than rounding; None if they do not."""
    known, alike = stepped.other_lines is not None, np.array(stepped.drew_alike)
    share = sum(stepped.other_lines or ()) / max(1, stepped.lines * stepped.batches)
    if share > MOST_FLIPPED:
        return f"from the same state, {share:.2%} of the lines are others"
    if np.sum(alike) < FEWEST:
        return f"{NOT_KNOWN}: rounding flips a draw in {np.sum(~alike)} of {len(alike)} stretches; --batches takes more"
    # What rounding does to a batch, it does to each of a stretch.
    lengths = np.array(stepped.lengths or [1] * len(alike))
    updates, metrics = np.array(stepped.updates), np.array(stepped.metrics)
    may_differ = (1 - MUST_AGREE) * np.sum(alike)
    astray = np.flatnonzero(alike & ~(updates <= UPDATE_TOLERANCE * lengths))
    if known:
        astray = _unexplained(astray, updates, lengths, alike)
    elif len(astray) <= may_differ:  # draws may be others, and by how much that moves an update, nobody can say
        astray = astray[:0]
    if len(astray):
        return f"from the same state, updates differ by {updates[astray[0]]:.2g} of their size in stretch {astray[0]}"
    off = np.flatnonzero(alike & ~(metrics <= METRIC_TOLERANCE * lengths))
    if len(off) > may_differ or np.any(metrics[off] > LARGEST_JUMP):
        worst = np.max(metrics[off])
        count = f"{len(off)} of {np.sum(alike)} stretches"
        return f"from the same state, metrics differ in {count}, by up to {worst:.2g} of their size"
    return None


def _unexplained(astray: np.ndarray, updates: np.ndarray, lengths: np.ndarray, alike: np.ndarray) -> np.ndarray:
    """The stretches of `astray`, whose updates do not agree, that no jump explains: it is too large, or too frequent.

    Too frequent among those of one length, for what goes wrong only between the batches of a call does so in all
    stretches of two.
    """
    far: np.ndarray = astray[~(updates[astray] <= LARGEST_JUMP)]
    if len(far):
        return far
    for length in np.unique(lengths[astray]):
        found: np.ndarray = astray[lengths[astray] == length]
        if len(found) > max(1, (1 - MUST_MOVE_ALIKE) * np.sum(alike & (lengths == length))):
            return found
    return astray[:0]


def rounding(stepped: Lockstep, flip: Flip | None) -> str:
    """How far loops differ that are the same up to rounding, in words.

    Args:
        stepped: within the tolerances.
        flip: where loops left to themselves first drew different tokens; None for nowhere, or not known.
    """
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


def largest(stepped: Lockstep, what: str) -> float:
    """The largest difference of `metrics` or `updates` over the stretches in which all draws are the same.

    In the others the loops have learned from different lines.
    """
    return float(np.max(np.array(getattr(stepped, what))[np.array(stepped.drew_alike)]))

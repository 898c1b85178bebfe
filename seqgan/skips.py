"""What the counters of skipped updates say: which batches were lost, and when there is no point in going on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from seqgan.checkpoint import variable_name
from seqgan.errors import NonFiniteUpdatesError

WHY = "for gradient norms or learning rates that were not finite, or ids that do not exist"
"""Why updates are skipped, as far as the counters tell."""


class Run(NamedTuple):
    """Updates skipped one after another."""

    length: int  # updates
    first: int  # row of the first of them, or 0 if that was before the rows begin
    last: int  # row of the last of them


def skipped_rows(total: np.ndarray, before: float) -> list[int]:
    """The rows in which an update was skipped.

    Args:
        total: [batches], the counter of all skips at the end of each batch.
        before: the same counter before the first.
    """
    return np.flatnonzero(np.diff(total, prepend=before) > 0).tolist()


def first_run(consecutive: np.ndarray, total: np.ndarray, limit: int) -> Run | None:
    """The first run of at least `limit` skips, as far as it goes at the end of the batch that completes it.

    Args:
        consecutive: [batches], the counter of skips in a row at the end of each batch.
        total: [batches], the counter of all skips.
        limit: at least 1.
    """
    reached = np.flatnonzero(consecutive >= limit)
    if not reached.size:
        return None
    last = int(reached[0])
    # Not the zeros of `consecutive`: of several updates in one batch, the last good one may be in the midst of it.
    first = int(np.searchsorted(total, total[last] - consecutive[last], side="right"))
    return Run(int(consecutive[last]), first, last)


def stopped(what: str, skips: int, first: int, last: int, weights: Sequence[Any]) -> NonFiniteUpdatesError:
    """The error that stops training, to be raised; reads the device, to see what the weights have come to.

    It says no more than is known: other updates may have moved the weights, before the skips, after them, and
    meanwhile those of the other network.

    Args:
        what: the network that the updates were of.
        skips: updates in a row.
        first: batch of the first of them.
        last: batch of the last of them.
        weights: of both networks, for the gradients depend on all of them.
    """
    happened = f"{what}: {skips} updates in a row were skipped, in batches {first} to {last}, {WHY}; "
    finite = np.asarray(tf.stack([tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(w))) for w in weights]))
    broken = [variable_name(weight) for weight, whole in zip(weights, finite, strict=True) if not whole]
    if not broken:
        return NonFiniteUpdatesError(f"{happened}they left the weights of the {what} as they were, and all are finite")
    return NonFiniteUpdatesError(
        f"{happened}weights are not finite ({broken[0]} and {len(broken) - 1} more), which no skipped update has caused"
    )

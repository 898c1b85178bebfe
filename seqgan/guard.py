"""The guard: an update clipped, and skipped whole when its gradient is not finite, all on the device.

Its counters are read here too: which batches were lost, and when there is no point in going on.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from loop_bench.seqgan.checkpoint import variable_name
from loop_bench.seqgan.errors import NonFiniteUpdatesError

MEMORY = 0.99
"""Share of the running mean of norms that is left after an update: it looks about 100 updates back.

The first 100 updates all count alike.
"""

COUNTED = 2.0
"""Most of a norm that the running mean takes in, as a multiple of itself.

So spikes one after another cannot talk it up: each raises it by 1%, by 9% in the eleventh update; with norms counted up
to a clip ratio of 10, five in a row at the start would raise it tenfold, and the limit for the sixth. Norms that truly
rise a hundredfold are followed all the same: after 232 updates they are no longer clipped, and meanwhile Adam, which
is blind to a common factor, takes steps as large as ever.
"""

WARM_UP = 10
"""Accepted updates before the running mean limits anything: the mean of fewer may be far from the ordinary norm.

A first norm next to nothing, taken for the ordinary one, would hold the updates after it back; worse, as the limit
rises from update to update, so do the gradients, and Adam divides the newest by what it remembers of smaller ones.
The price: a spike among them meets the fixed limit alone, and loosens the relative one for a few hundred updates.
"""

FLOOR = 1e-3
"""Lowest relative limit, as a share of `clip_norm`.

A norm below it harms nobody, and is never clipped: with a `clip_norm` of 5, none below 0.005. Without a floor, a mean
of 0 (of gradients that were 0 throughout the warm-up) would clip all that follows to 0, and so stay 0.
"""

WHY = "for gradient norms or learning rates that were not finite, or ids that do not exist"
"""Why updates are skipped, in words for messages; the counters do not tell the reasons apart."""


class GuardedUpdate:
    """A Keras optimizer behind a guard.

    Clips by the global norm (Pascanu et al., On the difficulty of training recurrent neural networks, 2013).
    A fixed limit far above the ordinary norms lets through a spike that is finite and still ruinous: Adam's second
    moment takes thousands of updates to forget it. So the limit also follows the norms themselves: AutoClip
    (Seetharaman et al., 2020) takes a percentile of all norms so far, ZClip (Kumar et al., 2025) a distance from
    their running mean in running standard deviations; here it is a multiple of the running mean, of norms that
    count twice the mean at most, so that a spike hardly raises the limit for the next.

    When the norm or the learning rate is not finite, nothing at all moves: weights, slots, the optimizer's step
    counter and the running mean stay bit for bit as they were. Zeroed gradients would not do: Adam's moments decay
    and its step counter runs on. The counters follow `optax.apply_if_finite`; unlike it, this guard never lets a bad
    update through: who reads the counters decides when enough is enough.

    Not looked at are the optimizer's slots and the weights themselves, for to read them all would cost one more pass
    over memory in every update; nor whether a finite learning rate is a sensible one. So a slot that something else
    has made NaN, or a learning rate of 1e38, still ruins weights with an update that counts as accepted.

    Args:
        optimizer: built; not one that averages weights (`use_ema`), for it overwrites them past the guard.
        clip_norm: largest global norm of a gradient.
        clip_ratio: largest global norm as a multiple of the running mean; counts once `WARM_UP` updates
            are accepted, and never sinks below `FLOOR * clip_norm`; infinity leaves `clip_norm` alone.
        name: what the names of the guard's variables begin with; the optimizer's name if None.

    Raises:
        ValueError: the optimizer averages weights.

    Attributes:
        consecutive: scalar int64 variable, updates skipped in a row up to now.
        total: scalar int64 variable, updates skipped since the start. (int64, because TensorFlow keeps int32
            variables on the host, and reading or writing them there would stall a GPU.)
        accepted: scalar int64 variable, updates not skipped since the start.
        mean_norm: scalar float32 variable, running mean of the norms; 0 before the first update.
    """

    def __init__(
        self,
        optimizer: keras.optimizers.Optimizer,
        clip_norm: float,
        clip_ratio: float = math.inf,
        name: str | None = None,
    ) -> None:
        if optimizer.use_ema:
            raise ValueError("an optimizer with use_ema overwrites weights in a way that no guard can undo")
        self._optimizer = optimizer
        self._clip_norm = clip_norm
        self._clip_ratio = clip_ratio
        name = name or optimizer.name
        self.consecutive = tf.Variable(0, dtype=tf.int64, trainable=False, name=f"{name}_consecutive_skips")
        self.total = tf.Variable(0, dtype=tf.int64, trainable=False, name=f"{name}_total_skips")
        self.accepted = tf.Variable(0, dtype=tf.int64, trainable=False, name=f"{name}_accepted_updates")
        self.mean_norm = tf.Variable(0.0, trainable=False, name=f"{name}_mean_norm")

    @property
    def state(self) -> list[tf.Variable]:
        """The guard's own state, for a checkpoint."""
        return [self.consecutive, self.total, self.accepted, self.mean_norm]

    def apply(self, gradients: Sequence[Any], variables: Sequence[Any], allowed: tf.Tensor | bool = True) -> tf.Tensor:
        """One update.

        Args:
            gradients: a tensor or IndexedSlices for each variable.
            variables: what they are the gradients of.
            allowed: scalar bool; an update that is not is skipped as one whose gradient is not finite.

        Returns:
            The global norm of the gradients before clipping: scalar float32. It is infinite also for finite
            gradients whose squares overflow (beyond about 1e19), which no clipping could scale back.
        """
        # Dense, because the same row may occur several times in IndexedSlices, and its norm is that of the sum.
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
        norm = tf.linalg.global_norm(dense)
        learning_rate = tf.convert_to_tensor(self._optimizer.learning_rate)
        accept = tf.math.is_finite(norm) & tf.math.is_finite(learning_rate) & allowed
        limit = self.limit()
        # A 1 for what is not clipped, and not limit / limit, which may be a bit off: it is the plain update then.
        scale = tf.where(norm > limit, limit / norm, 1.0)

        with _moving_only_if(accept, self._optimizer, [*variables, *self._optimizer.variables]):
            self._optimizer.apply([gradient * scale for gradient in dense], variables)

        seen, mean = self.accepted.read_value(), self.mean_norm.read_value()
        most = tf.where(seen < WARM_UP, limit, tf.maximum(COUNTED * mean, FLOOR * self._clip_norm))
        weight = tf.maximum(1.0 - MEMORY, 1.0 / tf.cast(seen + 1, tf.float32))
        moved = mean + weight * (tf.minimum(tf.minimum(norm, limit), most) - mean)
        self.mean_norm.assign(tf.where(accept, moved, mean))
        self.accepted.assign_add(tf.cast(accept, tf.int64))
        skipped = tf.cast(tf.math.logical_not(accept), tf.int64)
        self.consecutive.assign((self.consecutive + 1) * skipped)
        self.total.assign_add(skipped)
        return norm

    def limit(self) -> tf.Tensor:
        """Largest norm of the next update: scalar float32."""
        if math.isinf(self._clip_ratio):  # times a mean of 0 it would be NaN
            return tf.constant(self._clip_norm, tf.float32)
        relative = tf.maximum(self._clip_ratio * self.mean_norm, FLOOR * self._clip_norm)
        return tf.where(self.accepted < WARM_UP, self._clip_norm, tf.minimum(self._clip_norm, relative))


@contextlib.contextmanager
def _moving_only_if(accept: tf.Tensor, optimizer: keras.optimizers.Optimizer, state: Sequence[Any]) -> Iterator[None]:
    """Within, what `optimizer` assigns to the variables of `state` comes to be only if `accept`.

    A choice between old and new values and no `tf.cond`, whose branch a GPU would have to ask the host for. It is made
    at each assignment, and not once they are all over, so that the step of a weight reads the chosen moments: if it
    read others, XLA would compute those a second time, out of a copy of the old ones.
    """
    variables = [_variable(each) for each in state]
    before = {id(variable): tf.identity(variable) for variable in variables}
    assigned = set()
    plain = optimizer.assign

    def assign(variable: Any, value: Any) -> None:
        key = id(_variable(variable))
        assigned.add(key)
        plain(variable, tf.where(accept, tf.cast(value, variable.dtype), before[key]))

    # The methods by which an optimizer of Keras' assigns; set past its `__setattr__`, which would track them.
    methods = {
        "assign": assign,
        "assign_add": lambda variable, value: assign(variable, variable + value),
        "assign_sub": lambda variable, value: assign(variable, variable - value),
    }
    for name, method in methods.items():
        object.__setattr__(optimizer, name, method)
    try:
        yield
    finally:
        for name in methods:
            object.__delattr__(optimizer, name)
    for variable in variables:
        if id(variable) not in assigned:  # the step counter, which Keras moves by itself
            variable.assign(tf.where(accept, tf.identity(variable), before[id(variable)]))


def _variable(variable: Any) -> tf.Variable:
    """TensorFlow's variable behind one that may be Keras'."""
    return variable.value if isinstance(variable, keras.Variable) else variable


class SkipRun(NamedTuple):
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


def first_skip_run(consecutive: np.ndarray, total: np.ndarray, limit: int) -> SkipRun | None:
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
    return SkipRun(int(consecutive[last]), first, last)


def too_many_skips(what: str, skips: int, first: int, last: int, weights: Sequence[Any]) -> NonFiniteUpdatesError:
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

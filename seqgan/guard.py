"""Guarded updates: clipped, and skipped entirely if a gradient is not finite, all on the device.

Also evaluates the guard's counters: which batches had skipped updates, and when training should stop.
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
"""Share of the running mean of norms that is kept at each update: the mean covers about the last 100 updates.

The first 100 updates have equal weights.
"""

COUNTED = 2.0
"""Largest norm that counts in the running mean, as a multiple of the mean; larger norms count as this much.

This keeps consecutive spikes from raising the mean quickly: each raises it by 1%, or by 9% in the eleventh update. If
norms counted up to a clip ratio of 10, five spikes in a row at the start would raise the mean tenfold, and with it the
limit for the sixth. A lasting hundredfold rise is still followed: after 232 updates the norms are no longer clipped,
and meanwhile Adam, which ignores a common factor, takes steps of the usual size.
"""

WARM_UP = 10
"""Accepted updates before the running mean limits norms: the mean of fewer may be far from the usual norm.

If the first norm were near zero, limiting by it would hold back the updates after it; worse, as the limit rises from
update to update, so do the gradients, and Adam divides the newest by its memory of smaller ones. The cost is that a
spike during the warm-up is limited only by `clip_norm`, and loosens the relative limit for a few hundred updates.
"""

FLOOR = 1e-3
"""Lowest relative limit, as a share of `clip_norm`.

Smaller norms are harmless and never clipped: with a `clip_norm` of 5, no norm below 0.005. Without this floor, a mean
of 0, from gradients that were 0 throughout the warm-up, would clip all later gradients to 0 and so stay 0.
"""

WHY = "for gradient norms or learning rates that were not finite, or ids that do not exist"
"""Reasons for skipped updates, for messages; the counters do not distinguish the reasons."""


class GuardedUpdate:
    """Guards the updates of a Keras optimizer: clips gradients, and skips updates that are not finite.

    Clips by the global norm (Pascanu et al., On the difficulty of training recurrent neural networks, 2013).
    A fixed limit far above the usual norms lets a finite but ruinous spike pass, which Adam's second moment takes
    thousands of updates to forget. So the limit also follows the norms themselves: AutoClip (Seetharaman et al.,
    2020) takes a percentile of all norms so far, ZClip (Kumar et al., 2025) a distance from their running mean in
    running standard deviations; here it is a multiple of the running mean, in which a norm counts at most twice the
    mean, so that a spike hardly raises the limit for the next one.

    If the norm or the learning rate is not finite, nothing changes: weights, slots, the optimizer's step counter and
    the running mean stay the same bit for bit. Zeroing the gradients would not do this, because Adam's moments would
    decay and its step counter would advance. The counters follow `optax.apply_if_finite`; unlike it, this guard never
    lets a bad update through, and leaves it to the reader of the counters when to stop.

    Not checked are the optimizer's slots and the weights themselves, because reading them would cost one more pass
    over memory in every update; nor whether a finite learning rate is sensible. So a slot that something else has
    made NaN, or a learning rate of 1e38, still ruins the weights by an update that counts as accepted.

    Args:
        optimizer: a built optimizer; must not average weights (`use_ema`), which overwrites them past the guard.
        clip_norm: largest global norm of a gradient.
        clip_ratio: largest global norm as a multiple of the running mean; applies once `WARM_UP` updates are
            accepted, and is never below `FLOOR * clip_norm`; infinity: only `clip_norm` applies.
        name: prefix of the names of the guard's variables; None: the optimizer's name.

    Raises:
        ValueError: the optimizer averages weights.

    Attributes:
        consecutive: scalar int64 variable, updates skipped in a row up to now.
        total: scalar int64 variable, updates skipped since the start. (int64, because TensorFlow keeps int32
            variables on the host, and reading or writing them there would stall a GPU.)
        accepted: scalar int64 variable, updates accepted since the start.
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
            raise ValueError("optimizers with use_ema cannot be guarded: they overwrite the weights past the guard")
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
        """Applies one update, or skips it.

        Args:
            gradients: a tensor or IndexedSlices for each variable.
            variables: the variables of the gradients.
            allowed: scalar bool; False skips the update as if its gradient were not finite.

        Returns:
            The global norm of the gradients before clipping: scalar float32. It is infinite also for finite
            gradients whose squares overflow (beyond about 1e19), which clipping could not scale back.
        """
        # Dense, because a row may occur several times in IndexedSlices, and the norm must be that of its sum.
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
        norm = tf.linalg.global_norm(dense)
        learning_rate = tf.convert_to_tensor(self._optimizer.learning_rate)
        accept = tf.math.is_finite(norm) & tf.math.is_finite(learning_rate) & allowed
        limit = self.limit()
        # Exactly 1 without clipping (limit / limit could round otherwise), so that the update is the plain one.
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
        if math.isinf(self._clip_ratio):  # infinity times a mean of 0 would be NaN
            return tf.constant(self._clip_norm, tf.float32)
        relative = tf.maximum(self._clip_ratio * self.mean_norm, FLOOR * self._clip_norm)
        return tf.where(self.accepted < WARM_UP, self._clip_norm, tf.minimum(self._clip_norm, relative))


@contextlib.contextmanager
def _moving_only_if(accept: tf.Tensor, optimizer: keras.optimizers.Optimizer, state: Sequence[Any]) -> Iterator[None]:
    """Context in which assignments by `optimizer` to the variables of `state` take effect only if `accept` is true.

    Selects between old and new values instead of using `tf.cond`, for whose branch a GPU would need the host. The
    selection is made at each assignment, not after all of them, so that the update of a weight reads the selected
    moments: otherwise XLA would compute the moments a second time, from a copy of the old ones.
    """
    variables = [_variable(each) for each in state]
    before = {id(variable): tf.identity(variable) for variable in variables}
    assigned = set()
    plain = optimizer.assign

    def assign(variable: Any, value: Any) -> None:
        key = id(_variable(variable))
        assigned.add(key)
        plain(variable, tf.where(accept, tf.cast(value, variable.dtype), before[key]))

    # Methods with which a Keras optimizer assigns; set past its `__setattr__`, which would track them.
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
        if id(variable) not in assigned:  # the step counter, which Keras advances without these methods
            variable.assign(tf.where(accept, tf.identity(variable), before[id(variable)]))


def _variable(variable: Any) -> tf.Variable:
    """TensorFlow's variable inside a Keras variable; a TensorFlow variable unchanged."""
    return variable.value if isinstance(variable, keras.Variable) else variable


class SkipRun(NamedTuple):
    """A run of consecutive skipped updates."""

    length: int  # number of updates
    first: int  # row of the first update; 0 if it was before the first row
    last: int  # row of the last update


def skipped_rows(total: np.ndarray, before: float) -> list[int]:
    """The rows in which an update was skipped.

    Args:
        total: [batches], the counter of all skips at the end of each batch.
        before: that counter before the first batch.
    """
    return np.flatnonzero(np.diff(total, prepend=before) > 0).tolist()


def first_skip_run(consecutive: np.ndarray, total: np.ndarray, limit: int) -> SkipRun | None:
    """The first run of at least `limit` skips, up to the batch in which it reaches the limit; None if there is none.

    Args:
        consecutive: [batches], the counter of skips in a row at the end of each batch.
        total: [batches], the counter of all skips.
        limit: at least 1.
    """
    reached = np.flatnonzero(consecutive >= limit)
    if not reached.size:
        return None
    last = int(reached[0])
    # Zeros of `consecutive` would not show it: with several updates per batch, the run may start within a batch.
    first = int(np.searchsorted(total, total[last] - consecutive[last], side="right"))
    return SkipRun(int(consecutive[last]), first, last)


def too_many_skips(what: str, skips: int, first: int, last: int, weights: Sequence[Any]) -> NonFiniteUpdatesError:
    """Makes the error that stops training after too many skips; reads from the device whether the weights are finite.

    The message does not claim that the weights are unchanged: other updates may have changed them before and after
    the skips, and updates of the other network in between.

    Args:
        what: name of the network whose updates were skipped.
        skips: number of updates skipped in a row.
        first: batch of the first skipped update.
        last: batch of the last skipped update.
        weights: weights of both networks, because the gradients depend on all of them.
    """
    happened = f"{what}: {skips} updates in a row were skipped, in batches {first} to {last}, {WHY}; "
    finite = np.asarray(tf.stack([tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(w))) for w in weights]))
    broken = [variable_name(weight) for weight, whole in zip(weights, finite, strict=True) if not whole]
    if not broken:
        return NonFiniteUpdatesError(f"{happened}they left the weights of the {what} as they were, and all are finite")
    return NonFiniteUpdatesError(
        f"{happened}weights are not finite ({broken[0]} and {len(broken) - 1} more), which no skipped update has caused"
    )

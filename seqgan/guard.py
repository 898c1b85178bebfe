"""An update that is clipped, and skipped whole when its gradient is not finite; all on the device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from seqgan.errors import NonFiniteUpdatesError


class GuardedUpdate:
    """A Keras optimizer behind a guard.

    Clips by the global norm (Pascanu et al., On the difficulty of training recurrent neural networks, 2013).
    When that norm is not finite, nothing at all moves: weights, slots and the optimizer's step counter stay
    bit for bit as they were. Zeroed gradients would not do: Adam's moments decay and its step counter runs on.
    The counters follow `optax.apply_if_finite`; unlike it, this guard never lets a bad update through: who
    reads the counters decides when enough is enough.

    Attributes:
        consecutive: scalar int64 variable, updates skipped in a row up to now.
        total: scalar int64 variable, updates skipped since the start. (int64, because TensorFlow keeps int32
            variables on the host, and reading or writing them there would stall a GPU.)
    """

    def __init__(self, optimizer: keras.optimizers.Optimizer, clip_norm: float) -> None:
        self._optimizer = optimizer
        self._clip_norm = clip_norm
        self.consecutive = tf.Variable(0, dtype=tf.int64, trainable=False, name=f"{optimizer.name}_consecutive_skips")
        self.total = tf.Variable(0, dtype=tf.int64, trainable=False, name=f"{optimizer.name}_total_skips")

    @property
    def counters(self) -> list[tf.Variable]:
        """The guard's own state, for a checkpoint."""
        return [self.consecutive, self.total]

    def apply(self, gradients: Sequence[Any], variables: Sequence[Any]) -> tf.Tensor:
        """One update.

        Args:
            gradients: a tensor or IndexedSlices for each variable.
            variables: what they are the gradients of.

        Returns:
            The global norm of the gradients before clipping: scalar float32. It is infinite also for finite
            gradients whose squares overflow (beyond about 1e19), which no clipping could scale back.
        """
        # Dense, because the same row may occur several times in IndexedSlices, and its norm is that of the sum.
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
        norm = tf.linalg.global_norm(dense)
        finite = tf.math.is_finite(norm)
        clipped, _ = tf.clip_by_global_norm(dense, self._clip_norm, use_norm=norm)

        state = [*variables, *self._optimizer.variables]
        before = [tf.identity(tf.convert_to_tensor(variable)) for variable in state]
        self._optimizer.apply(clipped, variables)
        # A choice between old and new values and no tf.cond, whose branch a GPU would have to ask the host for.
        for variable, old in zip(state, before, strict=True):
            variable.assign(tf.where(finite, tf.convert_to_tensor(variable), old))

        skipped = tf.cast(tf.logical_not(finite), tf.int64)
        self.consecutive.assign((self.consecutive + 1) * skipped)
        self.total.assign_add(skipped)
        return norm

    def raise_when_stuck(self, limit: int) -> None:
        """Raises NonFiniteUpdatesError after `limit` skips in a row; reads the device."""
        skips = int(self.consecutive)
        if skips >= limit:
            raise NonFiniteUpdatesError(
                f"{self._optimizer.name}: the last {skips} gradients were not finite and their updates were skipped; "
                "the weights are still as good as before them, but nothing is learned any more"
            )

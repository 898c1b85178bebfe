"""Protections of updates against exploding gradients, each stronger than the one before.

The guard is compared with the weaker ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import keras
import tensorflow as tf

from loop_bench.seqgan.config import Config
from loop_bench.seqgan.guard import GuardedUpdate


class Update(Protocol):
    """A way to update a loop's variables by their gradients."""

    @property
    def consecutive(self) -> tf.Tensor:
        """Updates skipped in a row up to now: scalar int64, on the device."""

    @property
    def total(self) -> tf.Tensor:
        """Updates skipped since the start: scalar int64, on the device."""

    @property
    def state(self) -> list[tf.Variable]:
        """Variables needed, besides the optimizer's state, to resume training exactly."""

    def apply(self, gradients: Sequence[Any], variables: Sequence[Any], allowed: tf.Tensor | bool = True) -> tf.Tensor:
        """Applies one update, in a graph or outside.

        Args:
            gradients: a tensor or IndexedSlices for each variable.
            variables: the variables of the gradients.
            allowed: scalar bool; False skips the update, if the protection can skip updates.

        Returns:
            The global norm of the gradients before any clipping: scalar float32.
        """


class PlainUpdate:
    """The optimizer's own update, without protection.

    This class and its subclasses never skip an update: their counters stay 0, they have no state, and `apply` ignores
    `allowed`, so that a batch with invalid ids is trained on with id 0 instead of them.
    """

    def __init__(self, optimizer: keras.optimizers.Optimizer) -> None:
        self._optimizer = optimizer
        self.consecutive = self.total = tf.constant(0, tf.int64)

    @property
    def state(self) -> list[tf.Variable]:
        """Empty."""
        return []

    def apply(self, gradients: Sequence[Any], variables: Sequence[Any], allowed: tf.Tensor | bool = True) -> tf.Tensor:
        """See `Update`."""
        del allowed
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
        norm = tf.linalg.global_norm(dense)
        self._optimizer.apply(self._prepare(dense), variables)
        return norm

    def _prepare(self, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
        """Gradients to pass to the optimizer."""
        return gradients


class ClippedUpdate(PlainUpdate):
    """Clips gradients by their global norm, in the usual way by `tf.clip_by_global_norm`.

    A single NaN or infinity, or a square that overflows (of a finite gradient beyond about 1e19), makes every
    gradient NaN, and with them every weight.
    """

    def __init__(self, optimizer: keras.optimizers.Optimizer, clip_norm: float) -> None:
        super().__init__(optimizer)
        self._clip_norm = clip_norm

    def _prepare(self, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
        clipped, _ = tf.clip_by_global_norm(gradients, self._clip_norm)
        return list(clipped)


class ZeroedUpdate(ClippedUpdate):
    """Replaces elements that are not finite by zeros, then clips by the global norm, as many loops do.

    The weights stay finite despite NaN and infinity, but the update is not skipped: Adam's moments decay, its step
    counter advances, and the weights change by the momentum of earlier batches. Finite gradients beyond about 1e19
    are not replaced; their norm overflows, and `tf.clip_by_global_norm` makes them, and every weight, NaN.
    """

    def _prepare(self, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
        finite = [tf.where(tf.math.is_finite(gradient), gradient, 0.0) for gradient in gradients]
        return super()._prepare(finite)


BY_NAME: dict[str, Callable[[keras.optimizers.Optimizer, Config], Update]] = {
    "none": lambda optimizer, _: PlainUpdate(optimizer),
    "clip": lambda optimizer, config: ClippedUpdate(optimizer, config.clip_norm),
    "clip+zero": lambda optimizer, config: ZeroedUpdate(optimizer, config.clip_norm),
    "clip+skip": lambda optimizer, config: GuardedUpdate(optimizer, config.clip_norm),
    "guard": lambda optimizer, config: GuardedUpdate(optimizer, config.clip_norm, config.clip_ratio),
}

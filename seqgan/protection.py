"""The ladder of protections against gradients that explode: each rung stronger than the one before.

Updates without a guard are its lower rungs: the guard is measured against them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import keras
import tensorflow as tf

from loop_bench.seqgan.config import Config
from loop_bench.seqgan.guard import GuardedUpdate


class Update(Protocol):
    """How a loop changes its variables by their gradients."""

    @property
    def consecutive(self) -> tf.Tensor:
        """Updates skipped in a row up to now: scalar int64, on the device."""

    @property
    def total(self) -> tf.Tensor:
        """Updates skipped since the start: scalar int64, on the device."""

    @property
    def state(self) -> list[tf.Variable]:
        """What must be kept beside the optimizer's state for training to go on as it would have."""

    def apply(self, gradients: Sequence[Any], variables: Sequence[Any], allowed: tf.Tensor | bool = True) -> tf.Tensor:
        """One update, in a graph or outside.

        Args:
            gradients: a tensor or IndexedSlices for each variable.
            variables: what they are the gradients of.
            allowed: scalar bool; what can skip an update skips one that is not.

        Returns:
            The global norm of the gradients as they came: scalar float32.
        """


class PlainUpdate:
    """The optimizer's own update, whatever the gradients are.

    No update of this module skips anything, so their counters stay 0, they have no state, and what `apply` is
    told of `allowed` makes no difference: a batch with ids that do not exist is trained on with id 0 in their place.
    """

    def __init__(self, optimizer: keras.optimizers.Optimizer) -> None:
        self._optimizer = optimizer
        self.consecutive = self.total = tf.constant(0, tf.int64)

    @property
    def state(self) -> list[tf.Variable]:
        """Empty."""
        return []

    def apply(self, gradients: Sequence[Any], variables: Sequence[Any], allowed: tf.Tensor | bool = True) -> tf.Tensor:
        """One update; see `Update`."""
        del allowed
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
        norm = tf.linalg.global_norm(dense)
        self._optimizer.apply(self._prepare(dense), variables)
        return norm

    def _prepare(self, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
        """What the optimizer is given."""
        return gradients


class ClippedUpdate(PlainUpdate):
    """Gradients clipped by their global norm, as people write it: two lines around `tf.clip_by_global_norm`.

    One NaN or infinity among them, or a square that overflows (of a finite gradient beyond about 1e19), makes
    every gradient NaN, and with them every weight.
    """

    def __init__(self, optimizer: keras.optimizers.Optimizer, clip_norm: float) -> None:
        super().__init__(optimizer)
        self._clip_norm = clip_norm

    def _prepare(self, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
        clipped, _ = tf.clip_by_global_norm(gradients, self._clip_norm)
        return list(clipped)


class ZeroedUpdate(ClippedUpdate):
    """Elements that are not finite replaced by zeros, then clipped by the global norm: what many loops have.

    The weights stay finite through NaN and infinity, yet it is no skip: Adam's moments decay, its step counter
    runs on, and the weights move by the momentum of the batches before. Finite gradients beyond about 1e19 pass
    the zeros, their norm overflows, and `tf.clip_by_global_norm` makes them, and every weight, NaN.
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

"""The ladder of protections against gradients that explode: each rung one more than the one before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import keras
import tensorflow as tf

from seqgan.config import Config
from seqgan.guard import GuardedUpdate
from seqgan.unguarded import ClippedUpdate, PlainUpdate, ZeroedUpdate


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


BY_NAME: dict[str, Callable[[keras.optimizers.Optimizer, Config], Update]] = {
    "none": lambda optimizer, _: PlainUpdate(optimizer),
    "clip": lambda optimizer, config: ClippedUpdate(optimizer, config.clip_norm),
    "clip+zero": lambda optimizer, config: ZeroedUpdate(optimizer, config.clip_norm),
    "clip+skip": lambda optimizer, config: GuardedUpdate(optimizer, config.clip_norm),
    "guard": lambda optimizer, config: GuardedUpdate(optimizer, config.clip_norm, config.clip_ratio),
}

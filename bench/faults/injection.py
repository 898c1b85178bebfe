"""Putting a fault where the gradients come from: inside the graph, on the device."""

from __future__ import annotations

import math
from types import TracebackType
from typing import Any, Self

import tensorflow as tf

from bench.faults.fault import Fault
from bench.loop import variable_name


class Injector:
    """While entered, every `tf.GradientTape.gradient` that is traced can be made to go wrong.

    A loop must be built and trace its functions inside. The switch is a variable on the device, so that one
    traced graph serves the batches with the fault and those without; while it is off, each gradient passes
    bit for bit as it is.

    Attributes:
        hit: how many gradients have been traced that the fault can hit.
    """

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.hit = 0
        self._on = tf.Variable(0.0, trainable=False, name="fault_is_on")
        self._strikes = tf.Variable(0.0, trainable=False, name="times_the_fault_has_struck")
        self._gradient = tf.GradientTape.gradient

    def __enter__(self) -> Self:
        genuine, injector = self._gradient, self

        def gradient(tape: tf.GradientTape, target: Any, sources: Any, *args: Any, **kwargs: Any) -> Any:
            found = genuine(tape, target, sources, *args, **kwargs)
            before = injector.hit
            corrupted = tf.nest.map_structure(injector._corrupt, sources, found, check_types=False)
            if injector.hit > before:
                injector._strikes.assign_add(injector._on)
            return corrupted

        tf.GradientTape.gradient = gradient
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        tf.GradientTape.gradient = self._gradient

    def arm(self) -> None:
        """From here on the fault happens."""
        self._on.assign(1.0)

    def disarm(self) -> None:
        """From here on it does not."""
        self._on.assign(0.0)

    def struck(self) -> bool:
        """Whether the fault has happened; reads the device."""
        return float(self._strikes.numpy()) > 0

    def _corrupt(self, source: Any, gradient: Any) -> Any:
        if gradient is None or not self.fault.hits(_name(source)):
            return gradient
        self.hit += 1
        if isinstance(gradient, tf.IndexedSlices):
            return tf.IndexedSlices(self._switch(gradient.values), gradient.indices, gradient.dense_shape)
        return self._switch(gradient)

    def _switch(self, gradient: tf.Tensor) -> tf.Tensor:
        # A choice and no arithmetic: multiplying by 1 could already change a bit under XLA.
        return tf.where(self._on > 0.0, _faulty(self.fault, gradient), gradient)


def _faulty(fault: Fault, gradient: tf.Tensor) -> tf.Tensor:
    if fault.kind == "scale":
        return gradient * tf.cast(fault.factor, gradient.dtype)
    return tf.fill(tf.shape(gradient), tf.cast(math.nan if fault.kind == "nan" else math.inf, gradient.dtype))


def _name(source: Any) -> str:
    """Of a variable; a plain tensor that a tape watches has none in eager mode."""
    try:
        return variable_name(source)
    except AttributeError:
        return ""

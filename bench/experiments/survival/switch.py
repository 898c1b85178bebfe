"""A fault inside a graph, that can be on or off: traced once, for the batches with it and those without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from loop_bench.experiments.survival.fault import Fault
from loop_bench.variables import made_alone, replica_here


class _State:
    """The variables of a switch on one device."""

    def __init__(self, fault: Fault) -> None:
        self.on = tf.Variable(False, trainable=False, name="fault_is_on")
        # Of 64 bits, and so is the product: 0 times a factor beyond a float16 is 0 still.
        self.factor = tf.Variable(1.0, trainable=False, dtype=tf.float64, name="fault_factor")
        scales = fault.kind == "scale"
        self.scales = tf.Variable(scales, trainable=False, name="fault_scales")
        self.number = tf.Variable(0.0 if scales else float(fault.kind), trainable=False, name="fault_number")
        self.strikes = tf.Variable(0, dtype=tf.int64, trainable=False, name="times_the_fault_has_struck")


class Switch:
    """Makes numbers go wrong while it is on.

    Its state is in variables on the device, which traced functions capture. While it is off, every number passes bit
    for bit as it is: what is chosen between is the genuine tensor and the faulty one, and nothing is computed with
    the genuine one. (Multiplying by 1 could already change a bit under XLA.) What kind of fault it is, is such a
    variable, too: so XLA compiles one program for all kinds, which a cache of programs then holds already.

    Under a `tf.distribute` strategy each replica has such variables on its device, for XLA lets no program read those
    of another one.
    """

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._is_on = False
        self._factor = 1.0
        self._states: dict[str | None, _State] = {}  # by device; None: wherever TensorFlow puts them

    @property
    def _state(self) -> _State:
        """Made when it is first asked for: before the loop's factory has run, it may still configure devices."""
        device = _device_of_replica()
        if device not in self._states:
            self._states[device] = made_alone(self._made, device)
        return self._states[device]

    def _made(self) -> _State:
        state = _State(self._fault)
        state.on.assign(self._is_on)
        state.factor.assign(self._factor)
        return state

    def prepare(self) -> None:
        """Has the variables there; to be called as soon as the loop is built."""
        _ = self._state

    def set(self, strength: float | None) -> None:
        """From here on the fault happens with this factor, or it does not."""
        self._is_on = strength is not None
        self._factor = 1.0 if strength is None else strength
        if not self._is_on and not self._states:  # as after a factory that has failed
            return
        self.prepare()
        for state in self._states.values():
            state.on.assign(self._is_on)
            state.factor.assign(self._factor)

    def strikes(self) -> int:
        """How often the fault has happened, all replicas together; reads the device."""
        self.prepare()
        return sum(int(state.strikes.numpy()) for state in self._states.values())

    def count(self) -> None:
        """To be called where something is made to go wrong, once for all that is at that place."""
        self._state.strikes.assign_add(tf.cast(self._state.on, tf.int64))

    def takes(self, value: Any) -> bool:
        """Whether `value` is of the kind whose numbers can go wrong."""
        if isinstance(value, tf.IndexedSlices):
            value = value.values
        if isinstance(value, np.ndarray):
            return value.dtype.kind in "fiu"
        return isinstance(value, tf.Tensor) and (value.dtype.is_floating or value.dtype.is_integer)

    def corrupt(self, value: Any) -> Any:
        """The tensor, IndexedSlices or array `value` as the fault leaves it."""
        if isinstance(value, np.ndarray):
            if tf.inside_function():  # a constant of the graph, which outlives this moment
                return self.corrupt(tf.constant(value))
            return self.corrupt(tf.constant(value)).numpy() if self._is_on else value
        if isinstance(value, tf.IndexedSlices):
            return tf.IndexedSlices(self.corrupt(value.values), value.indices, value.dense_shape)
        hit = self._state.on.read_value()
        if self._fault.extent == "element":
            hit &= tf.reshape(tf.equal(tf.range(tf.size(value)), 0), tf.shape(value))
        if value.dtype.is_integer:
            return tf.where(hit, tf.constant(value.dtype.max, value.dtype), value)
        factor, scales = self._state.factor.read_value(), self._state.scales.read_value()
        number = tf.cast(self._state.number.read_value(), value.dtype)

        # The gradient of tf.where adds a zero, of the side that was not chosen: it takes its sign from another zero.
        @tf.custom_gradient
        def chosen(value: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
            def gradient(upstream: tf.Tensor) -> tf.Tensor:
                faulty = tf.where(scales, _product(upstream, factor), tf.zeros_like(upstream))
                return tf.where(hit, faulty, upstream)

            faulty = tf.where(scales, _product(value, factor), number)
            return tf.where(hit, faulty, value), gradient

        return chosen(value)


def _product(value: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.cast(value, tf.float64) * factor, value.dtype)


def _device_of_replica() -> str | None:
    """That of the replica in whose context this is traced or run; None without a strategy."""
    if not tf.distribute.has_strategy() or (replica := replica_here()) is None:
        return None
    devices: Sequence[str] = tf.distribute.get_strategy().extended.worker_devices
    return devices[replica % len(devices)]

"""The switch that turns a fault inside a graph on and off, so that the graph is traced only once."""

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
        # In 64 bits, like the product: 0 times a factor too large for float16 must stay 0.
        self.factor = tf.Variable(1.0, trainable=False, dtype=tf.float64, name="fault_factor")
        scales = fault.kind == "scale"
        self.scales = tf.Variable(scales, trainable=False, name="fault_scales")
        self.number = tf.Variable(0.0 if scales else float(fault.kind), trainable=False, name="fault_number")
        self.strikes = tf.Variable(0, dtype=tf.int64, trainable=False, name="times_the_fault_has_struck")


class Switch:
    """Corrupts tensors while it is on.

    Its state is in variables on the device, which traced functions capture. While it is off, every number passes bit
    for bit: the graph selects the original tensor or the faulty one, and computes nothing with the original.
    (Multiplying by 1 could already change a bit under XLA.) The kind of fault is in a variable as well, so that XLA
    compiles one program for all kinds, and its cache of programs serves them all.

    Under a `tf.distribute` strategy each replica has these variables on its own device, because an XLA program cannot
    read those of another device.
    """

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._is_on = False
        self._factor = 1.0
        self._states: dict[str | None, _State] = {}  # by device; None: TensorFlow's default placement

    @property
    def _state(self) -> _State:
        """The state on the current device; made on first use, because the loop's factory may configure devices."""
        device = _device_of_replica()
        if device not in self._states:
            self._states[device] = made_alone(self._make_state, device)
        return self._states[device]

    def _make_state(self) -> _State:
        state = _State(self._fault)
        state.on.assign(self._is_on)
        state.factor.assign(self._factor)
        return state

    def prepare(self) -> None:
        """Makes the variables; called as soon as the loop is built."""
        _ = self._state

    def set(self, strength: float | None) -> None:
        """Switches the fault on with this factor, or off (None)."""
        self._is_on = strength is not None
        self._factor = 1.0 if strength is None else strength
        if not self._is_on and not self._states:  # no loop was built, for example because its factory failed
            return
        self.prepare()
        for state in self._states.values():
            state.on.assign(self._is_on)
            state.factor.assign(self._factor)

    def strikes(self) -> int:
        """The number of times that the fault has happened, on all replicas together; reads the device."""
        self.prepare()
        return sum(int(state.strikes.numpy()) for state in self._states.values())

    def count(self) -> None:
        """Adds to the strikes if the fault is on; called once for all tensors that are corrupted together."""
        self._state.strikes.assign_add(tf.cast(self._state.on, tf.int64))

    def takes(self, value: Any) -> bool:
        """Whether `value` is a tensor, IndexedSlices or array of numbers, which can be corrupted."""
        if isinstance(value, tf.IndexedSlices):
            value = value.values
        if isinstance(value, np.ndarray):
            return value.dtype.kind in "fiu"
        return isinstance(value, tf.Tensor) and (value.dtype.is_floating or value.dtype.is_integer)

    def corrupt(self, value: Any) -> Any:
        """Corrupts a tensor, IndexedSlices or array if the fault is on, otherwise returns its numbers unchanged."""
        if isinstance(value, np.ndarray):
            if tf.inside_function():  # a constant of the graph, in which the fault can be switched on later
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

        # A custom gradient, because that of tf.where adds the zero of the other branch, which can change a zero's sign.
        @tf.custom_gradient
        def selected(value: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
            def gradient(upstream: tf.Tensor) -> tf.Tensor:
                faulty = tf.where(scales, _product(upstream, factor), tf.zeros_like(upstream))
                return tf.where(hit, faulty, upstream)

            faulty = tf.where(scales, _product(value, factor), number)
            return tf.where(hit, faulty, value), gradient

        return selected(value)


def _product(value: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.cast(value, tf.float64) * factor, value.dtype)


def _device_of_replica() -> str | None:
    """The device of the replica in whose context the caller is traced or run; None: there is no strategy."""
    if not tf.distribute.has_strategy() or (replica := replica_here()) is None:
        return None
    devices: Sequence[str] = tf.distribute.get_strategy().extended.worker_devices
    return devices[replica % len(devices)]

"""Replicas of a loop on several devices that share each batch, and the conversion between batches and their parts.

`tf.distribute` manages the devices and the exchange between them; each replica computes its part (`seqgan.part`) with
networks of its own. The networks' weights are plain variables on the replica's device, made outside the strategy's
scope: a distributed variable, or an optimizer made inside, would exchange gradients itself, past XLA and the guard.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import tensorflow as tf

from loop_bench.seqgan.checkpoint import variable_name
from loop_bench.seqgan.config import Config
from loop_bench.seqgan.errors import InputError
from loop_bench.seqgan.part import WHOLE, Part, Share

Made = TypeVar("Made")
Result = TypeVar("Result")


class Replicas(Protocol):
    """All replicas of a loop on this machine."""

    def make(self, make: Callable[[Part], Made]) -> list[Made]:
        """Makes one object for each replica, on the replica's device."""

    @property
    def here(self) -> int:
        """Index, in the list that `make` returned, of the replica in whose context this is traced; 0 outside."""

    def run(self, function: Callable[..., Result], *args: Any) -> Result:
        """Runs a function in every replica; its results have one value per replica, and arguments may have so too."""

    def graph(self, function: Callable[..., Result]) -> Callable[..., Result]:
        """A `tf.function` that runs a function in every replica, on its rows of tensors [B, ...] of the whole batch.

        Scalar results are plain tensors, because all replicas have the same; others have one value per replica.
        """

    def first(self, values: Result) -> Result:
        """Plain tensors of the first replica, for values that are the same in all replicas."""

    def gather(self, rows: tf.Tensor) -> tf.Tensor:
        """Rows of all replicas, in the order of the replicas."""

    def variables(self, of_each: Sequence[Sequence[Any]]) -> list[Any]:
        """Variables of the loop, given the variables of each replica."""

    def align(self, of_each: Sequence[Sequence[Any]]) -> None:
        """Copies the first replica's variables to the others, because it may have been trained or restored alone."""


class One:
    """A single replica, without a strategy."""

    here = 0

    def make(self, make: Callable[[Part], Made]) -> list[Made]:
        """See `Replicas`."""
        return [make(WHOLE)]

    def run(self, function: Callable[..., Result], *args: Any) -> Result:
        """See `Replicas`."""
        return function(*args)

    def graph(self, function: Callable[..., Result]) -> Callable[..., Result]:
        """See `Replicas`."""
        traced: Callable[..., Result] = tf.function(function)
        return traced

    def first(self, values: Result) -> Result:
        """See `Replicas`."""
        return values

    def gather(self, rows: tf.Tensor) -> tf.Tensor:
        """See `Replicas`."""
        return rows

    def variables(self, of_each: Sequence[Sequence[Any]]) -> list[Any]:
        """See `Replicas`."""
        return list(of_each[0])

    def align(self, of_each: Sequence[Sequence[Any]]) -> None:
        """See `Replicas`."""


class Several:
    """Several replicas, each on its own device.

    Args:
        strategy: strategy over the devices; its replicas are those of all machines.
        batch: lines in a batch of all replicas together.
        compiled: whether XLA compiles the computation between two exchanges.
    """

    def __init__(self, strategy: tf.distribute.Strategy, batch: int, compiled: bool) -> None:
        self._strategy = strategy
        self._devices: tuple[str, ...] = strategy.extended.worker_devices
        self._batch = batch
        self._compiled = compiled
        self._parts: list[Part] = []
        self._graphs: dict[Callable[..., Any], Callable[..., Any]] = {}

    def make(self, make: Callable[[Part], Made]) -> list[Made]:
        """See `Replicas`."""
        count = self._strategy.num_replicas_in_sync
        made: list[Made] = []
        self._parts = []
        for index, device in enumerate(self._devices, start=_worker() * len(self._devices)):
            with tf.device(device):
                self._parts.append(Share(index, count, self._batch, self._compiled))
                made.append(make(self._parts[-1]))
        return made

    @property
    def here(self) -> int:
        """See `Replicas`."""
        context = tf.distribute.get_replica_context()
        if context is None or context.strategy is not self._strategy:
            return 0
        return int(tf.get_static_value(context.replica_id_in_sync_group)) % len(self._devices)

    def run(self, function: Callable[..., Result], *args: Any) -> Result:
        """See `Replicas`; outside a graph it makes one graph call, because a strategy alone would run op by op."""
        run = functools.partial(self._strategy.run, function)
        if tf.executing_eagerly() and function not in self._graphs:
            self._graphs[function] = tf.function(lambda *given: run(given), autograph=False)
        found: Result = self._graphs[function](*args) if tf.executing_eagerly() else run(args)
        return found

    def graph(self, function: Callable[..., Result]) -> Callable[..., Result]:
        """See `Replicas`."""

        @functools.wraps(function)  # keeps the names of the arguments, by which faults are injected
        def everywhere(*args: Any) -> Result:
            def of_one(*given: Any) -> Result:
                rows = self._parts[self.here].rows
                return function(*(rows(each) if self._is_of_batch(each) else each for each in given))

            found = self._strategy.run(of_one, args)
            local = self._strategy.experimental_local_results
            plain: Result = tf.nest.map_structure(
                lambda each: each if local(each)[0].shape.rank else local(each)[0], found
            )
            return plain

        traced: Callable[..., Result] = tf.function(everywhere, autograph=False)
        return traced

    def _is_of_batch(self, value: Any) -> bool:
        """Whether a tensor has the rows of all replicas, by size: one replica's values may be plain tensors too."""
        return isinstance(value, tf.Tensor) and value.shape.rank > 0 and value.shape[0] == self._batch

    def first(self, values: Result) -> Result:
        """See `Replicas`."""
        found: Result = tf.nest.map_structure(lambda each: self._strategy.experimental_local_results(each)[0], values)
        return found

    def gather(self, rows: tf.Tensor) -> tf.Tensor:
        """See `Replicas`."""
        return self._strategy.gather(rows, axis=0)

    def variables(self, of_each: Sequence[Sequence[Any]]) -> list[Any]:
        """See `Replicas`."""
        return [ReplicatedVariable(values) for values in zip(*of_each, strict=True)]

    def align(self, of_each: Sequence[Sequence[Any]]) -> None:
        """See `Replicas`."""
        for first, *others in zip(*of_each, strict=True):
            for other in others:
                other.assign(tf.convert_to_tensor(first))


class ReplicatedVariable:
    """Equal variables of all replicas as one variable, for the loop's `variables`.

    Has `values`, as `tf.distribute.DistributedValues` does, and the attributes of a variable that a harness or a
    checkpoint uses: `name`, `path`, `shape`, `dtype`, `trainable`, `device`, `numpy` and its value as a tensor are
    those of the first replica's variable.

    Args:
        values: variable of each replica on this machine, Keras' or TensorFlow's.
    """

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = tuple(values)

    def __getattr__(self, name: str) -> Any:
        if name == "values" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.values[0], name)

    def assign(self, value: Any) -> None:
        """Assigns the same value to the variable of each replica."""
        for each in self.values:
            each.assign(value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values[0].numpy(), dtype)

    def __tf_tensor__(self, dtype: tf.DType | None = None, name: str | None = None) -> tf.Tensor:
        return tf.convert_to_tensor(self.values[0], dtype, name=name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {variable_name(self)} shape={tuple(self.shape)} of {len(self.values)} replicas>"


def replicas(config: Config, compiled: bool) -> Replicas:
    """Replicas of a loop, as many as `config.replicas`.

    Args:
        config: config of the loop.
        compiled: whether XLA compiles the computation between two exchanges.

    Raises:
        InputError: there are fewer devices than replicas.
    """
    if config.replicas == 1:
        return One()
    return Several(_strategy(config.replicas), config.batch_size, compiled)


def reserve_devices(config: Config) -> None:
    """Configures as many devices as the config has replicas.

    Without a GPU, the CPU is divided into logical devices. If TF_CONFIG names several machines, they are connected.
    Call this before anything else starts TensorFlow's devices.

    Raises:
        InputError: there are fewer GPUs than replicas, or the CPU can no longer be divided.
    """
    if config.replicas == 1:
        return
    if len(_workers()) > 1:
        _strategy(config.replicas)
    else:
        _devices(config.replicas)


@functools.lru_cache
def _strategy(count: int) -> tf.distribute.Strategy:
    """Strategy over all machines in TF_CONFIG, or over this machine's devices; cached for all loops of the process."""
    if len(_workers()) > 1:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        if strategy.num_replicas_in_sync != count:
            there = f"{len(_workers())} machines have {strategy.num_replicas_in_sync} devices together"
            raise InputError(f"config: replicas={count}: TF_CONFIG's {there}")
        return strategy
    return tf.distribute.MirroredStrategy(_devices(count))


def _devices(count: int) -> list[str]:
    """Names of GPUs if TensorFlow sees any, else of logical devices of the CPU.

    Logical devices share the CPU's cores: they serve to test that replicas work, not to train faster.
    """
    physical = tf.config.list_physical_devices("GPU")
    kind = "GPU" if physical else "CPU"
    if not physical:
        _divide_cpu(count)
    found = tf.config.list_logical_devices(kind)
    if len(found) < count:
        late = "" if physical else ", because it was started before the loop could configure more"
        raise InputError(f"config: replicas={count}: TensorFlow has {len(found)} {kind}{'s' * (len(found) > 1)}{late}")
    return [f"/{kind.lower()}:{index}" for index in range(count)]


def _divide_cpu(count: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    configured = tf.config.get_logical_device_configuration(cpu)
    if configured is not None and len(configured) >= count:
        return
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    except RuntimeError:  # the devices have been started; the caller checks whether there are enough
        return


def _workers() -> Sequence[str]:
    """Addresses of the machines in TF_CONFIG, the chief's first; empty without TF_CONFIG."""
    cluster = _tf_config().get("cluster", {})
    return [*cluster.get("chief", ()), *cluster.get("worker", ())]


def _worker() -> int:
    """Index of this machine among the machines in TF_CONFIG."""
    said = _tf_config()
    task, chiefs = said.get("task", {}), said.get("cluster", {}).get("chief", ())
    return int(task.get("index", 0)) + (len(chiefs) if task.get("type") == "worker" else 0)


def _tf_config() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(os.environ.get("TF_CONFIG") or "{}")
    return found

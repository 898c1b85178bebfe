"""The devices that share each batch of a loop, and the way from a batch to their parts and back.

`tf.distribute` has the devices and the exchange between them; what a replica computes is its own affair
(`seqgan.part`), on networks of its own. Those are plain variables on its device, made outside of the strategy's scope:
a distributed variable, or an optimizer made within, would exchange gradients by itself, past XLA and past the guard.
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
        """One of each replica, made on its device."""

    @property
    def here(self) -> int:
        """The place, in what `make` gave, of the replica in whose context this is traced; 0 in none's."""

    def run(self, function: Callable[..., Result], *args: Any) -> Result:
        """Runs a function in every replica; what it gives has one value for each, as have those args that came so."""

    def graph(self, function: Callable[..., Result]) -> Callable[..., Result]:
        """A `tf.function` of it that runs in every replica, on its rows of tensors [B, ...] of the whole batch.

        Scalars that it gives are plain, for they are the same in all; other tensors have a value for each replica.
        """

    def first(self, values: Result) -> Result:
        """Plain tensors of the first replica, where all have the same."""

    def gather(self, rows: tf.Tensor) -> tf.Tensor:
        """The rows of all replicas, in their order."""

    def variables(self, of_each: Sequence[Sequence[Any]]) -> list[Any]:
        """The variables of a loop, given those of each replica."""

    def align(self, of_each: Sequence[Sequence[Any]]) -> None:
        """Gives all replicas what the first one has: it may have been trained, or restored, by itself."""


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
    """Replicas on devices of their own.

    Args:
        strategy: over the devices; its replicas are those of all machines.
        batch: lines in a batch, of all replicas together.
        compiled: whether XLA compiles what lies between two exchanges.
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
        """See `Replicas`; outside of a graph it is one graph call, and a strategy alone would go op by op."""
        run = functools.partial(self._strategy.run, function)
        if tf.executing_eagerly() and function not in self._graphs:
            self._graphs[function] = tf.function(lambda *given: run(given), autograph=False)
        found: Result = self._graphs[function](*args) if tf.executing_eagerly() else run(args)
        return found

    def graph(self, function: Callable[..., Result]) -> Callable[..., Result]:
        """See `Replicas`."""

        @functools.wraps(function)  # by the names of whose arguments a fault finds its way
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
        """Whether a tensor has the rows of all replicas; a single one's are not marked where each machine has one."""
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
    """A variable that every replica has one of, all with the same value: what a loop shows of its state.

    Has what `tf.distribute.DistributedValues` has, `values`, and of a variable what a harness or a checkpoint asks for:
    `name`, `path`, `shape`, `dtype`, `trainable`, `device`, `numpy` and its value as a tensor are those of the first.

    Args:
        values: the variable of each replica on this machine, Keras' or TensorFlow's.
    """

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = tuple(values)

    def __getattr__(self, name: str) -> Any:
        if name == "values" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.values[0], name)

    def assign(self, value: Any) -> None:
        """Gives each replica's the same value."""
        for each in self.values:
            each.assign(value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values[0].numpy(), dtype)

    def __tf_tensor__(self, dtype: tf.DType | None = None, name: str | None = None) -> tf.Tensor:
        return tf.convert_to_tensor(self.values[0], dtype, name=name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {variable_name(self)} shape={tuple(self.shape)} of {len(self.values)} replicas>"


def replicas(config: Config, compiled: bool) -> Replicas:
    """The replicas of a loop with `config.replicas`.

    Args:
        config: of the loop.
        compiled: whether XLA compiles what lies between two exchanges.

    Raises:
        InputError: there are fewer devices.
    """
    if config.replicas == 1:
        return One()
    return Several(_strategy(config.replicas), config.batch_size, compiled)


def reserve_devices(config: Config) -> None:
    """Sees to it that there are as many devices as the config has replicas.

    Without a GPU, the CPU is divided into logical devices. Where TF_CONFIG names several machines, they find each
    other. Both are to be done before anything else starts TensorFlow's devices.

    Raises:
        InputError: there are fewer devices than replicas, and it is too late to have more, or they are GPUs.
    """
    if config.replicas == 1:
        return
    if len(_workers()) > 1:
        _strategy(config.replicas)
    else:
        _devices(config.replicas)


@functools.lru_cache
def _strategy(count: int) -> tf.distribute.Strategy:
    """Over all machines that TF_CONFIG names, or over devices of this one; kept, for all loops of a process."""
    if len(_workers()) > 1:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        if strategy.num_replicas_in_sync != count:
            there = f"{len(_workers())} machines have {strategy.num_replicas_in_sync} devices together"
            raise InputError(f"config: replicas={count}: TF_CONFIG's {there}")
        return strategy
    return tf.distribute.MirroredStrategy(_devices(count))


def _devices(count: int) -> list[str]:
    """GPUs if TensorFlow sees any, else logical devices of the CPU.

    On a CPU they share its cores: of use to find out whether something works, and not to be faster.
    """
    physical = tf.config.list_physical_devices("GPU")
    kind = "GPU" if physical else "CPU"
    if not physical:
        _divide_cpu(count)
    found = tf.config.list_logical_devices(kind)
    if len(found) < count:
        late = "" if physical else ", for it had been started before a loop could ask for more"
        raise InputError(f"config: replicas={count}: TensorFlow has {len(found)} {kind}{'s' * (len(found) > 1)}{late}")
    return [f"/{kind.lower()}:{index}" for index in range(count)]


def _divide_cpu(count: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    configured = tf.config.get_logical_device_configuration(cpu)
    if configured is not None and len(configured) >= count:
        return
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    except RuntimeError:  # devices have been started, and whether there are enough is for the caller to see
        return


def _workers() -> Sequence[str]:
    """Addresses of the machines that TF_CONFIG names, the chief's first; none without it."""
    cluster = _tf_config().get("cluster", {})
    return [*cluster.get("chief", ()), *cluster.get("worker", ())]


def _worker() -> int:
    """The number of this machine among them."""
    said = _tf_config()
    task, chiefs = said.get("task", {}), said.get("cluster", {}).get("chief", ())
    return int(task.get("index", 0)) + (len(chiefs) if task.get("type") == "worker" else 0)


def _tf_config() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(os.environ.get("TF_CONFIG") or "{}")
    return found

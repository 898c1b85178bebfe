"""Per-batch metrics of a Keras model, written to variables on the device while `fit` trains."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from loop_bench.loops.metrics import as_tensor, is_number, leaves
from loop_bench.variables import made_alone, replica_here

ROOM = 4096
"""Batches of one call of `fit` for which there is room from the start; a longer call retraces the step once."""


class KeptRows:
    """Keeps the metrics of each batch of a call of `fit` on the device, or on the device of each replica.

    `loss` is the batch's own loss as `compute_loss` returns it; the other metrics are what Keras shows, means since
    `fit` was called, and so is the `loss` of a step that does not call `compute_loss` exactly once. The losses of
    several replicas are summed, because each is scaled by the number of replicas (keras.optimizers); other metrics are
    averaged over the replicas.

    Args:
        model: the model; its methods `train_step` and `compute_loss` are wrapped permanently.
    """

    def __init__(self, model: Any) -> None:
        import tensorflow as tf

        self._model = model
        self._room = ROOM
        self._replicas = [_Rows(device) for device in _devices(model)]
        self._of_batches: set[str] = set()  # metrics whose replicas' values add up to the batch's value
        step, compute_loss = model.train_step, model.compute_loss

        # Without functools.wraps, which would copy the mark of a tf.function. Nor is the wrapper itself marked, so
        # that AutoGraph converts the user's step through it.
        def train_step(*args: Any, **kwargs: Any) -> Any:
            replica = self._replicas[replica_here() or 0]
            replica.losses.clear()
            logs = step(*args, **kwargs)
            keep(replica, logs)
            return logs

        keep = tf.autograph.experimental.do_not_convert(self._keep)

        def computed(*args: Any, **kwargs: Any) -> Any:
            loss = compute_loss(*args, **kwargs)
            self._replicas[replica_here() or 0].losses.append(loss)
            return loss

        model.train_step = train_step
        computed.__signature__ = inspect.signature(compute_loss)  # type: ignore[attr-defined]  # Keras inspects it
        model.compute_loss = computed
        model.make_train_function(force=True)

    def begin(self, batches: int) -> None:
        """Prepares for the metrics of a call of `fit` that trains `batches` batches."""
        if batches > self._room:
            self._room = 2 ** (batches - 1).bit_length()
            for replica in self._replicas:
                replica.rows.clear()
            self._model.make_train_function(force=True)
        for replica in self._replicas:
            replica.row.assign(0)

    def taken(self, batches: int, trained: str) -> dict[str, Any]:
        """The metrics of a call of `fit` by name, tensors [batches]; does not read the device.

        Args:
            batches: number of batches that the call was asked to train.
            trained: name of an extra metric: the number of batches that the call has trained.
        """
        import tensorflow as tf

        rows = {
            name: self._of_all(name, [replica.rows[name][:batches] for replica in self._replicas])
            for name in self._replicas[0].rows
        }
        return {**rows, trained: tf.fill([batches], self._replicas[0].row)} if rows else {}

    def _of_all(self, name: str, rows: Sequence[Any]) -> Any:
        """Combines the replicas' values of a metric."""
        import tensorflow as tf

        if len(rows) == 1:
            return rows[0]
        total = tf.add_n([tf.identity(values) for values in rows])
        return total if name in self._of_batches else total / len(rows)

    def _keep(self, replica: _Rows, logs: Any) -> None:
        import tensorflow as tf

        values = {name: as_tensor(value) for name, value in leaves(logs)} if isinstance(logs, Mapping) else {}
        if "loss" in values and len(replica.losses) == 1 and _is_of_this_graph(replica.losses[0]):
            values["loss"] = replica.losses[0]
            self._of_batches.add("loss")
        for name, value in values.items():
            value = tf.convert_to_tensor(value)
            if value.shape.rank == 0 and is_number(value.dtype):  # a metric per class is not a single number
                value = value if value.dtype.is_floating else tf.cast(value, tf.float64)
                replica.of(name, self._room, value.dtype).scatter_nd_update(replica.row[None, None], value[None])
        replica.row.assign_add(1)


class _Rows:
    """Variables in which one replica keeps its metrics.

    Attributes:
        row: index of the next row, an int64 variable [].
        rows: variables [room] by metric name.
        losses: losses computed so far in the step that is being traced, or run eagerly.
    """

    def __init__(self, device: str) -> None:
        import tensorflow as tf

        self._device = device
        self.row = made_alone(lambda: tf.Variable(0, dtype=tf.int64, trainable=False), device)
        self.rows: dict[str, Any] = {}
        self.losses: list[Any] = []

    def of(self, name: str, room: int, dtype: Any) -> Any:
        """The variable [room] of a metric, created at its first use."""
        import tensorflow as tf

        if name not in self.rows:
            self.rows[name] = made_alone(lambda: tf.Variable(tf.zeros([room], dtype), trainable=False), self._device)
        return self.rows[name]


def _devices(model: Any) -> Sequence[str]:
    """Devices of the model's replicas; without a strategy, the current device of the factory."""
    import tensorflow as tf

    try:
        devices: Sequence[str] = model.distribute_strategy.extended.worker_devices
    except RuntimeError:  # TensorFlow's default strategy
        return (tf.zeros([]).device,)
    return devices


def _is_of_this_graph(tensor: Any) -> bool:
    """Whether the current graph can use a tensor; one from a function that the step calls it cannot."""
    import tensorflow as tf

    return tf.executing_eagerly() or getattr(tensor, "graph", None) is tf.compat.v1.get_default_graph()

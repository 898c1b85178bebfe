"""What each training step of a Keras model gives, written into rows on the device while `fit` trains."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from loop_bench.loops.metrics import as_tensor, is_number, leaves
from loop_bench.variables import made_alone, replica_here

ROOM = 4096
"""Batches of one call of `fit` that there is room for from the start; for more, the step is traced once again."""


class KeptRows:
    """The metrics of each batch of a call of `fit`, on the device, or on each that has a replica of the model.

    `loss` is the batch's own, as `compute_loss` gives it; the others are what Keras shows, means since `fit` was
    called, and so is the `loss` of a step that does not call `compute_loss` once. Of several replicas the losses are
    added up, for each has its share of the batch's (keras.optimizers' scaling by the number of replicas); all else is
    the mean over them.

    Args:
        model: whose methods `train_step` and `compute_loss` are wrapped from here on.
    """

    def __init__(self, model: Any) -> None:
        import tensorflow as tf

        self._model = model
        self._room = ROOM
        self._replicas = [_Rows(device) for device in _devices(model)]
        self._of_batches: set[str] = set()  # metrics that each replica has its share of
        step, compute_loss = model.train_step, model.compute_loss

        # No functools.wraps: it would take over the mark of a tf.function. AutoGraph converts a step of the user's
        # through this one, and so it is not marked either.
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
        computed.__signature__ = inspect.signature(compute_loss)  # type: ignore[attr-defined]  # Keras asks for it
        model.compute_loss = computed
        model.make_train_function(force=True)

    def begin(self, batches: int) -> None:
        """Makes room for what a call of `fit` will give."""
        if batches > self._room:
            self._room = 2 ** (batches - 1).bit_length()
            for each in self._replicas:
                each.rows.clear()
            self._model.make_train_function(force=True)
        for each in self._replicas:
            each.row.assign(0)

    def taken(self, batches: int, trained: str) -> dict[str, Any]:
        """What a call of `fit` has given, by metric, tensors [batches]; reads nothing.

        Args:
            batches: that it was told to train.
            trained: a further metric, how many it has trained.
        """
        import tensorflow as tf

        rows = {
            name: self._of_all(name, [each.rows[name][:batches] for each in self._replicas])
            for name in self._replicas[0].rows
        }
        return {**rows, trained: tf.fill([batches], self._replicas[0].row)} if rows else {}

    def _of_all(self, name: str, rows: Sequence[Any]) -> Any:
        """A metric of all replicas."""
        import tensorflow as tf

        if len(rows) == 1:
            return rows[0]
        total = tf.add_n([tf.identity(each) for each in rows])
        return total if name in self._of_batches else total / len(rows)

    def _keep(self, replica: _Rows, logs: Any) -> None:
        import tensorflow as tf

        values = {name: as_tensor(value) for name, value in leaves(logs)} if isinstance(logs, Mapping) else {}
        if "loss" in values and len(replica.losses) == 1 and _is_of_this_graph(replica.losses[0]):
            values["loss"] = replica.losses[0]
            self._of_batches.add("loss")
        for name, value in values.items():
            value = tf.convert_to_tensor(value)
            if value.shape.rank == 0 and is_number(value.dtype):  # of a metric for each class there is no one number
                value = value if value.dtype.is_floating else tf.cast(value, tf.float64)
                replica.of(name, self._room, value.dtype).scatter_nd_update(replica.row[None, None], value[None])
        replica.row.assign_add(1)


class _Rows:
    """What one replica keeps.

    Attributes:
        row: the next one, a variable [].
        rows: variables [room] by metric.
        losses: of the step that is being traced, or computed eagerly.
    """

    def __init__(self, device: str) -> None:
        import tensorflow as tf

        self._device = device
        self.row = made_alone(lambda: tf.Variable(0, dtype=tf.int64, trainable=False), device)
        self.rows: dict[str, Any] = {}
        self.losses: list[Any] = []

    def of(self, name: str, room: int, dtype: Any) -> Any:
        """The rows of a metric."""
        import tensorflow as tf

        if name not in self.rows:
            self.rows[name] = made_alone(lambda: tf.Variable(tf.zeros([room], dtype), trainable=False), self._device)
        return self.rows[name]


def _devices(model: Any) -> Sequence[str]:
    """Devices of the model's replicas; without a strategy the one that the factory has chosen."""
    import tensorflow as tf

    try:
        found: Sequence[str] = model.distribute_strategy.extended.worker_devices
    except RuntimeError:  # the strategy of those that have none
        return (tf.zeros([]).device,)
    return found


def _is_of_this_graph(tensor: Any) -> bool:
    """Whether a tensor was not made in a function that the step calls, from which it cannot be taken."""
    import tensorflow as tf

    return tf.executing_eagerly() or getattr(tensor, "graph", None) is tf.compat.v1.get_default_graph()

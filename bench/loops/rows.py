"""What each training step of a Keras model gives, written into rows on the device while `fit` trains."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from loop_bench.loops.metrics import as_tensor, is_number, leaves

ROOM = 4096
"""Batches of one call of `fit` that there is room for from the start; for more, the step is traced once again."""


class KeptRows:
    """The metrics of each batch of a call of `fit`, on the device.

    `loss` is the batch's own, as `compute_loss` gives it; the others are what Keras shows, means since `fit` was
    called, and so is the `loss` of a step that does not call `compute_loss` once.

    Args:
        model: whose methods `train_step` and `compute_loss` are wrapped from here on.
    """

    def __init__(self, model: Any) -> None:
        import tensorflow as tf

        self._model = model
        self._room = ROOM
        self._rows: dict[str, Any] = {}  # variables [room] by metric
        self._row = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._losses: list[Any] = []
        step, compute_loss = model.train_step, model.compute_loss

        # No functools.wraps: it would take over the mark of a tf.function. AutoGraph converts a step of the user's
        # through this one, and so it is not marked either.
        def train_step(*args: Any, **kwargs: Any) -> Any:
            self._losses.clear()
            logs = step(*args, **kwargs)
            keep(logs)
            return logs

        keep = tf.autograph.experimental.do_not_convert(self._keep)

        def computed(*args: Any, **kwargs: Any) -> Any:
            loss = compute_loss(*args, **kwargs)
            self._losses.append(loss)
            return loss

        model.train_step = train_step
        computed.__signature__ = inspect.signature(compute_loss)  # type: ignore[attr-defined]  # Keras asks for it
        model.compute_loss = computed
        model.make_train_function(force=True)

    def begin(self, batches: int) -> None:
        """Makes room for what a call of `fit` will give."""
        if batches > self._room:
            self._room = 2 ** (batches - 1).bit_length()
            self._rows.clear()
            self._model.make_train_function(force=True)
        self._row.assign(0)

    def taken(self, batches: int, trained: str) -> dict[str, Any]:
        """What a call of `fit` has given, by metric, tensors [batches]; reads nothing.

        Args:
            batches: that it was told to train.
            trained: a further metric, how many it has trained.
        """
        import tensorflow as tf

        rows = {name: rows[:batches] for name, rows in self._rows.items()}
        return {**rows, trained: tf.fill([batches], self._row)} if rows else {}

    def _keep(self, logs: Any) -> None:
        import tensorflow as tf

        values = {name: as_tensor(value) for name, value in leaves(logs)} if isinstance(logs, Mapping) else {}
        if "loss" in values and len(self._losses) == 1 and _is_of_this_graph(self._losses[0]):
            values["loss"] = self._losses[0]
        for name, value in values.items():
            value = tf.convert_to_tensor(value)
            if value.shape.rank == 0 and is_number(value.dtype):  # of a metric for each class there is no one number
                value = value if value.dtype.is_floating else tf.cast(value, tf.float64)
                self._rows_of(name, value.dtype).scatter_nd_update(self._row[None, None], value[None])
        self._row.assign_add(1)

    def _rows_of(self, name: str, dtype: Any) -> Any:
        import tensorflow as tf

        if name not in self._rows:
            with tf.init_scope():
                self._rows[name] = tf.Variable(tf.zeros([self._room], dtype), trainable=False)
        return self._rows[name]


def _is_of_this_graph(tensor: Any) -> bool:
    """Whether a tensor was not made in a function that the step calls, from which it cannot be taken."""
    import tensorflow as tf

    return tf.executing_eagerly() or getattr(tensor, "graph", None) is tf.compat.v1.get_default_graph()

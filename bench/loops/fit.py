"""Adapter for Keras: a training loop around a model's own `fit`."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from loop_bench.loops.adapted import AdaptedLoop, Evaluate, batches_in
from loop_bench.loops.caller import Caller
from loop_bench.loops.metrics import Metrics
from loop_bench.loops.rows import KeptRows


def from_keras(
    model: Any,
    data: Any,
    *,
    steps_per_execution: int | None = None,
    callbacks: Sequence[Any] = (),
    evaluate: Evaluate | None = None,
) -> AdaptedLoop:
    """A loop that trains a model with its own `fit`; for Keras 3, and for Keras 2 as `tf.keras`.

    Each `run` is one call of `fit`, with one epoch of that many batches. The metrics of its steps stay on the device
    until `history()` is called; any read during training is made by Keras or by the callbacks. The history's `loss` is
    that of each batch if the model's step calls `compute_loss` once, as Keras' own step does; all other metrics are
    what Keras shows: means since `fit` was called. Metrics that are not a single number are left out.

    Args:
        model: a compiled model with a fresh optimizer. Its weights are created here if it has none.
        data: a tf.data.Dataset of batches as `fit` takes them, each for all replicas together. It repeats when it
            ends; each call of `run` resumes where the previous one stopped.
        steps_per_execution: batches in one call of Keras' graph; None: as the model was compiled. If it does not
            divide the batches of a `run`, the last graph call of the `run` has fewer.
        callbacks: Keras callbacks, passed to every `fit`.
        evaluate: returns numbers by name, for `loop-bench converge`.

    Returns:
        The loop. Its `history()` raises UsageError if `fit` has trained fewer batches than it was asked to.

    Raises:
        UsageError: the model is not compiled or spans several machines, or the data is not a tf.data.Dataset or has
            no batches.
    """
    import tensorflow as tf

    caller = Caller("from_keras")
    if getattr(model, "optimizer", None) is None:
        name = getattr(model, "name", type(model).__name__)
        raise caller.error(f"model {name!r} is not compiled: call its compile(optimizer, loss) first")
    strategy = model.distribute_strategy
    replicas = strategy.num_replicas_in_sync
    if replicas > 1 and replicas > len(strategy.extended.worker_devices):
        raise caller.error(
            f"the model has {replicas} replicas on several machines, but its history is kept on one: write a class "
            "with the methods of a training loop instead (loop_bench/loop.py)"
        )
    if not isinstance(data, tf.data.Dataset):
        raise caller.error(f"data is a {type(data).__name__}, but must be a tf.data.Dataset of batches")
    epoch = batches_in(data)
    if epoch == 0:
        raise caller.error(_NO_BATCHES)
    _make_weights(model, data)
    _build(model, data)
    if steps_per_execution is not None:
        model.steps_per_execution = steps_per_execution
    fit = _Fit(caller, model, [*callbacks], _endless(data))
    return AdaptedLoop(caller, fit.train, fit.history, lambda: _variables(model), evaluate, epoch)


class _Fit:
    """Trains a model by successive calls of `fit`, and keeps the metrics of each batch.

    Args:
        caller: the user's line that called the adapter.
        model: a compiled model.
        callbacks: Keras callbacks for each call.
        data: a dataset made by `_endless`.
    """

    def __init__(self, caller: Caller, model: Any, callbacks: list[Any], data: Any) -> None:
        self._caller, self._model, self._callbacks, self._data = caller, model, callbacks, data
        self._kept = KeptRows(model)
        self._metrics = Metrics(lambda what: caller.error(f"train_step returns {what}"))
        self._asked: list[int] = []  # for each batch, how many batches its call of `fit` was to train

    def train(self, batches: int) -> None:
        """Trains `batches` batches in one call of `fit`."""
        self._kept.begin(batches)
        try:
            self._model.fit(self._data.take(batches), callbacks=self._callbacks, shuffle=False, verbose=0)
        except Exception as error:
            if _ENDED in str(error):  # repeated data end only if they have no batch
                raise self._caller.error(_NO_BATCHES) from error
            raise
        self._metrics.add_batches(self._kept.taken(batches, _TRAINED), batches)
        self._asked += [batches] * batches

    def history(self) -> dict[str, np.ndarray]:
        """The metrics by name, [batches] each."""
        metrics = self._metrics.history()
        for asked, trained in zip(self._asked, metrics.pop(_TRAINED, ()), strict=True):
            if trained != asked:
                raise self._caller.error(f"fit has trained {trained:g} of {asked} batches: a callback has stopped it")
        return metrics


_TRAINED = "batches trained in the call"
"""Extra metric beside the model's own: the number of batches that the call of `fit` trained."""

_NO_BATCHES = "data has no batches"

_ENDED = "Function invocation produced OutOfRangeError"
"""Part of tf.data's error message when a dataset that another dataset reads from ends."""


def _endless(data: Any) -> Any:
    """A repeated dataset whose iterators share one position, so that each `fit` resumes where the last one stopped."""
    import tensorflow as tf

    iterator = iter(data.repeat())
    return tf.data.Dataset.range(np.iinfo(np.int64).max).map(lambda _: iterator.get_next())


def _make_weights(model: Any, data: Any) -> None:
    """Builds the model's weights now rather than in its first batch, so that faults can be injected into them."""
    import tensorflow as tf

    if model.built:
        return
    spec = data.element_spec
    inputs = spec[0] if isinstance(spec, tuple) else spec
    with contextlib.suppress(Exception):  # if the model does not fit its data, `fit` raises a clearer error
        tf.function(lambda inputs: model(inputs), autograph=False).get_concrete_function(inputs)


_STRATEGY, _BUILD = "_distribute_strategy", "_maybe_symbolic_build"
"""Private attributes of Keras 3's models: the model's tf.distribute strategy, and the method with which `fit` builds
the model's metrics."""


def _build(model: Any, data: Any) -> None:
    """Builds the metrics of a model under a strategy now: otherwise each `fit` would consume batches of the data."""
    if getattr(model, _STRATEGY, None) is not None and hasattr(model, _BUILD):
        getattr(model, _BUILD)(data_batch=_like_a_batch(data))
        setattr(model, _BUILD, lambda *args, **kwargs: None)


def _like_a_batch(data: Any) -> Any:
    """Zeros shaped like a batch; if the dataset's shapes are unknown, a batch of the data."""
    import tensorflow as tf

    try:
        return tf.nest.map_structure(
            lambda spec: tf.zeros([size or 1 for size in spec.shape], spec.dtype), data.element_spec
        )
    except (TypeError, ValueError, AttributeError):  # of unknown rank, ragged, sparse
        return next(iter(data), None)


def _variables(model: Any) -> list[Any]:
    """The model's weights and the state of all its optimizers: a model of several networks may have several."""
    weights = model.variables if model.built else []
    optimizers = [model.optimizer, *(value for value in vars(model).values() if hasattr(value, "apply_gradients"))]
    variables = [*weights, *(variable for optimizer in optimizers for variable in _state(optimizer))]
    return [*{id(variable): variable for variable in variables}.values()]


def _state(optimizer: Any) -> list[Any]:
    """The variables of an optimizer; in tf.keras.optimizers.legacy, `variables` is a method."""
    variables = optimizer.variables
    return [*(variables() if callable(variables) else variables)]

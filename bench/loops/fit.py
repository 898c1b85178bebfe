"""A loop that trains a Keras model with its own `fit`."""

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
    """A loop that trains with the model's own `fit`; Keras 3, and Keras 2 where `tf.keras` is that.

    Each `run` is one call of `fit`, for an epoch of so many batches. What its steps give is kept on the device until
    the history is asked for; what is read while it trains, Keras or the callbacks read. The history's `loss` is that
    of each batch, if the model's step calls `compute_loss` once, as Keras' own does; all else is as Keras shows it,
    means since `fit` was called. What is no single number is left out.

    Args:
        model: compiled, with a fresh optimizer. It makes its weights here if it has none.
        data: a tf.data.Dataset of batches as `fit` takes them, each of all replicas together; begun again when it
            ends, and gone on with, from one call of `run` to the next.
        steps_per_execution: batches in a call of Keras' graph; None: as the model was compiled. The last call of the
            graph in each `run` has fewer where it does not divide the batches.
        callbacks: of Keras, for every `fit`.
        evaluate: gives numbers by name, for `loop-bench converge`.

    Returns:
        The loop. Its `history()` raises UsageError if `fit` has trained fewer batches than it was asked for.

    Raises:
        UsageError: the model is not compiled or is on several machines, or the data is no tf.data.Dataset or has no
            batches.
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
            "(loop_bench/loop.py)"
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
    """Calls of `fit`, one after the other.

    Args:
        caller: whose they are.
        model: compiled.
        callbacks: for each call.
        data: see `_endless`.
    """

    def __init__(self, caller: Caller, model: Any, callbacks: list[Any], data: Any) -> None:
        self._caller, self._model, self._callbacks, self._data = caller, model, callbacks, data
        self._kept = KeptRows(model)
        self._metrics = Metrics(lambda what: caller.error(f"train_step gives {what}"))
        self._asked: list[int] = []  # for each batch, of how many its call of `fit` was to be

    def train(self, batches: int) -> None:
        """Trains that many batches in one call."""
        self._kept.begin(batches)
        try:
            self._model.fit(self._data.take(batches), callbacks=self._callbacks, shuffle=False, verbose=0)
        except Exception as error:
            if _ENDED in str(error):  # though they are repeated
                raise self._caller.error(_NO_BATCHES) from error
            raise
        self._metrics.add_batches(self._kept.taken(batches, _TRAINED), batches)
        self._asked += [batches] * batches

    def history(self) -> dict[str, np.ndarray]:
        """The metrics by name, [batches]."""
        found = self._metrics.history()
        for asked, trained in zip(self._asked, found.pop(_TRAINED, ()), strict=True):
            if trained != asked:
                raise self._caller.error(f"fit has trained {trained:g} of {asked} batches: a callback has stopped it")
        return found


_TRAINED = "batches trained in the call"
"""A metric beside those of the model: how many batches each batch's call of `fit` has trained."""

_NO_BATCHES = "data has no batches"

_ENDED = "Function invocation produced OutOfRangeError"
"""In what tf.data says where data end inside of other data."""


def _endless(data: Any) -> Any:
    """A dataset all of whose iterators take from one: `fit` makes its own in each call, and would begin anew."""
    import tensorflow as tf

    iterator = iter(data.repeat())
    return tf.data.Dataset.range(np.iinfo(np.int64).max).map(lambda _: iterator.get_next())


def _make_weights(model: Any, data: Any) -> None:
    """Has a model make its weights, which it else does in its first batch, where a fault in a weight comes too late."""
    import tensorflow as tf

    if model.built:
        return
    spec = data.element_spec
    inputs = spec[0] if isinstance(spec, tuple) else spec
    with contextlib.suppress(Exception):  # of a model that does not fit its data, of which `fit` says more
        tf.function(lambda inputs: model(inputs), autograph=False).get_concrete_function(inputs)


_STRATEGY, _BUILD = "_distribute_strategy", "_maybe_symbolic_build"
"""Of Keras 3's models, private: the strategy of tf.distribute that one was made under, and how `fit` then builds its
metrics."""


def _build(model: Any, data: Any) -> None:
    """Has a model under a strategy build its metrics now: each `fit` would else take a batch or more of the data."""
    if getattr(model, _STRATEGY, None) is not None and hasattr(model, _BUILD):
        getattr(model, _BUILD)(data_batch=_like_a_batch(data))
        setattr(model, _BUILD, lambda *args, **kwargs: None)


def _like_a_batch(data: Any) -> Any:
    """Zeros in the shape of a batch; where shapes do not tell it, a batch, with which data that are shuffled go on."""
    import tensorflow as tf

    try:
        return tf.nest.map_structure(
            lambda spec: tf.zeros([size or 1 for size in spec.shape], spec.dtype), data.element_spec
        )
    except (TypeError, ValueError, AttributeError):  # of unknown rank, ragged, sparse
        return next(iter(data), None)


def _variables(model: Any) -> list[Any]:
    """The weights, and the state of each optimizer: who trains several networks may have several."""
    weights = model.variables if model.built else []
    optimizers = [model.optimizer, *(each for each in vars(model).values() if hasattr(each, "apply_gradients"))]
    found = [*weights, *(variable for each in optimizers for variable in _state(each))]
    return [*{id(variable): variable for variable in found}.values()]


def _state(optimizer: Any) -> list[Any]:
    """The variables of an optimizer; those of tf.keras.optimizers.legacy come from a method."""
    found = optimizer.variables
    return [*(found() if callable(found) else found)]

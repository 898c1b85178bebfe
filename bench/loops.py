"""Loops that keep the contract of `loop_bench.loop`, made of what a project has: a Keras model, a step, a function.

Each is called in a factory, which makes everything anew from its seed, for the harness builds each loop several times:

    from loop_bench import loops

    def before(spec):
        tf.keras.utils.set_random_seed(spec.seed)
        return loops.from_keras(build_model(), data(), callbacks=[ReadLoss()])

    def after(spec):
        tf.keras.utils.set_random_seed(spec.seed)
        return loops.from_keras(build_model(), data(), steps_per_execution=10)

TensorFlow is imported when a loop is made.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

FIRST_ROWS = 65_536
"""Batches whose metrics the device has room for at first; it gets twice as much whenever that is full."""

Evaluate = Callable[[], Mapping[str, float]]
Variables = Sequence[Any] | Callable[[], Sequence[Any]]


def from_keras(
    model: Any,
    data: Any,
    *,
    steps_per_execution: int | None = None,
    callbacks: Sequence[Any] = (),
    evaluate: Evaluate | None = None,
) -> KerasLoop:
    """A loop that trains with the model's own `fit`; Keras 3, and Keras 2 where `tf.keras` is that.

    Its history is what `train_step` returns, written into a variable on the device: Keras' running means since `run`
    was called. Nothing is read for it while the loop trains, and what is read then is Keras', or the callbacks'.

    Args:
        model: compiled, with a fresh optimizer.
        data: a tf.data.Dataset of batches as `fit` takes them; begun again when it ends, and gone on with, from
            one call of `run` to the next.
        steps_per_execution: batches in a call of Keras' graph; None: as the model was compiled.
        callbacks: of Keras, for every `fit`.
        evaluate: gives numbers by name, for `loop-bench converge`.

    Raises:
        TypeError: the model is not compiled, or the data is no tf.data.Dataset.
        ValueError: the data has no batches.
    """
    return KerasLoop(model, data, steps_per_execution, callbacks, evaluate)


def from_step(
    step: Callable[..., Any], data: Iterable[Any], variables: Variables, *, evaluate: Evaluate | None = None
) -> StepLoop:
    """A loop that calls a step with one batch after the other, as `for x, y in data: step(x, y)` does.

    Args:
        step: trains on a batch and gives its metrics: a scalar, which is called `loss`, numbers by name, several
            scalars, or None. Tensors stay on the device until the history is asked for; a step that wants its
            numbers on the host reads them itself, as it does without the harness. Usually a tf.function.
        data: a tf.data.Dataset or any other iterable of batches, begun again when it ends; a batch that is a tuple
            is unpacked into the step's arguments.
        variables: weights and optimizer state, or what gives them: an optimizer makes its state when it is first
            used, unless `optimizer.build(weights)` is called before.
        evaluate: gives numbers by name, for `loop-bench converge`.
    """
    return StepLoop(step, data, variables, evaluate)


def from_function(
    train: Callable[[int], Mapping[str, Any] | None], variables: Variables, *, evaluate: Evaluate | None = None
) -> FunctionLoop:
    """A loop that is a function which trains for a number of batches, and goes on where it was at the next call.

    Args:
        train: takes the number of batches, trains for exactly so many, and gives their metrics by name, [batches]
            each, as tensors or arrays; or None.
        variables: weights and optimizer state, or what gives them.
        evaluate: gives numbers by name, for `loop-bench converge`.
    """
    return FunctionLoop(train, variables, evaluate)


class _Loop:
    """What the loops have in common: their variables, and `evaluate` where it was given."""

    def __init__(self, variables: Variables, evaluate: Evaluate | None) -> None:
        self._variables = variables
        if evaluate is not None:
            self.evaluate = evaluate  # the contract asks whether it is there

    @property
    def variables(self) -> Sequence[Any]:
        """Weights and optimizer state."""
        found = self._variables() if callable(self._variables) else self._variables
        return list(found)


class KerasLoop(_Loop):
    """See `from_keras`."""

    def __init__(
        self,
        model: Any,
        data: Any,
        steps_per_execution: int | None,
        callbacks: Sequence[Any],
        evaluate: Evaluate | None,
    ) -> None:
        import tensorflow as tf

        if getattr(model, "optimizer", None) is None:
            raise TypeError(f"model {getattr(model, 'name', model)!r} is not compiled: call its compile() first")
        if not isinstance(data, tf.data.Dataset):
            raise TypeError(f"data is a {type(data).__name__}, but must be a tf.data.Dataset of batches")
        if not data.cardinality():
            raise ValueError("data has no batches")
        if steps_per_execution is not None:
            model.steps_per_execution = steps_per_execution
        if hasattr(model.optimizer, "build"):  # not in tf.keras.optimizers.legacy
            model.optimizer.build(model.trainable_variables)
        super().__init__(lambda: [*model.weights, *_state(model.optimizer)], evaluate)
        self._model = model
        self._callbacks = callbacks
        # One iterator for all calls of `fit`, which begins its data anew in each and would see the first batches only.
        iterator = iter(data.repeat())
        self._batches = tf.data.Dataset.range(np.iinfo(np.int64).max).map(lambda _: iterator.get_next())
        self._metrics = _OnDevice(model)

    def run(self, batches: int) -> None:
        """Trains exactly that many more batches."""
        self._metrics.make_room(batches)
        self._model.fit(self._batches.take(batches), callbacks=[*self._callbacks], shuffle=False, verbose=0)

    def history(self) -> dict[str, np.ndarray]:
        """The metrics of each batch, [batches] each.

        Raises:
            ValueError: `fit` has trained fewer batches than it was asked for.
        """
        return self._metrics.read()


class _OnDevice:
    """The scalars that a model's `train_step` returns, for each batch, in variables on the device.

    Args:
        model: its `train_step` is wrapped.
    """

    def __init__(self, model: Any) -> None:
        import tensorflow as tf

        self._tf = tf
        self._room = self._asked = 0  # batches
        self._values: dict[str, tf.Variable] = {}  # [room] each
        self._trained = tf.Variable(0, dtype=tf.int64, trainable=False)  # batches; int32 would be on the host
        own = model.train_step

        def train_step(*arguments: Any) -> Any:
            logs = own(*arguments)
            for name, value in logs.items():
                self._keep(name, value)
            self._trained.assign_add(1)
            return logs

        model.train_step = train_step

    def make_room(self, batches: int) -> None:
        """Has room for so many more batches."""
        self._asked += batches
        if self._asked > self._room:
            before, self._room = self._room, max(FIRST_ROWS, 2 * self._asked)
            for values in self._values.values():
                values.assign(self._tf.concat([values, self._tf.zeros([self._room - before])], axis=0))

    def read(self) -> dict[str, np.ndarray]:
        """All of them, [batches] each.

        Raises:
            ValueError: fewer batches were trained than there was to be room for.
        """
        trained = int(self._trained)
        if trained != self._asked:
            raise ValueError(
                f"fit trained {trained} of {self._asked} batches: a callback has stopped it, or data ended"
            )
        return {name: np.array(values[:trained]) for name, values in self._values.items()}

    def _keep(self, name: str, value: Any) -> None:
        """Writes a metric of the batch in hand; anything but a scalar is left out."""
        tf = self._tf
        value = tf.cast(value, tf.float32)
        if value.shape.rank:
            return
        if name not in self._values:
            with tf.init_scope():  # names are known only once the step is traced
                # The shape is left open: a graph that was traced with it goes on with a longer one.
                self._values[name] = tf.Variable(tf.zeros([self._room]), trainable=False, shape=[None])
        self._values[name].scatter_nd_update(self._trained[None, None], value[None])


class StepLoop(_Loop):
    """See `from_step`."""

    def __init__(
        self, step: Callable[..., Any], data: Iterable[Any], variables: Variables, evaluate: Evaluate | None
    ) -> None:
        super().__init__(variables, evaluate)
        self._step = step
        self._batches = _endless(data)
        self._history: dict[str, list[Any]] = {}

    def run(self, batches: int) -> None:
        """Trains exactly that many more batches.

        Raises:
            ValueError: the data has no batches.
        """
        for batch in itertools.islice(self._batches, batches):
            for name, value in _named(self._step(*batch) if isinstance(batch, tuple) else self._step(batch)):
                self._history.setdefault(name, []).append(value)

    def history(self) -> dict[str, np.ndarray]:
        """The metrics of each batch, [batches] each: in one read, where they are on the device."""
        return {name: _array(values) for name, values in self._history.items()}


class FunctionLoop(_Loop):
    """See `from_function`."""

    def __init__(
        self, train: Callable[[int], Mapping[str, Any] | None], variables: Variables, evaluate: Evaluate | None
    ) -> None:
        super().__init__(variables, evaluate)
        self._train = train
        self._history: dict[str, list[Any]] = {}

    def run(self, batches: int) -> None:
        """Trains exactly that many more batches."""
        for name, values in (self._train(batches) or {}).items():
            self._history.setdefault(name, []).append(values)

    def history(self) -> dict[str, np.ndarray]:
        """The metrics of each batch, [batches] each."""
        return {name: np.concatenate([*map(np.asarray, parts)]) for name, parts in self._history.items()}


def _state(optimizer: Any) -> list[Any]:
    """The variables of an optimizer; those of tf.keras.optimizers.legacy come from a method."""
    found = optimizer.variables
    return [*(found() if callable(found) else found)]


def _endless(data: Iterable[Any]) -> Iterator[Any]:
    """The batches, from the start again whenever they end."""
    while True:
        batch = None
        for batch in data:
            yield batch
        if batch is None:
            raise ValueError("data has no batches (an iterator can be gone through only once: give what makes it)")


def _named(metrics: Any) -> Iterable[tuple[str, Any]]:
    """What a step gives, by name."""
    if metrics is None:
        return ()
    if isinstance(metrics, Mapping):
        return metrics.items()
    if isinstance(metrics, tuple | list):
        names = getattr(metrics, "_fields", None) or [f"metric {number}" for number in range(len(metrics))]
        return zip(names, metrics, strict=True)
    return (("loss", metrics),)


def _array(values: list[Any]) -> np.ndarray:
    """Scalars as an array, [batches]; those on the device are joined there, for one read."""
    if hasattr(values[0], "dtype") and not isinstance(values[0], np.ndarray | np.generic):
        import tensorflow as tf

        return np.array(tf.stack(values))
    return np.array(values)

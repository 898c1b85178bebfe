"""Per-batch metrics of a loop: tensors stay on the device, and are read all at once for the history."""

from __future__ import annotations

import collections
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

Problem = Callable[[str], Exception]
"""Makes an exception from a description of what is wrong with a metric."""

_ONLY = "loss"
"""Name of a single metric that has none."""

_TOGETHER = 1000
"""Most tensors that one op joins."""


class Metrics:
    """The metrics of all batches so far: values already read are on the host, later ones are kept as given.

    A batch has one metric, named `loss`, or metrics in dicts and named tuples, which may nest: `generator/loss`.

    Args:
        problem: makes the exception that is raised for an invalid metric.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._read: dict[str, list[np.ndarray]] = {}
        self._given: dict[str, list[Any]] | None = None

    def add(self, given: Any) -> None:
        """Keeps the metrics of one batch: numbers or tensors [], also in lists and tuples, or None.

        Raises:
            Exception: made by `problem`; a metric is not a number, or the names differ from those of earlier batches.
        """
        self._keep({name: (self._number(name, value),) for name, value in leaves(given, (list, tuple))})

    def add_batches(self, given: Any, batches: int) -> None:
        """Keeps the metrics of several batches: arrays, tensors or lists of numbers, [batches] each, or None.

        Raises:
            Exception: made by `problem`, as in `add`, or because there are not as many values as batches.
        """
        self._keep({name: self._numbers(name, value, batches) for name, value in leaves(given)})

    def history(self) -> dict[str, np.ndarray]:
        """All values by name, [batches] float64 each; reads the tensors that have not been read, in one read."""
        import tensorflow as tf

        given = self._given or {}
        tensors = [value for values in given.values() for value in values if isinstance(value, tf.Tensor)]
        on_host = iter(on_the_host(tensors))
        for name, values in given.items():
            arrays = [next(on_host) if isinstance(value, tf.Tensor) else np.atleast_1d(value) for value in values]
            self._read[name] = [np.concatenate([*self._read.get(name, ()), *arrays], dtype=float)]
            values.clear()
        return {name: array for name, (array,) in self._read.items()}

    def _keep(self, named: dict[str, Sequence[Any]]) -> None:
        if self._given is None:
            self._given = {name: [] for name in named}
        if named.keys() != self._given.keys():
            now, before = (", ".join(names) or "nothing" for names in (named, self._given))
            raise self._problem(f"{now}, but returned {before} in the batches before; the metrics must stay the same")
        for name, values in named.items():
            self._given[name].extend(values)

    def _number(self, name: str, value: Any) -> Any:
        import tensorflow as tf

        value = as_tensor(value)
        if isinstance(value, tf.Tensor) and is_number(value.dtype):
            if value.ndim == 0:
                return value
            raise self._problem(f"{name!r} of shape {value.shape}, but must return one number: use tf.reduce_mean")
        if isinstance(value, int | float | np.number | np.bool_ | np.ndarray) and np.ndim(value) == 0:
            return float(value)
        raise self._problem(f"{name!r} as {_kind(value)}, but must return a number, or a tensor of one")

    def _numbers(self, name: str, values: Any, batches: int) -> list[Any]:
        import tensorflow as tf

        values = as_tensor(values)
        if isinstance(values, list | tuple):
            numbers, shape = [self._number(name, value) for value in values], (len(values),)
        elif isinstance(values, np.ndarray) or (isinstance(values, tf.Tensor) and is_number(values.dtype)):
            numbers, shape = [values], tuple(values.shape)
        else:
            must = f"must return the numbers of {batches} batches: a tensor, an array or a list"
            raise self._problem(f"{name!r} as {_kind(values)}, but {must}")
        if shape != (batches,):
            raise self._problem(f"{name!r} of shape {shape}, but must return a number for each batch: ({batches},)")
        return numbers


def leaves(given: Any, sequences: tuple[Any, ...] = (), path: str = "") -> Iterator[tuple[str, Any]]:
    """Named values inside dicts, named tuples and `sequences`; None has no values."""
    import tensorflow as tf

    if isinstance(given, tf.Tensor):  # first, because looking up an attribute that a tensor lacks takes microseconds
        yield path or _ONLY, given
        return
    if hasattr(given, "_asdict"):
        given = given._asdict()
    elif sequences and isinstance(given, sequences):
        given = {f"metric {place}": value for place, value in enumerate(given)}
    if not isinstance(given, Mapping):
        if path or given is not None:
            yield path or _ONLY, given
        return
    for key, value in given.items():
        yield from leaves(value, sequences, f"{path}/{key}" if path else str(key))


def as_tensor(value: Any) -> Any:
    """The current value of a variable; any other value unchanged."""
    import tensorflow as tf

    if isinstance(value, tf.Tensor) or not hasattr(value, "assign"):
        return value
    return tf.convert_to_tensor(value)


@functools.lru_cache
def is_number(dtype: Any) -> bool:
    """Whether a tensor's dtype is numeric, so that its values can be in a history."""
    return bool(dtype.is_floating or dtype.is_integer or dtype.is_bool)


def _kind(value: Any) -> str:
    dtype = getattr(value, "dtype", None)
    return type(value).__name__ if dtype is None else f"{type(value).__name__} of {getattr(dtype, 'name', dtype)}"


def on_the_host(tensors: Sequence[Any]) -> list[np.ndarray]:
    """Values of tensors, [] or [values] each, as arrays [values] float64; joined on the device and read at once."""
    import tensorflow as tf

    alike = collections.defaultdict(list)
    for place, tensor in enumerate(tensors):
        alike[tensor.dtype, tensor.shape.rank].append(place)
    joined, places = [], []
    for (_, rank), members in alike.items():
        for start in range(0, len(members), _TOGETHER):
            block = members[start : start + _TOGETHER]
            join = tf.stack if rank == 0 else lambda values: tf.concat(values, axis=0)
            joined.append(tf.cast(join([tensors[place] for place in block]), tf.float64))
            places += block
    if not joined:
        return []
    values = tf.concat(joined, axis=0).numpy()
    ends = np.cumsum([tensors[place].shape.num_elements() for place in places])
    by_place = dict(zip(places, np.split(values, ends[:-1]), strict=True))
    return [by_place[place] for place in range(len(tensors))]

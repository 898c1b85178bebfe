"""Metrics of each batch as a loop gives them: kept where they are, and read all at once when they are asked for."""

from __future__ import annotations

import collections
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

Problem = Callable[[str], Exception]
"""Makes an error of what is wrong with a metric."""

_ONLY = "loss"
"""What the metric is called of a loop that gives one without a name."""

_TOGETHER = 1000
"""Tensors that are joined by one op."""


class Metrics:
    """The metrics of a loop so far: on the host as far as they have been read, and since then as they were given.

    What is given is one metric, called `loss`, or metrics in dicts and named tuples, also nested: `generator/loss`.

    Args:
        problem: makes an error of what is wrong with what was given.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._read: dict[str, list[np.ndarray]] = {}
        self._given: dict[str, list[Any]] | None = None

    def add(self, given: Any) -> None:
        """Keeps the metrics of one batch: numbers or tensors [], also in lists and tuples, or None.

        Raises:
            Exception: `problem`, where something is no number, or other metrics were given before.
        """
        self._keep({name: (self._number(name, value),) for name, value in leaves(given, (list, tuple))})

    def add_batches(self, given: Any, batches: int) -> None:
        """Keeps the metrics of several batches: arrays, tensors or lists of numbers, [batches] each, or None.

        Raises:
            Exception: `problem`, as in `add`, or where there are not as many values as batches.
        """
        self._keep({name: self._numbers(name, value, batches) for name, value in leaves(given)})

    def history(self) -> dict[str, np.ndarray]:
        """All values by name, [batches] float64; makes one read if there are tensors that have not been read."""
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
            now, before = (", ".join(each) or "nothing" for each in (named, self._given))
            raise self._problem(f"{now}, and gave {before} in the batches before")
        for name, values in named.items():
            self._given[name].extend(values)

    def _number(self, name: str, value: Any) -> Any:
        import tensorflow as tf

        value = as_tensor(value)
        if isinstance(value, tf.Tensor) and is_number(value.dtype):
            if value.ndim == 0:
                return value
            raise self._problem(f"{name!r} of shape {value.shape}, but must give one number: tf.reduce_mean")
        if isinstance(value, int | float | np.number | np.bool_ | np.ndarray) and np.ndim(value) == 0:
            return float(value)
        raise self._problem(f"{name!r} as {_kind(value)}, but must give a number, or a tensor of one")

    def _numbers(self, name: str, values: Any, batches: int) -> list[Any]:
        import tensorflow as tf

        values = as_tensor(values)
        if isinstance(values, list | tuple):
            found, shape = [self._number(name, value) for value in values], (len(values),)
        elif isinstance(values, np.ndarray) or (isinstance(values, tf.Tensor) and is_number(values.dtype)):
            found, shape = [values], tuple(values.shape)
        else:
            must = f"must give the numbers of {batches} batches: a tensor, an array or a list"
            raise self._problem(f"{name!r} as {_kind(values)}, but {must}")
        if shape != (batches,):
            raise self._problem(f"{name!r} of shape {shape}, but must give a number for each batch: ({batches},)")
        return found


def leaves(given: Any, sequences: tuple[Any, ...] = (), path: str = "") -> Iterator[tuple[str, Any]]:
    """What is inside dicts, named tuples and `sequences`, with its name; nothing of None."""
    import tensorflow as tf

    if isinstance(given, tf.Tensor):  # first, for to ask one for what it does not have takes microseconds
        yield path or _ONLY, given
        return
    if hasattr(given, "_asdict"):
        given = given._asdict()
    elif sequences and isinstance(given, sequences):
        given = {f"metric {place}": each for place, each in enumerate(given)}
    if not isinstance(given, Mapping):
        if path or given is not None:
            yield path or _ONLY, given
        return
    for key, value in given.items():
        yield from leaves(value, sequences, f"{path}/{key}" if path else str(key))


def as_tensor(value: Any) -> Any:
    """The value that a variable has now; anything else as it is."""
    import tensorflow as tf

    if isinstance(value, tf.Tensor) or not hasattr(value, "assign"):
        return value
    return tf.convert_to_tensor(value)


@functools.lru_cache
def is_number(dtype: Any) -> bool:
    """Whether values of a tensor's dtype are numbers as histories have them."""
    return bool(dtype.is_floating or dtype.is_integer or dtype.is_bool)


def _kind(value: Any) -> str:
    dtype = getattr(value, "dtype", None)
    return type(value).__name__ if dtype is None else f"{type(value).__name__} of {getattr(dtype, 'name', dtype)}"


def on_the_host(tensors: Sequence[Any]) -> list[np.ndarray]:
    """What tensors hold, [] or [values] each, as [values] float64 each: joined on the device, in one read."""
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
    found = dict(zip(places, np.split(values, ends[:-1]), strict=True))
    return [found[place] for place in range(len(tensors))]

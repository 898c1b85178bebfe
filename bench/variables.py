"""The values of a loop's variables, on each device that has a replica of them.

A variable is tf.Variable or keras.Variable. Under tf.distribute it may stand for several variables, one per replica,
which are then its `values` (tf.distribute.DistributedValues). All of them are read, and assigned together.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

Made = TypeVar("Made")

LEFT_ALONE = 1e-3
"""Largest difference of a variable's replicas, as a share of how far it has moved, that is accepted.

Each replica applies the same sum of gradients, so that on devices of one kind not a bit differs; devices of two kinds
may round an update differently, by about 1e-6 of its size. Replicas that train by themselves, or miss an update, differ
by a share of the updates themselves.
"""


def variable_name(variable: Any) -> str:
    """A variable's name: Keras' path (`generator/lstm/kernel`), or TensorFlow's name."""
    return str(getattr(variable, "path", None) or variable.name)


def replicas(variable: Any) -> tuple[Any, ...]:
    """The variables of a variable's replicas in this process; the variable itself if it is on one device."""
    values = getattr(_inner(variable), "values", None)
    return tuple(values) if isinstance(values, Sequence) and len(values) > 1 else (variable,)


def is_on_a_parameter_server(variable: Any) -> bool:
    """Whether a variable is where tf.distribute.ParameterServerStrategy keeps those of a loop."""
    return "/job:ps/" in str(getattr(_inner(variable), "device", ""))


def _inner(variable: Any) -> Any:
    """TensorFlow's variable inside a variable that may be Keras'."""
    value = getattr(variable, "value", None)
    return variable if value is None or callable(value) else value  # TensorFlow's variable has a method of this name


def replica_here() -> int | None:
    """The number of the replica that computes, or is traced, in this thread; 0 without tf.distribute.

    None outside of all replicas, and where it is known only when a graph runs, as on a TPU.
    """
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    number = None if context is None else tf.get_static_value(context.replica_id_in_sync_group)
    return None if number is None else int(number)


def made_alone(make: Callable[[], Made], device: str | None) -> Made:
    """Makes something on a device, outside of all graphs, tapes and distribution strategies: a new thread has none."""
    import tensorflow as tf

    def on_device() -> Made:
        with tf.device(device):
            return make()

    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(on_device).result()


class VariableReader:
    """Copies the values of variables, all of them in one call: one by one, that takes longer than a small batch.

    Args:
        every_replica: whether a variable with replicas gives the values of all of them, [replicas, ...], or only that
            of the first one.
    """

    def __init__(self, every_replica: bool = False) -> None:
        self._every_replica = every_replica
        self._variables: list[Any] = []
        self._read: Callable[[], list[list[Any]]] = list

    def __call__(self, variables: Sequence[Any]) -> list[np.ndarray]:
        """The values of variables, in their order; a new graph is traced when they are not those of the last call."""
        if [*map(id, variables)] != [*map(id, self._variables)]:
            import tensorflow as tf  # not before a loop's factory, which may have to configure it

            self._variables = [*variables]
            parts = [replicas(each) if self._every_replica else (each,) for each in variables]
            self._read = tf.function(
                lambda: [[tf.convert_to_tensor(part) for part in each] for each in parts], autograph=False
            )
        return [_joined([np.array(part.numpy()) for part in each]) for each in self._read()]


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.stack(parts)


def held(variable: Any) -> np.ndarray:
    """A copy of a variable's value, [replicas, ...] if it has replicas."""
    return _joined([np.array(part.numpy()) for part in replicas(variable)])


def is_meant_alike(variable: Any) -> bool:
    """Whether a variable has replicas that should have the same value.

    Replicas that are added up on reading (`tf.VariableSynchronization.ON_READ`, as in Keras' metrics) should not.
    """
    is_added_up = getattr(getattr(_inner(variable), "synchronization", None), "name", "") == "ON_READ"
    return len(replicas(variable)) > 1 and not is_added_up


def is_mirrored(variable: Any, value: np.ndarray) -> bool:
    """Whether a variable has replicas that should have the same value, and do, bit for bit.

    Args:
        variable: of a loop.
        value: of every replica, [replicas, ...].
    """
    return is_meant_alike(variable) and all(each.tobytes() == value[0].tobytes() for each in value[1:])


def apart(value: np.ndarray, before: np.ndarray) -> float:
    """The largest distance of a variable's replicas from the first one, as a share of its way since `before`.

    Args:
        value: [replicas, ...].
        before: earlier value, [replicas, ...].

    Returns:
        0 where all are equal; infinite where they differ and the first has not moved, or is not finite.
    """
    others = [each for each in value[1:] if not np.array_equal(each, value[0], equal_nan=True)]
    if not others:
        return 0.0
    furthest, moved = np.max([distance(each, value[0]) for each in others]), distance(value[0], before[0])
    return float(furthest / moved) if np.isfinite(furthest) and moved > 0 else float("inf")


def drifted(
    now: Mapping[str, np.ndarray], before: Mapping[str, np.ndarray], watched: Sequence[str]
) -> dict[str, float]:
    """Variables whose replicas have drifted apart, and how far: see `apart`.

    Args:
        now: values of every replica, by name.
        before: earlier values of every replica, by name.
        watched: names of the variables whose replicas were equal then.
    """
    shares = {name: apart(now[name], before[name]) for name in watched if name in now}
    return {name: share for name, share in shares.items() if share > LEFT_ALONE}


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """The Euclidean distance of two values of a variable; NaN or infinite if they are.

    Not `np.linalg.norm`: its BLAS keeps threads spinning for the next call, on the cores that the loop needs.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.sqrt(np.sum(np.square(one.astype(float) - other.astype(float)))))

"""Whether a loop did the work that it was timed for."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from loop_bench.loop import TrainingLoop, describe, history
from loop_bench.timing import clock
from loop_bench.variables import drifted, held, is_meant_alike, variable_name

Snapshot = Mapping[str, np.ndarray]

_NAMED = 3
"""Variables that a message names before it says how many more there are."""


def weights(loop: TrainingLoop) -> dict[str, np.ndarray]:
    """Copies of the trainable variables by a name that is theirs alone, [replicas, ...] of those that have replicas."""
    return {name: held(variable) for name, variable in _trainable(loop).items()}


def _trainable(loop: TrainingLoop) -> dict[str, Any]:
    return {f"{i}:{variable_name(v)}": v for i, v in enumerate(loop.variables) if v.trainable}


@dataclasses.dataclass(frozen=True)
class Work:
    """What a loop has to show for its training."""

    batches: int  # that it was asked for
    metrics: dict[str, np.ndarray]  # its history, [batches] by name
    moved: tuple[str, ...]  # weights that are not what they were
    still: tuple[str, ...]  # those that are
    not_finite: tuple[str, ...]
    samples_per_batch: float | None  # if the loop says so
    described: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # what it says of itself afterwards
    drifted: Mapping[str, float] = dataclasses.field(default_factory=dict)  # weights whose replicas are not alike

    @classmethod
    def of(
        cls,
        loop: TrainingLoop,
        batches: int,
        before: Snapshot,
        described: tuple[Mapping[str, Any], Mapping[str, Any]],
        mirrored: Sequence[str] = (),
    ) -> Work:
        """Looks at a loop after its training; reads the device.

        Args:
            loop: that was trained.
            batches: that it was asked for since it was built.
            before: its weights after the first of them.
            described: what it said of itself then, and what it says now. A number called `samples` in it is
                taken for how many it has trained on.
            mirrored: weights whose replicas should be alike.
        """
        now = weights(loop)
        still = tuple(name for name, value in now.items() if np.array_equal(value, before[name]))
        samples = [said.get("samples") for said in described]
        first, last = (value if isinstance(value, int | float) else None for value in samples)
        return cls(
            batches=batches,
            metrics=history(loop),
            moved=tuple(name for name in now if name not in still),
            still=still,
            not_finite=tuple(name for name, value in now.items() if not np.all(np.isfinite(value))),
            described=described[1],
            drifted=drifted(now, before, mirrored),
            samples_per_batch=None if first is None or last is None or batches < 2 else (last - first) / (batches - 1),
        )

    def problems(self) -> list[str]:
        """What speaks against it having been done, each in words; empty if nothing does."""
        found = [] if self.metrics else ["the history is empty"]
        for name, values in self.metrics.items():
            if len(values) != self.batches:
                found.append(f"history {name!r} has {len(values)} values for {self.batches} batches")
            elif not np.all(np.isfinite(values)):
                found.append(f"history {name!r} is not finite from batch {int(np.argmin(np.isfinite(values)))} on")
        if not (self.moved or self.still):
            found.append("none of its variables is trainable")
        elif not self.moved:
            found.append("no weight has moved")
        if self.not_finite:
            found.append(f"not finite: {_names(self.not_finite)}")
        elif self.drifted:
            most = max(self.drifted.values())
            found.append(f"replicas differ, by up to {most:.2g} of how far they have moved: {_names(self.drifted)}")
        return found


class Witness:
    """Knows what a loop was when it was fresh, to tell later whether it did its work.

    Args:
        loop: that has trained its first batch, and no more.
    """

    def __init__(self, loop: TrainingLoop) -> None:
        self._loop = loop
        self.weights = weights(loop)
        self.described = describe(loop)
        # Also of those that differ by now: replicas without a common step do after the first batch.
        self._mirrored = [name for name, each in _trainable(loop).items() if is_meant_alike(each)]

    def work(self, batches: int) -> Work:
        """What the loop has to show for so many batches since the first; reads the device."""
        said = self.described, describe(self._loop)
        return Work.of(self._loop, 1 + batches, self.weights, said, self._mirrored)


def unequal(one: Work, other: Work, names: tuple[str, str]) -> list[str]:
    """In what two loops have not done the same work, each in words.

    Args:
        one: of one loop.
        other: of the other one.
        names: of both.
    """
    found = []
    if one.samples_per_batch is not None and other.samples_per_batch is not None:
        samples = one.samples_per_batch, other.samples_per_batch
        if not np.isclose(*samples, rtol=1e-6):
            found.append(f"{names[0]} trains on {samples[0]:g} samples a batch, {names[1]} on {samples[1]:g}")
    for name, less, more_name, more in ((names[1], other, names[0], one), (names[0], one, names[1], other)):
        if less.moved and more.moved and len(less.still) > len(more.still):
            than = f"{more_name}, where {len(more.still)} stay" if more.still else more_name
            found.append(f"{name} leaves more weights as they are than {than}: {_names(less.still)}")
    return found


def _names(names: Collection[str]) -> str:
    rest = len(names) - _NAMED
    return f"{', '.join([*names][:_NAMED])}{f' and {rest} more' if rest > 0 else ''}"


TIMES, REPEATS = 20, 11

DENSE = 0.99
"""Share of its elements that a few batches must move for a weight to count: of an embedding, an update may touch no
more than the rows that the batch needs."""


def touch_seconds(loop: TrainingLoop, before: Snapshot) -> float | None:
    """Seconds to add something to copies of the loop's weights, on the device of each; the least of REPEATS.

    An update reads its gradient and its weight and writes the weight, whatever else it does: a batch that takes
    less than this has not made one.

    Args:
        loop: that has trained a few batches.
        before: its weights before them.

    Returns:
        The time of touching all of them once; None if there is none that has moved as a whole.
    """
    import tensorflow as tf  # only here: whoever times rungs may know this module before TensorFlow has to start

    now = weights(loop)
    dense = [name for name, value in now.items() if np.mean(value != before[name]) > DENSE]
    if not dense:
        return None
    trainable = _trainable(loop)
    copies, gradients = [], []
    for name in dense:
        value = tf.convert_to_tensor(trainable[name])
        with tf.device(value.device):
            copies.append(tf.Variable(value))
            gradients.append(tf.zeros_like(value))

    @tf.function
    def touch() -> None:
        for _ in tf.range(TIMES):
            for copy, gradient in zip(copies, gradients, strict=True):
                copy.assign_add(gradient)

    durations = []
    for _ in range(1 + REPEATS):  # the first is traced
        clock.fence()
        started = time.perf_counter()
        touch()
        clock.fence()
        durations.append(time.perf_counter() - started)
    return min(durations[1:]) / TIMES

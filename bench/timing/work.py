"""Checks that a loop did the training it was timed for."""

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
"""Most variables that a message names; it gives the number of the others."""


def weights(loop: TrainingLoop) -> dict[str, np.ndarray]:
    """Copies of the trainable variables by unique name; replicated variables as [replicas, ...]."""
    return {name: held(variable) for name, variable in _trainable(loop).items()}


def _trainable(loop: TrainingLoop) -> dict[str, Any]:
    return {f"{i}:{variable_name(v)}": v for i, v in enumerate(loop.variables) if v.trainable}


@dataclasses.dataclass(frozen=True)
class Work:
    """Evidence of a loop's training: its metrics, and which weights changed."""

    batches: int  # that the loop was asked to train
    metrics: dict[str, np.ndarray]  # the loop's history, [batches] by name
    moved: tuple[str, ...]  # names of weights that changed
    still: tuple[str, ...]  # names of weights that did not change
    not_finite: tuple[str, ...]  # names of weights with NaN or infinity
    samples_per_batch: float | None  # None: the loop does not report its samples
    described: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # the loop's description after training
    drifted: Mapping[str, float] = dataclasses.field(default_factory=dict)  # weights whose replicas differ

    @classmethod
    def of(
        cls,
        loop: TrainingLoop,
        batches: int,
        before: Snapshot,
        described: tuple[Mapping[str, Any], Mapping[str, Any]],
        mirrored: Sequence[str] = (),
    ) -> Work:
        """Collects the evidence from a trained loop; reads the device.

        Args:
            loop: the trained loop.
            batches: batches that the loop was asked to train since it was built.
            before: its weights after the first batch.
            described: its description after the first batch, and its description now. A number called `samples` in
                them is taken as the number of samples trained on so far.
            mirrored: names of weights whose replicas should be equal.
        """
        now = weights(loop)
        still = tuple(name for name, value in now.items() if np.array_equal(value, before[name]))
        samples = [description.get("samples") for description in described]
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
        """Reasons to doubt that the training was done, each in words; empty if there are none."""
        problems = [] if self.metrics else ["the history is empty"]
        for name, values in self.metrics.items():
            if len(values) != self.batches:
                problems.append(f"history {name!r} has {len(values)} values for {self.batches} batches")
            elif not np.all(np.isfinite(values)):
                problems.append(f"history {name!r} is not finite from batch {int(np.argmin(np.isfinite(values)))} on")
        if not (self.moved or self.still):
            problems.append("none of its variables is trainable")
        elif not self.moved:
            problems.append("no weight has moved")
        if self.not_finite:
            problems.append(f"not finite: {_names(self.not_finite)}")
        elif self.drifted:
            most = max(self.drifted.values())
            problems.append(f"replicas differ, by up to {most:.2g} of how far they have moved: {_names(self.drifted)}")
        return problems


class Witness:
    """Keeps a loop's weights after its first batch, to check later that the loop has trained.

    Args:
        loop: a loop that has trained exactly one batch.
    """

    def __init__(self, loop: TrainingLoop) -> None:
        self._loop = loop
        self.weights = weights(loop)
        self.described = describe(loop)
        # Includes weights that differ already: replicas that share no update differ after the first batch.
        self._mirrored = [name for name, variable in _trainable(loop).items() if is_meant_alike(variable)]

    def work(self, batches: int) -> Work:
        """Evidence of the loop's training of `batches` batches after the first; reads the device."""
        described = self.described, describe(self._loop)
        return Work.of(self._loop, 1 + batches, self.weights, described, self._mirrored)


def unequal(one: Work, other: Work, names: tuple[str, str]) -> list[str]:
    """Differences between the work of two loops, each in words; empty if there are none.

    Args:
        one: work of the first loop.
        other: work of the second loop.
        names: names of both loops.
    """
    differences = []
    if one.samples_per_batch is not None and other.samples_per_batch is not None:
        samples = one.samples_per_batch, other.samples_per_batch
        if not np.isclose(*samples, rtol=1e-6):
            differences.append(f"{names[0]} trains on {samples[0]:g} samples a batch, {names[1]} on {samples[1]:g}")
    for name, less, more_name, more in ((names[1], other, names[0], one), (names[0], one, names[1], other)):
        if less.moved and more.moved and len(less.still) > len(more.still):
            than = f"{more_name} ({len(more.still)})" if more.still else more_name
            differences.append(f"{name} leaves more weights unchanged than {than}: {_names(less.still)}")
    return differences


def _names(names: Collection[str]) -> str:
    rest = len(names) - _NAMED
    return f"{', '.join([*names][:_NAMED])}{f' and {rest} more' if rest > 0 else ''}"


TIMES, REPEATS = 20, 11

DENSE = 0.99
"""Least share of a weight's elements that must change in a few batches for `touch_seconds` to count the weight: an
update may touch only the rows of an embedding that the batch uses."""


def touch_seconds(loop: TrainingLoop, before: Snapshot) -> float | None:
    """Least seconds that a batch can take: one addition to copies of the loop's weights, each on its own device.

    An update reads at least its gradient and its weight and writes the weight: a batch that took less time made no
    update. The fastest of REPEATS measurements counts.

    Args:
        loop: a loop that has trained a few batches.
        before: the loop's weights before those batches.

    Returns:
        Seconds to update every weight once; None if no weight has changed in nearly all its elements (DENSE).
    """
    import tensorflow as tf  # here, because a ladder imports this module before TensorFlow may start

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
    for _ in range(1 + REPEATS):  # the first call traces the function
        clock.fence()
        started = time.perf_counter()
        touch()
        clock.fence()
        durations.append(time.perf_counter() - started)
    return min(durations[1:]) / TIMES

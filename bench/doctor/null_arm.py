"""Checks whether the machine is quiet enough to measure: it times a tiny loop against itself, like a run's null arm."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from loop_bench.doctor.finding import Finding, State

NEEDS = frozenset({"pydantic", "scipy"})
"""Distributions of the extra `compare` that the timing engine needs."""

SECONDS = 10.0

_HOPELESS = 0.1
"""Share from which on a detectable difference is too large: most changes are smaller, so the machine is unfit."""

_BLOCK = 0.02
"""Seconds of a block: long enough for the clock, and short enough for some hundred rounds."""

_TIMED = 3
"""Number of loops that take turns in a run, compared with two here."""


@dataclasses.dataclass(frozen=True)
class NullArm:
    """The timing of a loop against a second instance of itself."""

    seconds: float  # of the rounds
    rounds: int
    batches: int  # of a block
    milliseconds: float  # a batch, median
    estimate: float  # of the ratio
    low: float | None  # limits of its 95% interval; None: too few rounds for one
    high: float | None
    alike: bool  # whether neighbouring rounds are correlated, which makes the interval too narrow

    def least_difference(self, seconds: float) -> float | None:
        """The least difference, as a share, that a run of such loops can detect in `seconds`; None: unknown.

        A run's three loops leave two thirds of the rounds a second. The interval's width falls with the root of their
        number; the difference between the two instances does not fall.
        """
        if self.low is None or self.high is None:
            return None
        rounds = self.rounds * seconds / self.seconds * 2 / _TIMED
        width = (self.high / self.low - 1) * math.sqrt(self.rounds / rounds)
        return width + (0.0 if self.low <= 1 <= self.high else abs(self.estimate - 1))


class TinyLoop:
    """Two dense layers that learn to add: small enough to show what a machine does between batches."""

    def __init__(self) -> None:
        import tensorflow as tf

        random = np.random.default_rng(0)
        x = tf.constant(random.normal(size=(64, 128)), tf.float32)
        y = tf.reduce_sum(x, axis=1, keepdims=True)
        shapes = (128, 128), (128, 1)
        weights = [tf.Variable(random.normal(scale=0.1, size=shape), dtype=tf.float32) for shape in shapes]

        def train() -> Any:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((tf.nn.relu(x @ weights[0]) @ weights[1] - y) ** 2)
            for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
                weight.assign_sub(1e-3 * gradient)
            return loss

        self.variables: Sequence[Any] = weights
        self._train = tf.function(train)
        self._losses: list[Any] = []

    def run(self, batches: int) -> None:
        """Trains a number of batches."""
        for _ in range(batches):
            self._losses.append(self._train())

    def history(self) -> Mapping[str, np.ndarray]:
        """The loss of each batch so far."""
        return {"loss": np.array([loss.numpy() for loss in self._losses])}


def measure(seconds: float = SECONDS, tell: Callable[[float], None] = lambda share: None) -> NullArm:
    """Times two instances of the tiny loop in turns.

    Args:
        seconds: duration of all rounds.
        tell: called with the share that is done, four times a second.
    """
    from loop_bench.settings import ARMS, NULL
    from loop_bench.statistics import autocorrelation
    from loop_bench.timing import clock, samples
    from loop_bench.timing.rounds import Interleaver
    from loop_bench.timing.stopping import OutOfTime

    loops = {ARMS[0]: TinyLoop(), NULL: TinyLoop()}
    for loop in loops.values():
        clock.seconds_for(loop, 1)  # traces
    tried = 50
    batches = max(1, round(_BLOCK * tried / clock.seconds_for(loops[NULL], tried)))
    shown = 0.0

    def show(rounds: int, share: float) -> None:
        nonlocal shown
        if share - shown > 0.25 / seconds:
            shown = share
            tell(share)

    timers = {name: functools.partial(clock.seconds_for, loop) for name, loop in loops.items()}
    interleaver = Interleaver(timers, batches)
    interleaver.run(OutOfTime(seconds), show)
    rounds = interleaver.rounds
    ratio = samples.null(rounds)
    has_limits = math.isfinite(ratio.high)
    return NullArm(
        seconds=samples.seconds(rounds),
        rounds=len(rounds),
        batches=batches,
        milliseconds=float(np.median(samples.milliseconds(rounds, ARMS[0]))),
        estimate=ratio.estimate,
        low=ratio.low if has_limits else None,
        high=ratio.high if has_limits else None,
        alike=autocorrelation(samples.ratios(rounds, NULL)).significant,
    )


def finding(measured: NullArm, steal: float | None) -> Finding:
    """Judges whether the machine is quiet enough.

    Args:
        measured: the timing of the tiny loop.
        steal: share of the time that a hypervisor gave to other machines meanwhile; None: unknown.
    """
    from loop_bench.experiments.run.stages import LEAST_ROUNDS, MOST_ROUNDS
    from loop_bench.settings import Settings

    name = "null arm"
    soon, late = measured.least_difference(LEAST_ROUNDS), measured.least_difference(MOST_ROUNDS)
    if soon is None or late is None:
        text = f"{measured.rounds} rounds in {measured.seconds:.0f} s are too few for an interval"
        return Finding(name, text, State.PROBLEM, _quieter(steal))
    text = (
        f"a tiny loop ({measured.milliseconds:.2f} ms/batch) against itself: {measured.low:.4f} to {measured.high:.4f} "
        f"in {measured.rounds} rounds, {measured.seconds:.0f} s; in a run's {LEAST_ROUNDS:.0f} to {MOST_ROUNDS:.0f} s, "
        f"a difference of {soon:.1%} to {late:.1%} can be detected in such a loop"
    )
    if measured.alike:
        text += "; neighbouring rounds are correlated, so it may be more"
    if late > _HOPELESS:
        return Finding(name, text, State.PROBLEM, _quieter(steal))
    if late > Settings.model_fields["precision"].default or measured.alike:
        return Finding(name, text, State.NOTE, _quieter(steal))
    return Finding(name, text)


def _quieter(steal: float | None) -> str:
    if steal is not None and steal > 0.01:
        return "other virtual machines on this host take its time: use a dedicated machine, or another hour"
    return "stop other programs, or give the run cores of its own (taskset); a longer --max-time helps"

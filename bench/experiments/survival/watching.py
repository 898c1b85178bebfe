"""Looking at a loop while it trains batch by batch, with a fault or without."""

from __future__ import annotations

import collections
import contextlib
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from loop_bench.experiments.survival.fault import Fault
from loop_bench.experiments.survival.injection import Injection, injection
from loop_bench.experiments.survival.kinds import KINDS, Kind, optimizer_state
from loop_bench.experiments.survival.observation import PATIENCE, Ended, Observation
from loop_bench.failure import LoopError, error_line
from loop_bench.loop import (
    LoopFactory,
    LoopSpec,
    TrainingLoop,
    build,
    describe,
    history,
    load,
)
from loop_bench.variables import VariableReader, distance, is_mirrored, variable_name

if TYPE_CHECKING:  # it needs pydantic, which the process of an arm need not have
    from loop_bench.experiments.survival.trial import SurvivalTrial


def watch_trial(trial: SurvivalTrial) -> Observation:
    """Does the work of a trial, or of a plain object with its fields and `spec`."""
    factory = load(trial.factory)
    fault = None if trial.fault is None else Fault.parse(trial.fault)
    ready = [Fault.parse(text) for text in trial.ready]
    return observe(trial.factory, factory, trial.spec, fault, trial.batches, trial.epochs, ready)


def observe(
    name: str,
    factory: LoopFactory,
    spec: LoopSpec,
    fault: Fault | None,
    batches: int | None = None,
    epochs: int | None = None,
    ready: Iterable[Fault] = (),
) -> Observation:
    """Trains a fresh loop batch by batch, and looks at all its variables after each.

    Args:
        name: of the factory, for messages.
        factory: of the loop.
        spec: to make it with.
        fault: what goes wrong meanwhile, if anything does.
        batches: to train; a fault of a single batch that waits for its network adds to them.
        epochs: to train instead, of as many batches as the loop says of itself; it is looked at after each epoch.
        ready: faults that could happen; those do not that get in otherwise than `fault`.

    Raises:
        UsageError: the factory failed, what it made keeps to no contract, or the fault's place is not to be found.
    """
    # In the order of `ready`, whichever of them happens: so the graphs are the same to the last name.
    placed = [fault if fault and fault.way == each.way else each for each in ready]
    if fault and fault not in placed:
        placed.append(fault)
    with contextlib.ExitStack() as entered:
        ways = {each: entered.enter_context(injection(each)) for each in placed}
        loop = build(name, factory, spec)
        for each in ways.values():
            each.attach(loop)
        # Without a fault one is asked that never happens: TensorFlow numbers its graphs by all that came before.
        way = ways[fault] if fault else next(iter(ways.values()), None)
        if batches is None:
            length = describe(loop).get("batches_per_epoch")
            if not isinstance(length, int) or length < 1 or epochs is None:
                return Observation(ended="not tested", why="the loop does not say how many batches make an epoch")
            return _Watch(loop, fault, way, spec.seed, stride=length).train(epochs)
        return _Watch(loop, fault, way, spec.seed).train(batches)


class _Watch:
    """A loop and what has been seen of it so far."""

    def __init__(
        self, loop: TrainingLoop, fault: Fault | None, way: Injection | None, seed: int, stride: int = 1
    ) -> None:
        self._loop, self._fault, self._way, self._seed, self._stride = loop, fault, way, seed, stride
        self._values_of = VariableReader(every_replica=True)
        self._names: dict[tuple[str, int], str] = {}  # each with a number, that makes it one variable's alone
        self._weights: dict[str, None] = {}  # in the order in which they were first seen
        self._finite: dict[str, bool] = {}  # whether a variable was so when it was first seen: not every one has to be
        self._mirrored: dict[str, bool] = {}  # whether it had replicas that were alike then
        self._apart: tuple[str, ...] = ()  # of those, the ones that are no longer
        self._first_apart: int | None = None
        self._last = self._read()
        self._steps: dict[str, list[float]] = {}
        self._moved: dict[str, list[int]] = {}
        self._struck: list[int] = []
        self._first_bad_of: dict[Kind, int] = {}
        self._worst = 0.0

    def train(self, batches: int) -> Observation:
        """Trains so many batches, or strides; whatever the loop dies of is what was seen."""
        waited, batch = 0, 0
        try:
            while batch < batches + waited:
                strength = None if self._fault is None else self._fault.strength(batch - waited, self._seed)
                struck = self._one(batch, strength)
                if strength is not None and not struck and self._fault is not None and self._fault.batches == 1:
                    if waited == PATIENCE:
                        return self._seen("not tested", f"{self._why_not()} ({PATIENCE} more batches were tried)")
                    waited += 1
                batch += 1
            if self._fault is not None and not self._struck:
                return self._seen("not tested", self._why_not())
            return self._seen("whole", "", history(self._loop))
        except LoopError as died:
            return self._seen("crashed", error_line(died), self._history_after_all())

    def _one(self, batch: int, strength: float | None) -> bool:
        """Trains a batch; gives whether the fault has struck in it."""
        before = 0 if self._way is None else self._way.strikes()
        if self._way is not None:
            self._way.set(strength)
        # Weights and learning rates that the fault has just changed have not moved by training.
        self._last = self._read() if strength is not None else self._last
        try:
            self._loop.run(self._stride)
        finally:
            struck = self._way is not None and self._way.strikes() > before
            if struck:
                self._struck.append(batch)
        self._look(batch)
        return struck

    def _look(self, batch: int) -> None:
        now = self._read()
        # What was not there before the batch, as an optimizer's state before the first, has not moved in it.
        both = [name for name in now if name in self._last]
        steps = {name: _step(self._last[name], now[name]) for name in both if name in self._weights}
        for name in self._weights:
            self._steps.setdefault(name, [0.0] * batch).append(steps.get(name, 0.0))
        for name in both:
            if name not in self._weights and _bits(now[name]) != _bits(self._last[name]):
                self._moved.setdefault(name, []).append(batch)
        self._look_for_the_worst(now)
        self._look_for_the_bad(now, self._stride * (batch + 1) - 1)
        if self._apart and self._first_apart is None:
            self._first_apart = self._stride * (batch + 1) - 1
        self._last = now

    def _look_for_the_worst(self, now: dict[str, np.ndarray]) -> None:
        if self._struck:
            seen = [self._worst, *(_largest(now[name]) for name in self._weights if name in now)]
            self._worst = max(seen, key=_nan_last)

    def _look_for_the_bad(self, now: dict[str, np.ndarray], batch: int) -> None:
        broken = self._broken(now)
        state = self._optimizer_state(now) if broken else frozenset()
        for name in broken:
            kind: Kind = "optimizer state" if name in state else "other state"
            self._first_bad_of.setdefault("weights" if name in self._weights else kind, batch)

    def _optimizer_state(self, now: dict[str, np.ndarray]) -> frozenset[str]:
        return optimizer_state((name for name in now if name not in self._weights), self._weights)

    def _broken(self, now: dict[str, np.ndarray]) -> list[str]:
        return [name for name, value in now.items() if self._finite[name] and not _is_finite(value)]

    def _seen(self, ended: Ended, why: str, metrics: dict[str, np.ndarray] | None = None) -> Observation:
        end = self._read()
        self._look_for_the_worst(end)
        broken, state, metrics = self._broken(end), self._optimizer_state(end), metrics or {}
        bad = [int(np.argmin(np.isfinite(each))) for each in metrics.values() if not np.all(np.isfinite(each))]
        # What was finite until the last look became bad after it: in an epoch, where the metrics have it.
        self._look_for_the_bad(end, max(self._stride * len(next(iter(self._steps.values()), [])), min(bad, default=0)))
        if bad:
            self._first_bad_of["metrics"] = min(bad)
        return Observation(
            ended=ended,
            why=why,
            stride=self._stride,
            metrics={name: tuple(values.tolist()) for name, values in metrics.items()},
            steps={name: tuple(values) for name, values in self._steps.items()},
            moved={name: tuple(looks) for name, looks in self._moved.items()},
            struck=tuple(self._struck),
            first_bad_of={kind: self._first_bad_of[kind] for kind in KINDS if kind in self._first_bad_of},
            worst=self._worst,
            bad_weights=tuple(name for name in broken if name in self._weights),
            bad_state=tuple(name for name in broken if name not in self._weights),
            optimizer_state=tuple(name for name in end if name in state),
            first_apart=self._first_apart,
            apart=self._apart,
        )

    def _why_not(self) -> str:
        if self._way is None or self._fault is None:
            return ""
        during = range(self._fault.batch, self._fault.end)
        if all(self._fault.strength(batch, self._seed) is None for batch in during):
            return f"a probability of {self._fault.probability:g} let it happen in none of its batches"
        return self._way.why_not()

    def _history_after_all(self) -> dict[str, np.ndarray]:
        """The history of a loop that has died, if it can still say anything."""
        try:
            return history(self._loop)
        except Exception:
            return {}

    def _read(self) -> dict[str, np.ndarray]:
        """Copies of all variables that hold numbers, of every replica; takes note of replicas that are no longer alike.

        An optimizer may make its variables in the first batch.
        """
        found: dict[str, np.ndarray] = {}
        apart = []
        namesakes: collections.Counter[str] = collections.Counter()
        variables = [*self._loop.variables]
        for variable, value in zip(variables, self._values_of(variables), strict=True):
            called = variable_name(variable)
            namesakes[called] += 1
            # Not its place in the list, which is another when new ones come before it.
            name = self._names.setdefault((called, namesakes[called]), f"{len(self._names)}:{called}")
            if value.dtype.kind not in "OSU":
                found[name] = value
                self._finite.setdefault(name, _is_finite(value))
                mirrored = is_mirrored(variable, value)
                if self._mirrored.setdefault(name, mirrored) and not mirrored:
                    apart.append(name)
                if variable.trainable:
                    self._weights[name] = None
        self._apart = tuple(apart)
        return found


def _bits(values: np.ndarray) -> bytes:
    return values.tobytes()


def _is_finite(values: np.ndarray) -> bool:
    return bool(np.all(np.isfinite(values)))


def _step(before: np.ndarray, after: np.ndarray) -> float:
    """How far a weight moved; NaN where it is or was not finite, also when not a bit of it changed."""
    found = distance(before, after)
    if not math.isfinite(found):
        return math.nan
    return found or (0.0 if _bits(before) == _bits(after) else math.ulp(0.0))  # -0 is another 0


def _largest(values: np.ndarray) -> float:
    """The largest magnitude in an array; NaN when there is one."""
    return float(np.max(np.abs(values.astype(float)), initial=0.0))


def _nan_last(value: float) -> tuple[bool, float]:
    """An order in which NaN is worse than infinity."""
    return math.isnan(value), 0.0 if math.isnan(value) else value

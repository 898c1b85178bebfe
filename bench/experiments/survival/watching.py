"""Trains a loop batch by batch, with or without a fault, and observes its variables after each batch."""

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

if TYPE_CHECKING:  # it imports pydantic, which the process of an arm may lack
    from loop_bench.experiments.survival.trial import SurvivalTrial


def watch_trial(trial: SurvivalTrial) -> Observation:
    """Runs a trial, or a plain object with a trial's fields and `spec`, in this process."""
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
    """Trains a fresh loop batch by batch, and observes all its variables after each.

    Args:
        name: the factory's name, for messages.
        factory: the loop's factory.
        spec: preset, seed and options of the loop.
        fault: the injected fault; None: none.
        batches: batches to train; a fault of a single batch adds those that it waits to strike.
        epochs: epochs to train if `batches` is None, observed after each; their length is the loop's own.
        ready: faults whose injections are in the graphs, even if they do not happen.

    Raises:
        UsageError: the factory failed, the loop violates the contract, or the fault's place cannot be found.
    """
    # Always in the order of `ready`, whichever fault happens, so that the graphs are identical, including their names.
    faults = [fault if fault and fault.way == prepared.way else prepared for prepared in ready]
    if fault and fault not in faults:
        faults.append(fault)
    with contextlib.ExitStack() as entered:
        injections = {each: entered.enter_context(injection(each)) for each in faults}
        loop = build(name, factory, spec)
        for each in injections.values():
            each.attach(loop)
        # Without a fault, the strikes of one that never happens are read: TensorFlow's names depend on earlier graphs.
        used = injections[fault] if fault else next(iter(injections.values()), None)
        if batches is None:
            length = describe(loop).get("batches_per_epoch")
            if not isinstance(length, int) or length < 1 or epochs is None:
                return Observation(ended="not tested", why="the loop does not report its batches_per_epoch")
            return _Watch(loop, fault, used, spec.seed, stride=length).train(epochs)
        return _Watch(loop, fault, used, spec.seed).train(batches)


class _Watch:
    """Trains a loop, and accumulates the observations of its run."""

    def __init__(
        self, loop: TrainingLoop, fault: Fault | None, used: Injection | None, seed: int, stride: int = 1
    ) -> None:
        self._loop, self._fault, self._injection, self._seed, self._stride = loop, fault, used, seed, stride
        self._values_of = VariableReader(every_replica=True)
        self._names: dict[tuple[str, int], str] = {}  # each with a number that makes it unique
        self._weights: dict[str, None] = {}  # in the order in which they were first seen
        self._finite: dict[str, bool] = {}  # whether a variable was finite when first seen; some never are
        self._mirrored: dict[str, bool] = {}  # whether a variable's replicas were equal when first seen
        self._apart: tuple[str, ...] = ()  # mirrored variables whose replicas differ now
        self._first_apart: int | None = None
        self._last = self._read()
        self._steps: dict[str, list[float]] = {}
        self._moved: dict[str, list[int]] = {}
        self._struck: list[int] = []
        self._first_bad_of: dict[Kind, int] = {}
        self._worst = 0.0

    def train(self, batches: int) -> Observation:
        """Trains batches (or strides) and returns the observations, also if the loop crashes."""
        waited, batch = 0, 0
        try:
            while batch < batches + waited:
                strength = None if self._fault is None else self._fault.strength(batch - waited, self._seed)
                struck = self._train_batch(batch, strength)
                if strength is not None and not struck and self._fault is not None and self._fault.batches == 1:
                    if waited == PATIENCE:
                        return self._seen("not tested", f"{self._why_not()} ({PATIENCE} more batches were tried)")
                    waited += 1
                batch += 1
            if self._fault is not None and not self._struck:
                return self._seen("not tested", self._why_not())
            return self._seen("whole", "", history(self._loop))
        except LoopError as error:
            return self._seen("crashed", error_line(error), self._history_after_crash())

    def _train_batch(self, batch: int, strength: float | None) -> bool:
        """Trains and observes a batch; returns whether the fault has struck in it."""
        before = 0 if self._injection is None else self._injection.strikes()
        if self._injection is not None:
            self._injection.set(strength)
        # Read again, so that what the fault itself changes in weights and learning rates does not count as movement.
        self._last = self._read() if strength is not None else self._last
        try:
            self._loop.run(self._stride)
        finally:
            struck = self._injection is not None and self._injection.strikes() > before
            if struck:
                self._struck.append(batch)
        self._observe(batch)
        return struck

    def _observe(self, batch: int) -> None:
        now = self._read()
        # A variable that is new, as an optimizer's state after the first batch, does not count as moved.
        common = [name for name in now if name in self._last]
        steps = {name: _step(self._last[name], now[name]) for name in common if name in self._weights}
        for name in self._weights:
            self._steps.setdefault(name, [0.0] * batch).append(steps.get(name, 0.0))
        for name in common:
            if name not in self._weights and _bits(now[name]) != _bits(self._last[name]):
                self._moved.setdefault(name, []).append(batch)
        self._update_worst(now)
        self._update_first_bad(now, self._stride * (batch + 1) - 1)
        if self._apart and self._first_apart is None:
            self._first_apart = self._stride * (batch + 1) - 1
        self._last = now

    def _update_worst(self, now: dict[str, np.ndarray]) -> None:
        if self._struck:
            magnitudes = [self._worst, *(_largest(now[name]) for name in self._weights if name in now)]
            self._worst = max(magnitudes, key=_nan_last)

    def _update_first_bad(self, now: dict[str, np.ndarray], batch: int) -> None:
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
        self._update_worst(end)
        broken, state, metrics = self._broken(end), self._optimizer_state(end), metrics or {}
        bad_batches = [
            int(np.argmin(np.isfinite(values))) for values in metrics.values() if not np.all(np.isfinite(values))
        ]
        # A variable that was finite at the last look became bad after it; within an epoch, the metrics show the batch.
        first_after_look = self._stride * len(next(iter(self._steps.values()), []))
        self._update_first_bad(end, max(first_after_look, min(bad_batches, default=0)))
        if bad_batches:
            self._first_bad_of["metrics"] = min(bad_batches)
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
        if self._injection is None or self._fault is None:
            return ""
        during = range(self._fault.batch, self._fault.end)
        if all(self._fault.strength(batch, self._seed) is None for batch in during):
            return f"with a probability of {self._fault.probability:g}, it happened in none of its batches"
        return self._injection.why_not()

    def _history_after_crash(self) -> dict[str, np.ndarray]:
        """The history of a crashed loop, if it can still return one; otherwise empty."""
        try:
            return history(self._loop)
        except Exception:
            return {}

    def _read(self) -> dict[str, np.ndarray]:
        """Copies all variables that hold numbers, from every replica; records those whose replicas differ.

        The variables are listed anew each time, because an optimizer may make its own in the first batch.
        """
        values: dict[str, np.ndarray] = {}
        apart = []
        namesakes: collections.Counter[str] = collections.Counter()
        variables = [*self._loop.variables]
        for variable, value in zip(variables, self._values_of(variables), strict=True):
            plain_name = variable_name(variable)
            namesakes[plain_name] += 1
            # Not the index in the list, which changes if new variables come before it.
            name = self._names.setdefault((plain_name, namesakes[plain_name]), f"{len(self._names)}:{plain_name}")
            if value.dtype.kind not in "OSU":
                values[name] = value
                self._finite.setdefault(name, _is_finite(value))
                mirrored = is_mirrored(variable, value)
                if self._mirrored.setdefault(name, mirrored) and not mirrored:
                    apart.append(name)
                if variable.trainable:
                    self._weights[name] = None
        self._apart = tuple(apart)
        return values


def _bits(values: np.ndarray) -> bytes:
    return values.tobytes()


def _is_finite(values: np.ndarray) -> bool:
    return bool(np.all(np.isfinite(values)))


def _step(before: np.ndarray, after: np.ndarray) -> float:
    """The distance that a weight moved; NaN if it is or was not finite, even if no bit of it changed."""
    moved = distance(before, after)
    if not math.isfinite(moved):
        return math.nan
    return moved or (0.0 if _bits(before) == _bits(after) else math.ulp(0.0))  # from 0 to -0 is a change


def _largest(values: np.ndarray) -> float:
    """The largest magnitude in an array; NaN if it contains one."""
    return float(np.max(np.abs(values.astype(float)), initial=0.0))


def _nan_last(value: float) -> tuple[bool, float]:
    """Sort key by which NaN is larger than infinity."""
    return math.isnan(value), 0.0 if math.isnan(value) else value

"""Looking at a loop while it trains batch by batch, with a fault or without."""

from __future__ import annotations

import contextlib
import math
import traceback
from typing import Any

import numpy as np

from bench.errors import UsageError
from bench.faults.fault import Fault
from bench.faults.injection import Injection, injection
from bench.faults.observation import PATIENCE, Ended, Observation
from bench.loop import LoopFactory, LoopSpec, TrainingLoop, build, describe, history, variable_name


def observe(
    name: str,
    factory: LoopFactory,
    spec: LoopSpec,
    fault: Fault | None,
    batches: int | None = None,
    epochs: int | None = None,
) -> Observation:
    """Trains a fresh loop batch by batch, and looks at all its variables after each.

    Args:
        name: of the factory, for messages.
        factory: of the loop.
        spec: to make it with.
        fault: what goes wrong meanwhile, if anything does.
        batches: to train; a fault of a single batch that waits for its network adds to them.
        epochs: to train instead, of as many batches as the loop says of itself.

    Raises:
        UsageError: the factory failed, what it made keeps to no contract, or the fault's place is not to be found.
    """
    with contextlib.nullcontext() if fault is None else injection(fault) as way:
        loop = build(name, factory, spec)
        if way is not None:
            way.attach(loop)
        if batches is None:
            length = describe(loop).get("batches_per_epoch")
            if not isinstance(length, int) or epochs is None:
                return Observation(ended="not tested", why="the loop does not say how many batches make an epoch")
            batches = epochs * length
        return _Watch(loop, fault, way).train(batches)


class _Watch:
    """A loop and what has been seen of it so far."""

    def __init__(self, loop: TrainingLoop, fault: Fault | None, way: Injection | None) -> None:
        self._loop, self._fault, self._way = loop, fault, way
        self._weights = {_unique(i, v): v for i, v in enumerate(loop.variables) if v.trainable}
        self._state = {_unique(i, v): v for i, v in enumerate(loop.variables) if not v.trainable}
        self._last = self._read()
        self._usual: set[str] = set()  # what changed in the batches before the fault; not each of them in every one
        self._steps: dict[str, list[float]] = {name: [] for name in self._weights}
        self._struck: list[int] = []
        self._skipped = 0
        self._moved_in_skips: set[str] = set()
        self._first_bad: int | None = None
        self._worst = 0.0

    def train(self, batches: int) -> Observation:
        """Trains so many batches; whatever the loop dies of is what was seen."""
        waited, batch = 0, 0
        try:
            while batch < batches + waited:
                strength = None if self._fault is None else self._fault.strength(batch - waited)
                struck = self._one(batch, strength)
                if strength is not None and not struck and self._fault is not None and self._fault.batches == 1:
                    if waited == PATIENCE:
                        return self._seen("not tested", f"{self._why_not()} ({PATIENCE} more were tried)")
                    waited += 1
                batch += 1
            if self._fault is not None and not self._struck:
                return self._seen("not tested", self._why_not())
            return self._seen("whole", "", history(self._loop))
        except UsageError:
            raise
        except (Exception, SystemExit) as error:
            return self._seen("crashed", f"{type(error).__name__}: {_gist(error)}", self._history_after_all())

    def _one(self, batch: int, strength: float | None) -> bool:
        """Trains a batch; gives whether the fault has struck in it."""
        before = 0 if self._way is None else self._way.strikes()
        if self._way is not None:
            self._way.set(strength)
        try:
            # Weights and learning rates that the fault has just changed have not moved by training.
            self._last = self._read() if strength is not None else self._last
            self._loop.run(1)
        finally:
            struck = self._way is not None and self._way.strikes() > before
            if struck:
                self._struck.append(batch)
        self._look(batch, struck)
        return struck

    def _look(self, batch: int, struck: bool) -> None:
        now = self._read()
        moved = {name for name, value in now.items() if value.tobytes() != self._last[name].tobytes()}
        for name in self._weights:
            self._steps[name].append(_distance(self._last[name], now[name]) if name in moved else 0.0)
        if struck:
            self._look_for_skip(moved)
        elif not self._struck:
            self._usual |= moved
        if self._struck:
            self._worst = max([self._worst, *(_largest(now[name]) for name in self._weights)], key=_nan_last)
        if self._first_bad is None and not all(np.all(np.isfinite(value)) for value in now.values()):
            self._first_bad = batch
        self._last = now

    def _look_for_skip(self, moved: set[str]) -> None:
        assert self._fault is not None
        attacked = {name for name in self._usual if self._fault.hits(name)}
        weights = attacked & set(self._weights)
        if weights and not weights & moved:
            self._skipped += 1
            self._moved_in_skips |= attacked & moved

    def _seen(self, ended: Ended, why: str, metrics: dict[str, np.ndarray] | None = None) -> Observation:
        end = self._read()
        broken = [name for name, value in end.items() if not np.all(np.isfinite(value))]
        metrics = metrics or {}
        first = [int(np.argmin(np.isfinite(each))) for each in metrics.values() if not np.all(np.isfinite(each))]
        bad = [*first, *([] if self._first_bad is None else [self._first_bad])]
        if broken and not bad:  # in the batch that it has died in
            bad = [len(next(iter(self._steps.values()), []))]
        return Observation(
            ended=ended,
            why=why,
            metrics={name: tuple(values.tolist()) for name, values in metrics.items()},
            steps={name: tuple(values) for name, values in self._steps.items()},
            struck=tuple(self._struck),
            skipped=self._skipped,
            moved_in_skips=tuple(sorted(self._moved_in_skips)),
            first_bad=min(bad, default=None),
            worst=self._worst,
            bad_weights=tuple(name for name in broken if name in self._weights),
            bad_state=tuple(name for name in broken if name in self._state),
        )

    def _why_not(self) -> str:
        if self._way is None or self._fault is None:
            return ""
        if all(self._fault.strength(batch) is None for batch in range(self._fault.batch, self._fault.end)):
            return f"a probability of {self._fault.probability:g} let it happen in none of its batches"
        return self._way.why_not()

    def _history_after_all(self) -> dict[str, np.ndarray]:
        """Of a loop that has died, which need not be able to say anything more."""
        try:
            return history(self._loop)
        except Exception:
            return {}

    def _read(self) -> dict[str, np.ndarray]:
        return {name: np.array(variable.numpy()) for name, variable in {**self._weights, **self._state}.items()}


def _unique(index: int, variable: Any) -> str:
    """A name that is the variable's alone, with the one that a fault's target is part of."""
    return f"{index}:{variable_name(variable)}"


def _distance(before: np.ndarray, after: np.ndarray) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        found = float(np.linalg.norm((after.astype(float) - before.astype(float)).reshape(-1)))
    return found if math.isfinite(found) else math.nan


def _largest(values: np.ndarray) -> float:
    """The largest magnitude in an array; NaN when there is one."""
    return float(np.max(np.abs(values.astype(float)), initial=0.0))


def _nan_last(value: float) -> tuple[bool, float]:
    """An order in which NaN is worse than infinity."""
    return math.isnan(value), 0.0 if math.isnan(value) else value


def _gist(error: BaseException) -> str:
    """The line of a message that says what happened; TensorFlow begins its own with where."""
    where = ("Graph execution error", "Detected at node", "<stack traces", "File ", "[[{{", "[Op:")
    lines = [line.strip() for line in str(error).splitlines()]
    telling = [line for line in lines if line and not line.startswith(where)]
    if not (telling or lines):
        return traceback.extract_tb(error.__traceback__)[-1].name
    return (telling or lines)[0][:200]

"""A loop under test in the process in which it lives, and all that a run asks of it; answers are plain values.

The same class serves loops in the process of the run and, called through `loop_bench.arms.process`, loops elsewhere. It
imports nothing but the core.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from loop_bench.experiments.syncs import stretch
from loop_bench.hostsync.graphs import HostOp
from loop_bench.hostsync.recorder import record
from loop_bench.hostsync.tracing import Trace, watch_traces
from loop_bench.timing import clock
from loop_bench.timing import work as works
from loop_bench.timing.beginning import Beginning
from loop_bench.variables import VariableReader


class Subject(Beginning):
    """A loop that is started, counted, timed and looked at, in this order; the arguments are those of `Beginning`."""

    def __init__(self, factory: str, preset: str, seed: int, options: Mapping[str, Any], arm: str = "") -> None:
        super().__init__(factory, preset, seed, options, arm)
        self._witness: works.Witness | None = None  # of the loop after the first batch
        self._host_ops: tuple[HostOp, ...] = ()  # in the graphs that were traced for it
        self._trained = 0  # batches since the first
        self._traces: list[Trace] | None = None  # in blocks; None while they are not watched

    def start(self) -> tuple[float, float]:
        """Builds the loop and trains its first batch; seconds of either."""
        with record() as log:  # for what is traced; what is read now is not of the counted batches
            took = super().start()
        self._host_ops = tuple(log.host_ops)
        self._witness = works.Witness(self.started)
        return took

    def begin(self) -> None:
        """As `start`, without a look at how long it takes: nothing of ours is done before the factory has run."""
        self._loop = self.build()
        clock.seconds_for(self._loop, 1)
        self._witness = works.Witness(self._loop)

    def count(self, batches: int, trace: bool) -> dict[str, Any]:
        """The host syncs of so many batches: the fields of a `HostSyncs`; see `stretch.counted`."""
        found = stretch.counted(self.started, batches, self._host_ops, trace)
        self._trained += batches
        return found

    def train(self, batches: int) -> float:
        """Trains a block of batches; seconds from an idle device to an idle device."""
        self._trained += batches
        with self._watching():
            return clock.seconds_for(self.started, batches)

    def watch(self) -> None:
        """Has functions that are traced from now on, in blocks, counted."""
        self._traces = []

    def traced(self) -> list[dict[str, Any]]:
        """The functions that were traced while blocks were watched: the fields of a `TracedFunction` each."""
        return stretch.functions(self._traces or ())

    def described(self) -> dict[str, Any]:
        """What the loop said of itself after its first batch."""
        return dict(self._witnessed.described)

    def touch_seconds(self) -> float | None:
        """See `loop_bench.timing.work.touch_seconds`; of a loop that has trained a few batches."""
        return works.touch_seconds(self.started, self._witnessed.weights)

    def work(self) -> dict[str, Any]:
        """What the loop has to show for all its batches: the fields of a `Work`."""
        return dataclasses.asdict(self._witnessed.work(self._trained))

    def digest(self) -> str:
        """A hash of the weights of the first replica here, bit for bit: equal on all machines that train together."""
        found = hashlib.sha256()
        for value in VariableReader()([each for each in self.started.variables if each.trainable]):
            found.update(value.tobytes())
        return found.hexdigest()

    @property
    def _witnessed(self) -> works.Witness:
        assert self._witness is not None, "start() comes first"
        return self._witness

    @contextlib.contextmanager
    def _watching(self) -> Iterator[None]:
        if self._traces is None:
            yield
            return
        with watch_traces(self._traces.append):
            yield

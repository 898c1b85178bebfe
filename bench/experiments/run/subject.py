"""A loop under test and the measurements that a run takes of it; all results are plain values.

It serves loops in the process of the run and, called through `loop_bench.arms.process`, loops in other processes. It
therefore imports only the core.
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
    """A loop of which start, host syncs, blocks and work are measured, in this order; arguments as of `Beginning`."""

    def __init__(self, factory: str, preset: str, seed: int, options: Mapping[str, Any], arm: str = "") -> None:
        super().__init__(factory, preset, seed, options, arm)
        self._witness: works.Witness | None = None  # state of the loop after its first batch
        self._host_ops: tuple[HostOp, ...] = ()  # in the graphs that were traced for the loop
        self._trained = 0  # batches since the first
        self._traces: list[Trace] | None = None  # of functions, in blocks; None: not recorded

    def start(self) -> tuple[float, float]:
        """Builds the loop and trains its first batch; returns the seconds of each."""
        with record() as log:  # records the graphs' host ops; reads count only in `count`
            took = super().start()
        self._host_ops = tuple(log.host_ops)
        self._witness = works.Witness(self.started)
        return took

    def begin(self) -> None:
        """Builds the loop and trains its first batch without measuring; the factory runs before anything else."""
        self._loop = self.build()
        clock.seconds_for(self._loop, 1)
        self._witness = works.Witness(self._loop)

    def count(self, batches: int, trace: bool) -> dict[str, Any]:
        """Trains batches and counts their host syncs; returns the fields of a `HostSyncs`, see `stretch.counted`."""
        counted = stretch.counted(self.started, batches, self._host_ops, trace)
        self._trained += batches
        return counted

    def train(self, batches: int) -> float:
        """Trains a block of batches; returns the seconds from an idle device to an idle device."""
        self._trained += batches
        with self._watching():
            return clock.seconds_for(self.started, batches)

    def watch(self) -> None:
        """Records functions that are traced in blocks from now on."""
        self._traces = []

    def traced(self) -> list[dict[str, Any]]:
        """The functions traced in blocks since `watch`, each as the fields of a `TracedFunction`."""
        return stretch.functions(self._traces or ())

    def described(self) -> dict[str, Any]:
        """The loop's describe() after its first batch."""
        return dict(self._witnessed.described)

    def touch_seconds(self) -> float | None:
        """See `loop_bench.timing.work.touch_seconds`; the loop must have trained a few batches."""
        return works.touch_seconds(self.started, self._witnessed.weights)

    def work(self) -> dict[str, Any]:
        """The evidence that the loop trained all its batches: the fields of a `Work`."""
        return dataclasses.asdict(self._witnessed.work(self._trained))

    def digest(self) -> str:
        """A hash of the first local replica's weights, bit for bit; equal on all machines that train together."""
        digest = hashlib.sha256()
        for value in VariableReader()([variable for variable in self.started.variables if variable.trainable]):
            digest.update(value.tobytes())
        return digest.hexdigest()

    @property
    def _witnessed(self) -> works.Witness:
        assert self._witness is not None, "call start() first"
        return self._witness

    @contextlib.contextmanager
    def _watching(self) -> Iterator[None]:
        if self._traces is None:
            yield
            return
        with watch_traces(self._traces.append):
            yield

"""The examination of one rung in a process of its own: start time, host syncs, memory and equivalence."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import Self

from loop_bench import hostsync
from loop_bench.experiments.equivalence.record import Equivalence
from loop_bench.experiments.ladder.plan import Ladder, Rung
from loop_bench.experiments.ladder.record import Finding
from loop_bench.experiments.syncs.record import BATCHES
from loop_bench.jobs.trial import Result, Trial
from loop_bench.loop import LoopSpec, build, load
from loop_bench.machine import gpu
from loop_bench.machine.memory import Gauge
from loop_bench.timing.clock import start, warm_up


class RungTrial(Trial[Finding]):
    """The examination of a rung, as a trial."""

    work: ClassVar[str] = "loop_bench.experiments.ladder.trial:examine_trial"
    finding: ClassVar[type[Finding]] = Finding
    is_timed: ClassVar[bool] = True  # the time to first batch is

    rung: Rung
    baseline: Rung  # for the equivalence check
    preset: str
    seed: int
    time_limit: Annotated[float, Field(gt=0)] = 1200.0  # seconds; a trial that takes longer hangs

    @classmethod
    def of(cls, ladder: Ladder, rung: Rung) -> Self:
        """The trial of a rung of a ladder."""
        return cls(rung=rung, baseline=ladder.baseline, preset=ladder.preset, seed=ladder.seed)

    @classmethod
    def preload(cls) -> tuple[str, ...]:
        return (
            *super().preload(),
            "loop_bench.experiments.equivalence.check",
            "loop_bench.experiments.syncs.counting",
        )

    @property
    def title(self) -> str:
        return self.rung.name

    @property
    def loops(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        return tuple((rung.factory, rung.options) for rung in (self.rung, self.baseline))


def finding(result: Result[Finding]) -> Finding:
    """The measurements of a rung; if its process died, only the cause."""
    return result.found or Finding(died=result.died)


def examine_trial(trial: RungTrial) -> Finding:
    """Runs a trial in this process."""
    return examine(trial.rung, trial.baseline, LoopSpec(trial.preset, trial.seed))


def examine(rung: Rung, baseline: Rung, spec: LoopSpec) -> Finding:
    """Starts a rung's loop, counts its reads, and compares a fresh loop with the baseline's.

    It must be called in a process that does nothing else, because it measures the memory of the process.

    Args:
        rung: the rung.
        baseline: the first rung; it is not compared with itself.
        spec: preset and seed; the options are those of the rungs.

    Raises:
        UsageError: a factory is wrong, or its loop violates the contract.
    """
    from loop_bench.experiments.syncs import counting  # starts TensorFlow

    factory = load(rung.factory)
    warm_up(lambda: build(rung.factory, factory, _spec(rung, spec), rung.name))
    gauge = Gauge()
    with hostsync.record() as log:  # records the graphs' host ops; reads count only in the batches below
        loop, duration = start(rung.factory, factory, _spec(rung, spec), rung.name)
    syncs = counting.count_host_syncs(loop, BATCHES, log.host_ops, trace=bool(gpu.states()))
    memory = gauge.peak()
    del loop
    return Finding(start=duration, host_syncs=syncs, memory=memory, equivalence=_compared(rung, baseline, spec))


def _compared(rung: Rung, baseline: Rung, spec: LoopSpec) -> Equivalence | None:
    from loop_bench.experiments.equivalence.check import equivalence  # starts TensorFlow
    from loop_bench.experiments.equivalence.side import Side

    if rung == baseline or rung.equivalent_options is None:
        return None
    options = rung.equivalent_options

    def side(of_rung: Rung) -> Side:
        built = _spec(of_rung, spec, **options)
        return Side.made(of_rung.factory, built.preset, built.seed, built.options, of_rung.name)

    return equivalence(side(baseline), side(rung), options)


def _spec(rung: Rung, spec: LoopSpec, **added: object) -> LoopSpec:
    return dataclasses.replace(spec, options={**rung.options, **added})

"""The examination of one rung, in a process of its own: what it costs beside its time a batch, and what it computes."""

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
    """A rung, and the baseline that it is compared with."""

    work: ClassVar[str] = "loop_bench.experiments.ladder.trial:examine_trial"
    finding: ClassVar[type[Finding]] = Finding
    is_timed: ClassVar[bool] = True  # its time to first batch

    rung: Rung
    baseline: Rung
    preset: str
    seed: int
    time_limit: Annotated[float, Field(gt=0)] = 1200.0  # seconds; what takes longer hangs

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
        return tuple((each.factory, each.options) for each in (self.rung, self.baseline))


def finding(result: Result[Finding]) -> Finding:
    """What is known of a rung; only what its process died of, if it did."""
    return result.found or Finding(died=result.died)


def examine_trial(trial: RungTrial) -> Finding:
    """Does the work of a trial."""
    return examine(trial.rung, trial.baseline, LoopSpec(trial.preset, trial.seed))


def examine(rung: Rung, baseline: Rung, spec: LoopSpec) -> Finding:
    """Starts the rung's loop, counts its reads, and compares a fresh one with the baseline's.

    For a process that does nothing else: memory is that of the process.

    Args:
        rung: to be looked at.
        baseline: the first one; it is not compared with itself.
        spec: preset and seed; the options are those of the rungs.

    Raises:
        UsageError: a factory is wrong, or its loop does not keep the contract.
    """
    from loop_bench.experiments.syncs import counting  # it starts TensorFlow

    factory = load(rung.factory)
    warm_up(lambda: build(rung.factory, factory, _spec(rung, spec), rung.name))
    gauge = Gauge()
    with hostsync.record() as log:  # for what it traces; reads while it is built are not of its batches
        loop, took = start(rung.factory, factory, _spec(rung, spec), rung.name)
    syncs = counting.count_host_syncs(loop, BATCHES, log.host_ops, trace=bool(gpu.states()))
    memory = gauge.peak()
    del loop
    return Finding(start=took, host_syncs=syncs, memory=memory, equivalence=_compared(rung, baseline, spec))


def _compared(rung: Rung, baseline: Rung, spec: LoopSpec) -> Equivalence | None:
    from loop_bench.experiments.equivalence.check import equivalence  # it starts TensorFlow
    from loop_bench.experiments.equivalence.side import Side

    if rung == baseline or rung.equivalent_options is None:
        return None
    options = rung.equivalent_options

    def made(one: Rung) -> Side:
        of = _spec(one, spec, **options)
        return Side.made(one.factory, of.preset, of.seed, of.options, one.name)

    return equivalence(made(baseline), made(rung), options)


def _spec(rung: Rung, spec: LoopSpec, **more: object) -> LoopSpec:
    return dataclasses.replace(spec, options={**rung.options, **more})

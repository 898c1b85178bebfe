"""What a rung costs beside its time a batch, and whether it computes what the baseline does."""

from __future__ import annotations

import dataclasses

from bench import hostsync
from bench.experiments.equivalence.check import equivalence
from bench.experiments.equivalence.record import Equivalence
from bench.experiments.ladder.plan import Rung
from bench.experiments.ladder.record import Finding
from bench.experiments.ladder.trial import RungTrial
from bench.experiments.syncs import counting
from bench.loop import LoopSpec, TrainingLoop, build, load
from bench.machine import gpu
from bench.machine.memory import Gauge
from bench.timing.clock import start, warm_up_tensorflow

BATCHES = 100
"""In which reads are counted: enough for what happens once in ten batches."""


def examine_trial(trial: RungTrial) -> Finding:
    """Does the work of a trial."""
    return examine(trial.rung, trial.baseline, LoopSpec(trial.preset, trial.seed))


def examine(rung: Rung, baseline: Rung, spec: LoopSpec) -> Finding:
    """Starts the rung's loop, trains it for BATCHES, and compares a fresh one with the baseline's.

    For a process that does nothing else: memory is that of the process.

    Args:
        rung: to be looked at.
        baseline: the first one; it is not compared with itself.
        spec: preset and seed; the options are those of the rungs.

    Raises:
        UsageError: a factory is wrong, or its loop does not keep the contract.
    """
    warm_up_tensorflow()
    factory, gauge = load(rung.factory), Gauge()
    with hostsync.record() as log:  # for what it traces; reads while it is built are not of its batches
        loop, took = start(rung.factory, factory, _spec(rung, spec))
    syncs = counting.count_host_syncs(loop, BATCHES, log.host_ops, trace=bool(gpu.states()))
    memory = gauge.peak()
    del loop
    return Finding(start=took, host_syncs=syncs, memory=memory, equivalence=_compared(rung, baseline, spec))


def _compared(rung: Rung, baseline: Rung, spec: LoopSpec) -> Equivalence | None:
    if rung == baseline or rung.equivalent_options is None:
        return None
    options = rung.equivalent_options

    def made(one: Rung) -> TrainingLoop:
        return build(one.factory, load(one.factory), _spec(one, spec, **options))

    return equivalence(made(baseline), made(rung), options)


def _spec(rung: Rung, spec: LoopSpec, **more: object) -> LoopSpec:
    return dataclasses.replace(spec, options={**rung.options, **more})

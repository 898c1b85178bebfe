"""The convergence trial: trains one loop from one seed in a process of its own, and evaluates it between epochs."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from loop_bench.document import Count, Frozen
from loop_bench.errors import UsageError
from loop_bench.failure import LoopError
from loop_bench.jobs.trial import Ending, LoopTrial, Result
from loop_bench.loop import LoopFactory, LoopSpec, TrainingLoop, build, describe, evaluate, load, name_of
from loop_bench.timing import clock
from loop_bench.variables import held, variable_name


class Moment(Frozen):
    """An evaluation of a loop between two epochs."""

    batch: Count  # batches trained so far
    seconds: Annotated[float, Field(ge=0)]  # of training so far, with tracing and compilation, without evaluations
    temperature: float | None = None  # of the next batch; None: the loop does not report it
    quality: dict[str, float]  # the loop's evaluate()


class Course(Frozen):
    """The course of training of one loop from one seed."""

    seed: Count
    ended: Ending
    why: str = ""  # why the run did not complete
    start: str = ""  # digest of all weights before the first batch, to see whether loops began alike
    moments: tuple[Moment, ...] = ()  # the first is before any batch

    @property
    def flaw(self) -> str:
        """Why the run cannot be used, in words; empty: it is complete and its numbers are finite."""
        if self.ended != "whole":
            return f"{self.ended}: {self.why}"
        for moment in self.moments:
            bad = [name for name, value in moment.quality.items() if not math.isfinite(value)]
            if bad:
                return f"{bad[0]} was not finite after {moment.batch} batches"
        return ""


class ConvergenceTrial(LoopTrial[Course]):
    """The training of one loop from one seed, as a trial."""

    work: ClassVar[str] = "loop_bench.experiments.convergence.trial:follow_trial"
    finding: ClassVar[type[Course]] = Course

    epochs: Annotated[int, Field(gt=0)]
    every: Annotated[int, Field(gt=0)] | None = None  # batches of an epoch; None: the loop's own


def course(trial: ConvergenceTrial, result: Result[Course]) -> Course:
    """The course of a trial; if its process died, only how it ended."""
    return result.found or Course(seed=trial.seed, ended=result.ended, why=result.why)


def follow_trial(trial: ConvergenceTrial) -> Course:
    """Runs a trial in this process."""
    return follow(trial.factory, load(trial.factory), trial.spec, trial.epochs, trial.every, trial.loop)


def follow(
    name: str, factory: LoopFactory, spec: LoopSpec, epochs: int, every: int | None = None, role: str = ""
) -> Course:
    """Trains a fresh loop, and evaluates it before the first batch and after every epoch.

    If the loop crashes, the cause is a result, together with the evaluations before.

    Args:
        name: the factory's name, for messages.
        factory: the loop's factory.
        spec: preset, seed and options of the loop.
        epochs: epochs to train.
        every: batches of an epoch; None: the loop's own.
        role: the loop's name in messages, see `build`.

    Raises:
        UsageError: the factory failed, the loop violates the contract, it has no evaluate(), or the length of an epoch
            is in neither `every` nor the loop's describe().
    """
    loop = build(name, factory, spec, role)
    start, moments = _digest(loop), list[Moment]()
    try:
        for moment in _moments(loop, epochs, every):
            moments.append(moment)  # one by one, to keep them if the loop crashes
    except UsageError:
        raise
    except LoopError as error:
        return Course(seed=spec.seed, ended="crashed", why=str(error), start=start, moments=tuple(moments))
    return Course(seed=spec.seed, ended="whole", start=start, moments=tuple(moments))


def _moments(loop: TrainingLoop, epochs: int, every: int | None) -> Iterator[Moment]:
    yield _moment(loop, 0, 0.0)
    stride, seconds = every or _epoch_of(loop), 0.0
    for epoch in range(1, epochs + 1):
        seconds += clock.seconds_for(loop, stride)
        yield _moment(loop, epoch * stride, seconds)


def _moment(loop: TrainingLoop, batch: int, seconds: float) -> Moment:
    described = describe(loop).get("temperature")
    temperature = float(described) if isinstance(described, int | float) else None
    return Moment(batch=batch, seconds=seconds, temperature=temperature, quality=evaluate(loop))


def _epoch_of(loop: TrainingLoop) -> int:
    length = describe(loop).get("batches_per_epoch")
    if not isinstance(length, int) or length < 1:
        raise UsageError(
            f"{name_of(loop)}: describe() lacks batches_per_epoch; give the batches of an epoch with --every"
        )
    return length


def _digest(loop: TrainingLoop) -> str:
    """A digest of the names and values of the weights, bit for bit; optimizers may have no variables yet."""
    digest = hashlib.sha256()
    for variable in loop.variables:
        if variable.trainable:
            value = held(variable)
            digest.update(f"{variable_name(variable)}\0{value.dtype}{value.shape}\0".encode())
            digest.update(value.tobytes())
    return digest.hexdigest()[:16]

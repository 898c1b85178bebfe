"""One loop from one seed: a run in a process of its own, and how the loop's quality went while it trained."""

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
    """What was seen when training stood still."""

    batch: Count  # trained so far
    seconds: Annotated[float, Field(ge=0)]  # of training so far, with tracing and compilation, without evaluations
    temperature: float | None = None  # of the next batch, if the loop says
    quality: dict[str, float]  # by name, as `evaluate()` of the loop gives it


class Course(Frozen):
    """A run of one loop from one seed."""

    seed: Count
    ended: Ending
    why: str = ""  # it is not whole
    start: str = ""  # a digest of all weights before the first batch: those who have the same began alike
    moments: tuple[Moment, ...] = ()  # the first before any batch

    @property
    def flaw(self) -> str:
        """Why nothing can be read from it; empty of one that came to its end with finite numbers."""
        if self.ended != "whole":
            return f"{self.ended}: {self.why}"
        for moment in self.moments:
            bad = [name for name, value in moment.quality.items() if not math.isfinite(value)]
            if bad:
                return f"{bad[0]} was not finite after {moment.batch} batches"
        return ""


class ConvergenceTrial(LoopTrial[Course]):
    """A run of one loop from one seed."""

    work: ClassVar[str] = "loop_bench.experiments.convergence.trial:follow_trial"
    finding: ClassVar[type[Course]] = Course

    epochs: Annotated[int, Field(gt=0)]
    every: Annotated[int, Field(gt=0)] | None = None  # batches of an epoch; None: the loop's own


def course(trial: ConvergenceTrial, result: Result[Course]) -> Course:
    """How a run went; only how it ended, of a process that died."""
    return result.found or Course(seed=trial.seed, ended=result.ended, why=result.why)


def follow_trial(trial: ConvergenceTrial) -> Course:
    """Does the work of a trial."""
    return follow(trial.factory, load(trial.factory), trial.spec, trial.epochs, trial.every, trial.loop)


def follow(
    name: str, factory: LoopFactory, spec: LoopSpec, epochs: int, every: int | None = None, role: str = ""
) -> Course:
    """Trains a fresh loop, and evaluates it before the first batch and after every epoch.

    What the loop dies of is a result, beside what was seen until then.

    Args:
        name: of the factory, for messages.
        factory: of the loop.
        spec: to make it with.
        epochs: to train.
        every: batches of an epoch; None: as many as the loop says itself.
        role: of the loop, as `build` has it.

    Raises:
        UsageError: the factory failed, what it made keeps to no contract, does not say how good it is, or neither it
            nor `every` says how many batches make an epoch.
    """
    loop = build(name, factory, spec, role)
    start, moments = _digest(loop), list[Moment]()
    try:
        for moment in _moments(loop, epochs, every):
            moments.append(moment)  # one by one, to be there when the loop dies
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
    said = describe(loop).get("temperature")
    temperature = float(said) if isinstance(said, int | float) else None
    return Moment(batch=batch, seconds=seconds, temperature=temperature, quality=evaluate(loop))


def _epoch_of(loop: TrainingLoop) -> int:
    length = describe(loop).get("batches_per_epoch")
    if not isinstance(length, int) or length < 1:
        raise UsageError(
            f"{name_of(loop)} does not say in describe() how many batches_per_epoch it has; name them: --every"
        )
    return length


def _digest(loop: TrainingLoop) -> str:
    """A digest of the weights, bit for bit, with their names; an optimizer that has not begun may have none."""
    digest = hashlib.sha256()
    for variable in loop.variables:
        if variable.trainable:
            now = held(variable)
            digest.update(f"{variable_name(variable)}\0{now.dtype}{now.shape}\0".encode())
            digest.update(now.tobytes())
    return digest.hexdigest()[:16]

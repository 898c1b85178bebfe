"""Training a loop, and evaluating it again and again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from bench.errors import UsageError
from bench.experiments.convergence.trial import ConvergenceTrial, Course, Moment
from bench.loop import LoopFactory, LoopSpec, TrainingLoop, build, describe, error_line, evaluate, load, variable_name
from bench.timing import clock


def follow_trial(trial: ConvergenceTrial) -> Course:
    """Does the work of a trial."""
    spec = LoopSpec(trial.preset, trial.seed, trial.options)
    return follow(trial.factory, load(trial.factory), spec, trial.epochs, trial.every)


def follow(name: str, factory: LoopFactory, spec: LoopSpec, epochs: int, every: int | None = None) -> Course:
    """Trains a fresh loop, and evaluates it before the first batch and after every epoch.

    What the loop dies of is a result, beside what was seen until then.

    Args:
        name: of the factory, for messages.
        factory: of the loop.
        spec: to make it with.
        epochs: to train.
        every: batches of an epoch; None: as many as the loop says itself.

    Raises:
        UsageError: the factory failed, what it made keeps to no contract, does not say how good it is, or neither it
            nor `every` says how many batches make an epoch.
    """
    loop = build(name, factory, spec)
    start, moments = _digest(loop), list[Moment]()
    try:
        for moment in _moments(loop, epochs, every):
            moments.append(moment)  # one by one, to be there when the loop dies
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        why = error_line(error)
        return Course(seed=spec.seed, ended="crashed", why=why, start=start, moments=tuple(moments))
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
            f"{type(loop).__name__} does not say in describe() how many batches_per_epoch it has; name them: --every"
        )
    return length


def _digest(loop: TrainingLoop) -> str:
    """Of the weights, bit for bit, with their names; those of an optimizer that has not begun need not be there."""
    digest = hashlib.sha256()
    for variable in loop.variables:
        if variable.trainable:
            value = np.asarray(variable)
            digest.update(f"{variable_name(variable)}\0{value.dtype}{value.shape}\0".encode())
            digest.update(value.tobytes())
    return digest.hexdigest()[:16]

"""Loops held against the one before, one after the other: do they compute the same thing?"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from bench import builtin
from bench.errors import UsageError
from bench.experiments.equivalence.check import BATCHES, equivalence
from bench.experiments.equivalence.record import AgreementRecord
from bench.experiments.ladder.plan import Rung
from bench.loop import LoopSpec, TrainingLoop, build, load
from bench.machine.environment import environment
from bench.settings import Settings


def agreement(
    settings: Settings, every_rung: bool, batches: int = BATCHES, tell: Callable[[str], None] = lambda title: None
) -> AgreementRecord:
    """Compares loops with the one before.

    Args:
        settings: which loops, from what seed.
        every_rung: whether to compare all rungs between them as well.
        batches: of each loop by itself, and as many from the same state.
        tell: is told what has been compared.

    Raises:
        UsageError: a loop that cannot be built.
    """
    found, here = {}, environment()
    for rung in compared(settings, every_rung):
        # Options of someone else's loops are theirs: nothing is known that would make the two alike.
        options = rung.equivalent_options or {}
        before = _build(settings, settings.before, {**settings.options, **options})
        after = _build(settings, rung.factory, {**rung.options, **options})
        same = equivalence(before, after, options, batches)
        why = rung.inexact(same, here)
        found[rung.name] = same.model_copy(update={"equal": False, "reason": why}) if why else same
        tell(rung.name)
    return AgreementRecord(
        created=datetime.datetime.now(datetime.UTC), environment=here, settings=settings, found=found
    )


def compared(settings: Settings, every_rung: bool) -> list[Rung]:
    """The loops that are held against the one before.

    Raises:
        UsageError: there are no rungs between the loops.
    """
    ladder = builtin.ladder(settings)
    if not every_rung:
        same = {"name": "after", "options": dict(settings.options)}
        return [ladder.full.model_copy(update=same)]
    if len(ladder.rungs) < 3:
        raise UsageError("--every-rung: there are rungs only between the built-in loops")
    return [rung for rung in ladder.rungs if rung != ladder.baseline]


def _build(settings: Settings, factory: str, options: dict[str, Any]) -> TrainingLoop:
    return build(factory, load(factory), LoopSpec(settings.preset, settings.seed, options))

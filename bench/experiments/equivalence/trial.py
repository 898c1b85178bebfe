"""Loops held against the one before, one after the other: do they compute the same thing?"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import Any

from bench.experiments.equivalence.check import BATCHES, equivalence
from bench.experiments.equivalence.plan import Candidate
from bench.experiments.equivalence.record import AgreementRecord
from bench.loop import LoopSpec, TrainingLoop, build, load
from bench.machine.environment import environment
from bench.settings import Settings


def agreement(
    settings: Settings,
    candidates: Sequence[Candidate],
    batches: int = BATCHES,
    tell: Callable[[str], None] = lambda title: None,
) -> AgreementRecord:
    """Compares loops with the one before.

    Args:
        settings: from what seed, with which loop before.
        candidates: the loops.
        batches: of each loop by itself, and as many from the same state.
        tell: is told what has been compared.

    Raises:
        UsageError: a loop that cannot be built.
    """
    found, here = {}, environment()
    for each in candidates:
        # Options of someone else's loops are theirs: nothing is known that would make the two alike.
        options = dict(each.equivalent or {})
        before = _build(settings, settings.before, {**settings.options, **options})
        after = _build(settings, each.factory, {**each.options, **options})
        same = equivalence(before, after, options, batches)
        why = each.inexact(same, here)
        found[each.name] = same.model_copy(update={"equal": False, "reason": why}) if why else same
        tell(each.name)
    return AgreementRecord(
        created=datetime.datetime.now(datetime.UTC), environment=here, settings=settings, found=found
    )


def _build(settings: Settings, factory: str, options: dict[str, Any]) -> TrainingLoop:
    return build(factory, load(factory), LoopSpec(settings.preset, settings.seed, options))

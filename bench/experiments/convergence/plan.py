"""The plan of a convergence experiment: which loops train from which seeds, and which pairs are compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator
from typing_extensions import Self

from loop_bench.document import Count, Frozen
from loop_bench.experiments.convergence.trial import ConvergenceTrial
from loop_bench.settings import ARMS, Settings

EPOCHS = 20
"""Default epochs of a run."""

TIME_LIMIT = 3600.0
"""Default time limit of a run in seconds."""


class TrainedLoop(Frozen):
    """A loop of a convergence plan."""

    factory: str
    options: dict[str, Any] = Field(default_factory=dict)


class Question(Frozen):
    """A question that the comparison of two loops, paired by seed, answers."""

    changed: str  # the loop whose quality is compared
    reference: str  # the loop that it is compared with
    question: str  # that the comparison answers


class ConvergencePlan(Frozen):
    """Loops, seeds and comparisons of a convergence experiment."""

    loops: dict[str, TrainedLoop]
    pairs: tuple[Question, ...]
    preset: str
    seeds: tuple[Count, ...]
    epochs: Annotated[int, Field(gt=0)]
    every: Annotated[int, Field(gt=0)] | None = None  # batches of an epoch; None: the loop's own
    time_limit: Annotated[float, Field(gt=0)] = TIME_LIMIT  # seconds for a run

    @model_validator(mode="after")
    def _pairs_are_of_loops(self) -> Self:
        named = {name for pair in self.pairs for name in (pair.changed, pair.reference)}
        if not named <= self.loops.keys():
            unknown = ", ".join(sorted(named - self.loops.keys()))
            raise ValueError(f"pairs name loops that are not in the plan: {unknown}")
        return self

    def trial(self, loop: str, seed: int) -> ConvergenceTrial:
        """The run of a loop from a seed."""
        trained = self.loops[loop]
        return ConvergenceTrial(
            loop=loop,
            factory=trained.factory,
            preset=self.preset,
            seed=seed,
            options=trained.options,
            epochs=self.epochs,
            every=self.every,
            time_limit=self.time_limit,
        )

    def trials_of(self, loop: str) -> list[ConvergenceTrial]:
        """The runs of a loop, one from each seed."""
        return [self.trial(loop, seed) for seed in self.seeds]

    def trials(self) -> list[ConvergenceTrial]:
        """All trials, ordered so that each seed is complete before the next one."""
        return [self.trial(loop, seed) for seed in self.seeds for loop in self.loops]


@dataclasses.dataclass(frozen=True)
class Learning:
    """Additional loops and questions for the convergence experiment of a pair."""

    variants: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    """Loops between the arms, by name: options of the loop after."""

    questions: tuple[Question, ...] = ()  # about these loops; listed before the question about both arms


def convergence_plan(
    settings: Settings,
    ready: Mapping[str, Mapping[str, Any]],
    learning: Learning,
    seeds: int,
    epochs: int,
    every: int | None = None,
) -> ConvergencePlan:
    """Plans a convergence experiment for a pair of loops.

    Args:
        settings: settings of the run.
        ready: by arm, the options under which its loop is evaluated fairly.
        learning: additional loops and questions of the pair.
        seeds: number of seeds, counted from that of the settings.
        epochs: epochs of each run.
        every: batches of an epoch; None: the loops' own.
    """
    factories = dict(zip(ARMS, (settings.before, settings.after), strict=True))
    before, after = (TrainedLoop(factory=factories[arm], options={**ready[arm], **settings.options}) for arm in ARMS)
    between = {
        name: TrainedLoop(factory=after.factory, options={**after.options, **options})
        for name, options in learning.variants.items()
    }
    whole = Question(changed=ARMS[1], reference=ARMS[0], question="does the loop after learn better?")
    return ConvergencePlan(
        loops={ARMS[0]: before, ARMS[1]: after, **between},
        pairs=(*learning.questions, whole),
        preset=settings.preset,
        seeds=tuple(range(settings.seed, settings.seed + seeds)),
        epochs=epochs,
        every=every,
    )

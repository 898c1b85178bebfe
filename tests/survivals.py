"""Records of survival experiments, for tests."""

import datetime
import math

from records import ENVIRONMENT, survival

from loop_bench.experiments.survival.plan import AttackedLoop, SurvivalPlan
from loop_bench.experiments.survival.record import PACE, SurvivalRecord, Undisturbed

SPIKE, NAN, ELEMENT = "scale=10000,target=generator", "nan,target=generator", "nan,extent=element"
SEEDS = (0, 1, 2, 3)

OUTCOMES = {
    "before": {SPIKE: ["frozen"] * 4, NAN: ["crashed"] * 3 + ["poisoned weights"], ELEMENT: ["crashed"] * 4},
    "after": {SPIKE: ["survived"] * 4, NAN: ["skipped"] * 4, ELEMENT: ["skipped"] * 3 + ["not tested"]},
    "after, clip": {NAN: ["poisoned weights"] * 4},
}


RECOVERIES = {("after", SPIKE): (12, None, 3, 5)}
"""Recovery of the runs that do not recover at once."""


def undisturbed(seed, ended="whole", batches=2000, first_bad=None):
    """A long run without a fault."""
    return Undisturbed(seed=seed, ended=ended, why="", batches=batches, first_bad=first_bad)


def survival_record(**changes):
    """A record of four seeds: a loop that crashes, one that survives, and a rung of the ladder."""
    series = tuple(tuple(1.0 - 0.01 * batch for batch in range(81)) for _ in SEEDS)
    short = tuple((*each[:12], math.nan) for each in series)  # a run that crashed
    curves = {
        "before": {"": {"loss": series}, NAN: {PACE: short, "loss": short}},
        "after": {"": {"loss": series}, NAN: {PACE: series, "loss": series}},
    }
    values = {
        "created": datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.timezone.utc),
        "environment": ENVIRONMENT,
        "plan": SurvivalPlan(
            loops={
                name: AttackedLoop(factory=f"my.{name[:3]}:make", faults=tuple(found))
                for name, found in OUTCOMES.items()
            },
            preset="tiny",
            seeds=SEEDS,
            epochs=100,
        ),
        "seconds": 100.0,
        "survivals": {
            name: tuple(
                survival(outcome, fault, seed, recovery=recovery)
                for fault, outcomes in found.items()
                for seed, outcome, recovery in zip(
                    SEEDS, outcomes, RECOVERIES.get((name, fault), (0,) * len(SEEDS)), strict=True
                )
            )
            for name, found in OUTCOMES.items()
        },
        "undisturbed": {
            "before": tuple(undisturbed(seed, first_bad=None if seed else 70) for seed in SEEDS),
            "after": tuple(undisturbed(seed) for seed in SEEDS),
        },
        "curves": curves,
    }
    return SurvivalRecord(**{**values, **changes})

"""Records of convergence experiments, for tests."""

import datetime

from records import ENVIRONMENT

from loop_bench.experiments.convergence.plan import ConvergencePlan, Question, TrainedLoop
from loop_bench.experiments.convergence.record import ConvergenceRecord
from loop_bench.experiments.convergence.trial import Course, Moment

DOWN, UP, NEITHER = "NLL (nats a token) ↓", "BLEU ↑", "length"
LOOPS = ("before", "after", "after, fixed")
EPOCHS, STRIDE = 4, 10

FINAL = {
    "before": {DOWN: 4.0, UP: 0.2, NEITHER: 9.0},
    "after": {DOWN: 3.0, UP: 0.2, NEITHER: 12.0},
    "after, fixed": {DOWN: 4.0, UP: 0.3, NEITHER: 9.0},
}
"""Mean ratings after the last batch; all loops start at START."""
START = {DOWN: 5.0, UP: 0.1, NEITHER: 9.0}


def plan(seeds=(0, 1, 2), **changes):
    values = {
        "loops": {name: TrainedLoop(factory=f"my.{name[:3]}:make", options={"held_out": 0.1}) for name in LOOPS},
        "pairs": (
            Question(changed="after", reference="after, fixed", question="does annealing help?"),
            Question(changed="after, fixed", reference="before", question="and the rest?"),
        ),
        "preset": "tiny",
        "seeds": seeds,
        "epochs": EPOCHS,
    }
    return ConvergencePlan(**{**values, **changes})


def course(loop, seed=0, **changes):
    """Ratings on a straight line from START to FINAL, plus an offset by seed that is the same for every loop."""
    moments = tuple(
        Moment(
            batch=STRIDE * epoch,
            seconds=0.5 * epoch,
            temperature=2.0 - 0.1 * epoch if loop == "after" else 0.8,
            quality={
                name: START[name] + (FINAL[loop][name] - START[name]) * epoch / EPOCHS + 0.01 * seed for name in START
            },
        )
        for epoch in range(EPOCHS + 1)
    )
    return Course(**{"seed": seed, "ended": "whole", "start": f"digest {seed}", "moments": moments, **changes})


def convergence_record(seeds=(0, 1, 2), changed=(), **changes):
    """A record of three loops; `changed` are courses that replace others, by loop and seed."""
    courses = {loop: tuple(dict(changed).get((loop, seed), course(loop, seed)) for seed in seeds) for loop in LOOPS}
    values = {
        "created": datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.timezone.utc),
        "environment": ENVIRONMENT,
        "plan": plan(seeds),
        "seconds": 60.0,
        "courses": courses,
    }
    return ConvergenceRecord(**{**values, **changes})

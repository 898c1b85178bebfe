"""Simulates survival trials of the built-in pair: no loop is trained, but results have the size of real ones.

A plan is the pair's own, with as many seeds as needed. The observations of a trial are drawn at random: noise around a
usual step and a usual metric, and the effect of a fault according to a random outcome. Names and numbers of variables
and batches are those of the built-in pair at preset `tiny`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping

import numpy as np

from loop_bench import builtin
from loop_bench.experiments.survival.fault import EVERYTHING, Fault
from loop_bench.experiments.survival.observation import Observation
from loop_bench.experiments.survival.plan import SurvivalPlan, survival_plan
from loop_bench.experiments.survival.trial import SurvivalTrial
from loop_bench.jobs.trial import Result
from loop_bench.settings import ARMS, Settings

WEIGHTS = {"generator": 8, "discriminator": 7}
"""Trained variables of each network."""

COUNTERS = 2
"""Other untrained variables per network, in addition to moments: those of the guard and the optimizer."""

METRICS = ("g_loss", "d_loss", "d_accuracy", "g_reward")

DRAWS = 8
"""Different runs of a loop with one fault; seeds share them, because simulating must not take longer than judging."""

SHARES = {
    ARMS[0]: {"poisoned": 0.4, "crashed": 0.3, "frozen": 0.2, "survived": 0.1},
    ARMS[1]: {"skipped": 0.8, "survived": 0.2},
}
"""Probabilities of outcomes, by arm; variants have those of the loop before."""


def plan(trials: int) -> SurvivalPlan:
    """The plan of the built-in pair, each loop from each seed, with the fewest seeds for this many trials."""
    pair = builtin.find(builtin.BEFORE, builtin.AFTER)
    faults = dataclasses.replace(pair.faults, variant_seeds=None)
    settings = Settings(before=builtin.BEFORE, after=builtin.AFTER, preset="tiny", seed=0, batches=1)
    per_seed = len(survival_plan(settings, faults, 1).trials())
    return survival_plan(settings, faults, -(-trials // per_seed))


class SimulatedResults(Mapping[str, Result[Observation]]):
    """A result for each trial of a plan, by key; seeds that are equal modulo DRAWS share one object."""

    def __init__(self, trials: list[SurvivalTrial]) -> None:
        self._trials = {trial.key: trial for trial in trials}

    def __getitem__(self, key: str) -> Result[Observation]:
        return result(self._trials[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._trials)

    def __len__(self) -> int:
        return len(self._trials)


def result(trial: SurvivalTrial) -> Result[Observation]:
    """The simulated result of a trial."""
    assert trial.batches is not None
    return _result(trial.loop, trial.fault, trial.seed % DRAWS, trial.batches)


@functools.cache
def _result(loop: str, fault: str | None, draw: int, batches: int) -> Result[Observation]:
    random = np.random.default_rng([*f"{loop} {fault}".encode(), draw])
    shares = SHARES.get(loop, SHARES[ARMS[0]])
    outcome = random.choice([*shares], p=[*shares.values()]) if fault else "survived"
    observation = _observation(random, Fault.parse(fault) if fault else None, str(outcome), batches)
    return Result[Observation](ended="whole", seconds=3.0, time_limit=300.0, found=observation)


def _observation(random: np.random.Generator, fault: Fault | None, outcome: str, batches: int) -> Observation:
    struck = [batch for batch in range(batches) if fault and fault.strength(batch) is not None]
    if outcome == "crashed" and struck:
        batches = struck[0] + 1
        struck = struck[:1]
    names = [f"{network}/weight_{number}" for network, count in WEIGHTS.items() for number in range(count)]
    weights = [f"{number}:{name}" for number, name in enumerate(names)]
    hit = [name for name in weights if fault and fault.hits(name)]
    steps = {name: 0.01 * random.lognormal(0, 0.1, batches) for name in weights}
    metrics = {name: 1 + np.exp(-np.arange(batches) / 20) + 0.05 * random.normal(size=batches) for name in METRICS}
    still: set[int] = set()
    if struck:
        after = slice(struck[0], None)
        for name in hit:
            if outcome == "skipped":
                steps[name][struck] = 0
            elif outcome == "frozen":
                steps[name][after] *= 0.01
            elif outcome in ("poisoned", "crashed"):
                steps[name][after] = np.nan
        if outcome in ("poisoned", "crashed"):
            for values in metrics.values():
                values[after] = np.nan
        still = set(struck) if outcome == "skipped" else set()
    states = [f"{network}_adam/{what}" for network in WEIGHTS for what in _states(network, names)]
    state_names = [f"{len(weights) + number}:{name}" for number, name in enumerate(states)]
    every, without = tuple(range(batches)), tuple(batch for batch in range(batches) if batch not in still)
    bad = outcome in ("poisoned", "crashed") and bool(struck)
    return Observation(
        ended="crashed" if outcome == "crashed" and fault else "whole",
        why="InvalidArgumentError: indices[0] = 200 is not in [0, 200)" if outcome == "crashed" and fault else "",
        metrics={name: tuple(values.tolist()) for name, values in metrics.items()},
        steps={name: tuple(values.tolist()) for name, values in steps.items()},
        moved={name: without if fault and _is_of(name, fault) else every for name in state_names},
        struck=tuple(struck),
        first_bad_of={"weights": struck[0], "optimizer state": struck[0]} if bad else {},
        worst=float(random.lognormal(0, 0.1)),
        bad_weights=tuple(hit) if bad else (),
        bad_state=tuple(name for name in state_names if fault and _is_of(name, fault)) if bad else (),
        optimizer_state=tuple(state_names),
    )


def _states(network: str, names: list[str]) -> Iterator[str]:
    """Names of two moments of each weight, the optimizer's counter, and the guard's variables."""
    yield "iteration"
    for name in names:
        if name.startswith(network):
            yield from (f"{name.replace('/', '_')}_{moment}" for moment in ("momentum", "velocity"))
    yield from (f"kept_{number}" for number in range(COUNTERS))


def _is_of(state: str, fault: Fault) -> bool:
    return fault.target == EVERYTHING or fault.hits(state)

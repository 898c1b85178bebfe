"""Records of runs, for tests, with random times around given means."""

import datetime

import numpy as np

from loop_bench.experiments.run.record import ArmRecord, Record
from loop_bench.experiments.survival.record import Survival
from loop_bench.experiments.syncs.record import HostSyncs, ReadSite, TracedFunction
from loop_bench.home import Home, Residence
from loop_bench.settings import Settings
from loop_bench.timing.samples import Round

ENVIRONMENT = {
    "cpu": "a CPU", "cores": 2, "gpus": [], "gpu_driver": None, "cuda_build": "12.5.1", "cudnn_build": "9",
    "python": "3.11.7", "versions": {"tensorflow": "2.21.0", "keras": "3.15.1"}, "commit": "abcdef0123456",
    "dirty": False,
}  # fmt: skip

RUNS_ON = {"python": "3.11.7", "versions": {"tensorflow": "2.21.0", "keras": "3.15.1", "numpy": "2.4.1"}}
"""Python and package versions of an arm in another environment."""


def arm(factory, reads=44, **changes):
    site = ReadSite(route="numpy", file="f.py", line=1, source="x.numpy()", reads=reads, nbytes=4 * reads,
                    seconds=0.1, waits=0, waited=0.0)  # fmt: skip
    return ArmRecord(**{"factory": factory, "host_syncs": HostSyncs(batches=10, sites=(site,)), **changes})


def traced(function="step", traces=3, why=("Python value of n: 1 → 2 → 3 → 4",)):
    """A traced function, as in a record."""
    return TracedFunction(function=function, file="f.py", line=3, source="@tf.function", traces=traces, why=why)


def survival(outcome, fault="nan", seed=0, **changes):
    """Result of a loop with a fault, finite or not according to the outcome."""
    finite = None if outcome == "not tested" else outcome not in ("poisoned weights", "crashed")
    values = {
        "fault": fault, "seed": seed, "outcome": outcome, "reason": "because", "weights_finite": finite,
        "state_finite": finite, "struck": 1, "skipped": int(outcome == "skipped"), "moved_in_skips": (),
        "first_bad": None if finite else 10, "worst": 1.0, "recovery": 0, "movement": 1.0, "batches": 81,
    }  # fmt: skip
    return Survival(**{**values, **changes})


def rounds(before=0.060, after=0.030, null=None, count=100, noise=0.02, seed=0, batches=10):
    """Rounds with given seconds per batch and log-normal noise."""
    random = np.random.default_rng(seed)
    middle = {"before": before, "null": null or before, "after": after}
    return tuple(
        Round(
            batches=batches,
            order=tuple(random.permutation(list(middle))),
            seconds={name: batches * value * random.lognormal(0, noise) for name, value in middle.items()},
        )
        for _ in range(count)
    )


def record(environment=None, settings=None, arms=None, minutes=0, **changes):
    """A valid record of two loops, the second twice as fast; `changes` are its fields or arguments of `rounds`."""
    shape = {key: changes.pop(key) for key in ("before", "after", "null", "count", "noise", "seed") if key in changes}
    values = {
        "created": datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.timezone.utc)
        + datetime.timedelta(minutes=minutes),
        "settings": Settings(
            **{"before": "a:b", "after": "c:d", "preset": "tiny", "seed": 0, "batches": 10, **(settings or {})}
        ),
        "environment": {**ENVIRONMENT, **(environment or {})},
        "arms": {"before": arm("a:b"), "after": arm("c:d", reads=1), **(arms or {})},
        "rounds": rounds(**shape),
        "rounds_ended": "precise",
        "rounds_seconds": 1000.0,
        "problems": (),
    }
    return Record(**{**values, **changes})


def elsewhere(homes=None, residences=None, groups=4, **changes):
    """A record of loops in processes of their own, in consecutive groups."""
    homes = homes or {"before": Home(revision="main"), "after": Home()}
    lived = {
        "before": Residence(revision="main", commit="1a2b3c4d5e", dirty=False, **RUNS_ON),
        "after": Residence(commit="abcdef0123", dirty=True, **RUNS_ON),
        **(residences or {}),
    }
    arms = {"before": arm("a:b", residence=lived["before"]), "after": arm("c:d", reads=1, residence=lived["after"])}
    found = record(settings={"homes": homes, "processes": groups}, arms=arms, **changes)
    each = -(-len(found.rounds) // groups)
    of_groups = tuple(done.model_copy(update={"group": place // each}) for place, done in enumerate(found.rounds))
    return found.model_copy(update={"rounds": of_groups})

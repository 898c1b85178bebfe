"""Ladders and their records, for tests, with random times around given means."""

import datetime
import os
import signal

import numpy as np
from records import ENVIRONMENT

from loop_bench.experiments.equivalence.record import Equivalence
from loop_bench.experiments.ladder.plan import Ladder, Rung
from loop_bench.experiments.ladder.record import Finding, LadderLimits, LadderRecord, Turn
from loop_bench.experiments.syncs.record import HostSyncs, ReadSite
from loop_bench.machine.memory import PeakMemory
from loop_bench.settings import NULL
from loop_bench.timing.rounds import balanced_orders
from loop_bench.timing.samples import Start

GROUPS = {
    "baseline": "baseline",
    "deferred metrics": "step",
    "guarded clipping": "step",
    "fused step": "step",
    "everything": "step",
    "no fused step": "left out",
    "no deferred metrics": "left out",
}
MS = {
    "baseline": 50.0,
    "deferred metrics": 50.0,
    "guarded clipping": 55.0,
    "fused step": 30.0,
    "everything": 15.0,
    "no fused step": 26.0,
    "no deferred metrics": 15.0,
}
"""Steps without effect, with a cost and with a gain (two), and a rung left out with and without a cost."""


def ladder(factory="toys:plain", groups=None, **changes):
    """Rungs of one factory, by name."""
    rungs = tuple(Rung(name=name, factory=factory, group=group) for name, group in (groups or GROUPS).items())
    return Ladder(**{"rungs": rungs, "preset": "tiny", "seed": 3, "batches": 10, **changes})


def turns(ms=MS, null=50.0, count=12, noise=0.011):
    """Rounds with given ms per batch of each loop, and log-normal noise.

    With little noise, few rounds are as precise as many with more noise, and their intervals are computed sooner.
    """
    random, middles = np.random.default_rng(37), {**ms, NULL: null}
    orders = balanced_orders([*middles])
    return tuple(
        Turn(
            order=next(orders),
            seconds={name: 10 * 1e-3 * middle * random.lognormal(0, noise) for name, middle in middles.items()},
        )
        for _ in range(count)
    )


def equivalence(equal=True, reason="bit for bit the same over 25 batches, metrics and weights"):
    return Equivalence(batches=25, options={"clip_norm": 1e9}, equal=equal, reason=reason)


def finding(reads=440, equal=None, **changes):
    """Result of the examination of a rung."""
    site = ReadSite(route="numpy", file="f.py", line=1, source="x.numpy()", reads=reads, nbytes=4, seconds=0.1,
                    waits=0, waited=0.0)  # fmt: skip
    values = {
        "start": Start(build_seconds=0.5, first_batch_seconds=2.0),
        "host_syncs": HostSyncs(batches=100, sites=(site,)),
        "memory": PeakMemory(of="resident set", nbytes=3 * 2**20),
        "equivalence": equal,
    }
    return Finding(**{**values, **changes})


def ladder_record(findings=None, **changes):
    """A record of the rungs above, all valid; `changes` are its fields."""
    found = {name: finding(equal=equivalence() if name != "baseline" else None) for name in GROUPS}
    values = {
        "created": datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.timezone.utc),
        "environment": ENVIRONMENT,
        "ladder": ladder(),
        "findings": {**found, **(findings or {})},
        "limits": LadderLimits(max_time=60.0),
        "rounds": turns(),
        "rounds_ended": "out of time",
        "rounds_seconds": 61.0,
    }
    return LadderRecord(**{**values, **changes})


def dead(why="crashed: killed by SIGKILL, as the system does when memory runs out"):
    """Result recorded for a process that died without writing one."""
    return Finding(died=why)


def without(name, rounds=None):
    """Rounds without one of the rungs."""
    return tuple(
        Turn(
            order=tuple(each for each in turn.order if each != name),
            seconds={key: value for key, value in turn.seconds.items() if key != name},
        )
        for turn in rounds or turns()
    )


def killed(spec):
    """A factory that kills its process."""
    os.kill(os.getpid(), signal.SIGSEGV)

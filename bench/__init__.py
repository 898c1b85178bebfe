"""A harness that compares two TensorFlow training loops: speed, host syncs, survival.

What a project that uses it needs is here, and is imported when it is first asked for: `import bench` starts no
TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench import hostsync
    from bench.experiments.ladder.plan import Changes
    from bench.experiments.survival.fault import Fault
    from bench.experiments.survival.plan import Faults
    from bench.loop import LoopFactory, LoopSpec, TrainingLoop
    from bench.pair import Arm, Pair

__all__ = ["Arm", "Changes", "Fault", "Faults", "LoopFactory", "LoopSpec", "Pair", "TrainingLoop", "hostsync"]

_MODULES = {
    "Arm": "bench.pair",
    "Changes": "bench.experiments.ladder.plan",
    "Fault": "bench.experiments.survival.fault",
    "Faults": "bench.experiments.survival.plan",
    "LoopFactory": "bench.loop",
    "LoopSpec": "bench.loop",
    "Pair": "bench.pair",
    "TrainingLoop": "bench.loop",
}


def __getattr__(name: str) -> Any:
    if name == "hostsync":
        return importlib.import_module("bench.hostsync")
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

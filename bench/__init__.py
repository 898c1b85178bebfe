"""A harness that compares two TensorFlow training loops: speed, host syncs, survival.

What a project that uses it needs is here, and is imported when it is first asked for: `import loop_bench` starts no
TensorFlow.

PYTEST_DONT_REWRITE: pytest would warn that it cannot rewrite this module's assertions, for it has none, where it is
imported before pytest starts, as by `loop-bench syncs pytest`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loop_bench import hostsync, loops
    from loop_bench.experiments.ladder.plan import Changes
    from loop_bench.experiments.survival.fault import Fault
    from loop_bench.experiments.survival.plan import Faults
    from loop_bench.loop import LoopFactory, LoopSpec, TrainingLoop
    from loop_bench.pair import Arm, Pair

__all__ = ["Arm", "Changes", "Fault", "Faults", "LoopFactory", "LoopSpec", "Pair", "TrainingLoop", "hostsync", "loops"]

_MODULES = {
    "Arm": "loop_bench.pair",
    "Changes": "loop_bench.experiments.ladder.plan",
    "Fault": "loop_bench.experiments.survival.fault",
    "Faults": "loop_bench.experiments.survival.plan",
    "LoopFactory": "loop_bench.loop",
    "LoopSpec": "loop_bench.loop",
    "Pair": "loop_bench.pair",
    "TrainingLoop": "loop_bench.loop",
}

_OF_CORE = ("LoopFactory", "LoopSpec", "TrainingLoop")
"""What needs no extra."""


def __getattr__(name: str) -> Any:
    if name in ("hostsync", "loops"):
        return importlib.import_module(f"loop_bench.{name}")
    if name in _MODULES:
        if name not in _OF_CORE:
            from loop_bench import extras

            extras.require("compare")
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

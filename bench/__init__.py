"""A harness that compares two TensorFlow training loops: speed, host syncs, survival.

The names that a project needs are here, and are imported on first use: `import loop_bench` does not start TensorFlow.

PYTEST_DONT_REWRITE: without this marker, pytest warns that it cannot rewrite this module's assertions, of which there
are none, if the module is imported before pytest starts, as by `loop-bench syncs pytest`.
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

_CORE = ("LoopFactory", "LoopSpec", "TrainingLoop")
"""Names that need no extra."""


def __getattr__(name: str) -> Any:
    if name in ("hostsync", "loops"):
        return importlib.import_module(f"loop_bench.{name}")
    if name in _MODULES:
        if name not in _CORE:
            from loop_bench import extras

            extras.require("compare")
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

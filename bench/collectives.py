"""Collective operations of several loops in one process, which must not be taken for one another's.

TensorFlow tells all-reduces apart by numbers that each strategy counts from the same start: where two strategies of one
process have the same devices, the second one's first all-reduce is "a shape mismatch in the collective instance 100"
unless it is as large as that of the first (tensorflow/tensorflow#62790). A run has three loops or more in a process.
"""

from __future__ import annotations

import sys

STRATEGIES = ("MirroredStrategy", "MultiWorkerMirroredStrategy")

_START = "_collective_key_base"
"""From what the groups of devices of a strategy are counted, in TensorFlow 2.16 to 2.21; private.

TensorFlow's own tests raise it so (strategy_combinations.py)."""

_APART = 1000
"""Groups of devices that the strategies of a loop may have: each kind of operation and set of devices is one."""


def begin_numbering() -> None:
    """Has the strategies that are made from now on number their operations from where no other has begun.

    On several machines each process does so as often as the others, so that all count alike.
    """
    tensorflow = sys.modules.get("tensorflow")
    for name in STRATEGIES:
        strategy = getattr(getattr(tensorflow, "distribute", None), name, None)
        if hasattr(strategy, _START):
            setattr(strategy, _START, getattr(strategy, _START) + _APART)

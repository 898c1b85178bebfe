"""Collective operations of several loops in one process, which must not be taken for one another's.

TensorFlow tells all-reduces apart by numbers that each strategy counts from the same start: where two strategies of one
process have the same devices, the second one's first all-reduce is "a shape mismatch in the collective instance 100"
unless it is as large as that of the first (tensorflow/tensorflow#62790). A run has three loops or more in a process.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Sequence

ON_ONE_MACHINE = ("MirroredStrategy",)

STRATEGIES = (*ON_ONE_MACHINE, "MultiWorkerMirroredStrategy")

_START = "_collective_key_base"
"""From what the groups of devices of a strategy are counted, in TensorFlow 2.16 to 2.21; private.

TensorFlow's own tests raise it so (strategy_combinations.py)."""

_APART = 1000
"""Groups of devices that the strategies of a loop may have: each kind of operation and set of devices is one."""


def begin_numbering(strategies: Sequence[str] = STRATEGIES) -> None:
    """Has the strategies that are made from now on number their operations from where no other has begun.

    Args:
        strategies: their classes. Those of several machines must count alike on all of them: there is a new beginning
            for each loop that is built, which all do, and for nothing that the chief alone does.
    """
    tensorflow = sys.modules.get("tensorflow")
    for name in strategies:
        strategy = getattr(getattr(tensorflow, "distribute", None), name, None)
        if hasattr(strategy, _START):
            setattr(strategy, _START, getattr(strategy, _START) + _APART)
    if os.environ.get("TF_CONFIG") and tensorflow:
        _keep_server()


def _keep_server() -> None:
    """Has strategies of several machines that follow the first one use its server.

    Each starts TensorFlow's server anew, which loses the operations that another machine, a moment ahead, has begun
    with: then both wait for ever. (TensorFlow provides for one such strategy in a process, made when it starts.)
    """
    context = importlib.import_module("tensorflow.python.eager.context").context()
    if getattr(context, "_collective_ops_server_def", None) is not None:
        module = importlib.import_module("tensorflow.python.distribute.collective_all_reduce_strategy")
        module.CollectiveAllReduceExtended._std_server_started = True
        module.CollectiveAllReduceExtended._enable_check_health = False  # as the first one does: the server has its own


def abort(message: str) -> None:
    """Ends the collective operations of this process that wait for other machines, and all later ones, with an error.

    TensorFlow's own health check finds a machine that has died, but only after some 30 s; it ends them so as well.
    """
    if "tensorflow" not in sys.modules:
        return
    context = importlib.import_module("tensorflow.python.eager.context").context()
    with contextlib.suppress(Exception):  # none have begun yet
        context.abort_collective_ops(_UNAVAILABLE, message)


_UNAVAILABLE = 14
"""The code of tf.errors.UnavailableError."""

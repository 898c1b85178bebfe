"""Numbers for the collective operations of several loops in one process, so that none is mistaken for another's.

TensorFlow identifies all-reduces by numbers that each strategy counts from the same start. Where two strategies of one
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
"""Attribute with the number from which a strategy's groups of devices are counted, in TensorFlow 2.16 to 2.21; private.

TensorFlow's own tests raise it in the same way (strategy_combinations.py)."""

_STEP = 1000
"""Numbers reserved for the strategies of a loop: each kind of operation and set of devices takes one."""


def begin_numbering(strategies: Sequence[str] = STRATEGIES) -> None:
    """Gives the strategies that are created from now on numbers that no earlier strategy uses.

    Args:
        strategies: their classes. Strategies of several machines must count alike on all of them: numbering may restart
            whenever a loop is built, which all machines do, and not for anything that the chief does alone.
    """
    tensorflow = sys.modules.get("tensorflow")
    for name in strategies:
        strategy = getattr(getattr(tensorflow, "distribute", None), name, None)
        if hasattr(strategy, _START):
            setattr(strategy, _START, getattr(strategy, _START) + _STEP)
    if os.environ.get("TF_CONFIG") and tensorflow:
        _keep_server()


def _keep_server() -> None:
    """Lets later strategies of several machines use the server of the first one.

    Otherwise each restarts TensorFlow's server, which loses the operations that another machine, a moment ahead, has
    begun: then both wait for ever. (TensorFlow provides for one such strategy in a process, created when it starts.)
    """
    context = importlib.import_module("tensorflow.python.eager.context").context()
    if getattr(context, "_collective_ops_server_def", None) is not None:
        module = importlib.import_module("tensorflow.python.distribute.collective_all_reduce_strategy")
        module.CollectiveAllReduceExtended._std_server_started = True
        module.CollectiveAllReduceExtended._enable_check_health = False  # as the first one does


def abort(message: str) -> None:
    """Ends this process's collective operations that wait for other machines, and all later ones, with an error.

    TensorFlow's own health check does the same for a machine that has died, but only after some 30 s.
    """
    if "tensorflow" not in sys.modules:
        return
    context = importlib.import_module("tensorflow.python.eager.context").context()
    with contextlib.suppress(Exception):  # no operation has begun yet
        context.abort_collective_ops(_UNAVAILABLE, message)


_UNAVAILABLE = 14
"""The code of tf.errors.UnavailableError."""

"""A loop that is a function of the user's, which trains for as many batches as it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loop_bench.loops.adapted import AdaptedLoop, Evaluate, Variables
from loop_bench.loops.caller import Caller
from loop_bench.loops.metrics import Metrics


def from_function(
    train: Callable[[int], Any], variables: Variables, *, evaluate: Evaluate | None = None
) -> AdaptedLoop:
    """A loop that is a function which trains for a number of batches, and goes on where it was at the next call.

    Args:
        train: takes the number of batches, trains for exactly so many, and gives their metrics: a tensor or an array
            [batches] or a list of numbers, which is called `loss`; those in dicts and named tuples, called by their
            keys; or None. Tensors stay on the device until the history is asked for.
        variables: weights and optimizer state, or what gives them.
        evaluate: gives numbers by name, for `loop-bench converge`.

    Returns:
        The loop. It raises UsageError where the function gives something else.
    """
    caller = Caller("from_function")
    metrics = Metrics(lambda what: caller.error(f"the function gives {what}"))
    return AdaptedLoop(
        caller, lambda batches: metrics.add_batches(train(batches), batches), metrics.history, variables, evaluate
    )

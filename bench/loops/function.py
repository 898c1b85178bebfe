"""Adapter for a function that trains a given number of batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loop_bench.loops.adapted import AdaptedLoop, Evaluate, Variables
from loop_bench.loops.caller import Caller
from loop_bench.loops.metrics import Metrics


def from_function(
    train: Callable[[int], Any], variables: Variables, *, evaluate: Evaluate | None = None
) -> AdaptedLoop:
    """A loop around a function that trains a number of batches, and resumes where it stopped at the next call.

    Args:
        train: takes the number of batches, trains exactly that many, and returns their metrics: a tensor or an array
            [batches] or a list of numbers, which is named `loss`; dicts and named tuples of these, named by their
            keys; or None. Tensors stay on the device until `history()` is called.
        variables: weights and optimizer state, or a function that returns them.
        evaluate: returns numbers by name, for `loop-bench converge`.

    Returns:
        The loop. It raises UsageError if the function returns anything else.
    """
    caller = Caller("from_function")
    metrics = Metrics(lambda what: caller.error(f"the function returns {what}"))
    return AdaptedLoop(
        caller, lambda batches: metrics.add_batches(train(batches), batches), metrics.history, variables, evaluate
    )

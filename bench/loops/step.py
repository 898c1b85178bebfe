"""Adapter for a training step, such as one around `tf.GradientTape`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from loop_bench.loops.adapted import AdaptedLoop, Evaluate, Variables, batches_in
from loop_bench.loops.caller import Caller
from loop_bench.loops.metrics import Metrics


def from_step(
    step: Callable[..., Any], data: Iterable[Any], variables: Variables, *, evaluate: Evaluate | None = None
) -> AdaptedLoop:
    """A loop that calls a step with one batch after the other, as `for x, y in data: step(x, y)` does.

    Args:
        step: trains on a batch and returns its metrics: a number, which is named `loss`; numbers in dicts, named
            tuples, tuples and lists, named by their keys and places (`generator/loss`, `metric 0`); or None. Every
            batch must have the same metrics. Tensors [] stay on the device until `history()` is called; a step that
            needs its numbers on the host reads them itself, as it does without the harness. Usually a tf.function.
        data: a tf.data.Dataset or any other iterable of batches, which repeats when it ends; a batch that is a tuple
            is unpacked into the step's arguments.
        variables: weights and optimizer state, or a function that returns them: an optimizer creates its state when
            it is first used, unless `optimizer.build(weights)` is called before.
        evaluate: returns numbers by name, for `loop-bench converge`.

    Returns:
        The loop. It raises UsageError if the data have no batches, or the step returns anything else.
    """
    caller = Caller("from_step")
    batches = _endless(data, caller)
    metrics = Metrics(lambda what: caller.error(f"the step returns {what}"))

    def train(count: int) -> None:
        for _ in range(count):
            batch = next(batches)
            metrics.add(step(*batch) if isinstance(batch, tuple) else step(batch))

    return AdaptedLoop(caller, train, metrics.history, variables, evaluate, batches_in(data))


def _endless(data: Iterable[Any], caller: Caller) -> Iterator[Any]:
    """The batches of the data, repeated without end."""
    if hasattr(data, "element_spec") and hasattr(data, "repeat"):
        data = data.repeat()  # restarting the dataset in Python would make TensorFlow read once at each end
    while True:
        is_empty = True
        for batch in data:
            is_empty = False
            yield batch
        if is_empty:
            raise caller.error(
                "data has no batches (an iterator can be used only once: pass the iterable that makes it)"
            )

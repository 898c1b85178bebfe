"""A loop around a training step, such as one around `tf.GradientTape`."""

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
        step: trains on a batch and gives its metrics: a number, which is called `loss`; numbers in dicts, named tuples,
            tuples and lists, called by their keys and places (`generator/loss`, `metric 0`); or None. The same ones for
            each batch. Tensors [] stay on the device until the history is asked for; a step that wants its numbers on
            the host reads them itself, as it does without the harness. Usually a tf.function.
        data: a tf.data.Dataset or any other iterable of batches, begun again when it ends; a batch that is a tuple
            is unpacked into the step's arguments.
        variables: weights and optimizer state, or what gives them: an optimizer makes its state when it is first
            used, unless `optimizer.build(weights)` is called before.
        evaluate: gives numbers by name, for `loop-bench converge`.

    Returns:
        The loop. It raises UsageError where the data have no batches, or the step gives something else.
    """
    caller = Caller("from_step")
    batches = _endless(data, caller)
    metrics = Metrics(lambda what: caller.error(f"the step gives {what}"))

    def train(count: int) -> None:
        for _ in range(count):
            batch = next(batches)
            metrics.add(step(*batch) if isinstance(batch, tuple) else step(batch))

    return AdaptedLoop(caller, train, metrics.history, variables, evaluate, batches_in(data))


def _endless(data: Iterable[Any], caller: Caller) -> Iterator[Any]:
    """The batches, from the start again whenever they end."""
    if hasattr(data, "element_spec") and hasattr(data, "repeat"):
        data = data.repeat()  # TensorFlow reads once where a dataset ends
    while True:
        none = True
        for batch in data:
            none = False
            yield batch
        if none:
            raise caller.error("data has no batches (an iterator can be gone through only once: give what makes it)")

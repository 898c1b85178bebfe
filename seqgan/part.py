"""What a replica sees of a batch: its rows, and what it exchanges with the other replicas.

Data parallelism with one optimizer step for all: each replica computes the gradients of its rows of the batch, all
replicas add them up, and each applies the sum to weights of its own. All see the same sum and start alike, so they stay
alike bit for bit, and a guard decides alike on each. (Goyal et al., Accurate, large minibatch SGD, 2017, section 3.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import tensorflow as tf

from loop_bench.seqgan import sampler
from loop_bench.seqgan.sampler import Sampler

Result = TypeVar("Result")

Apply = Callable[..., Any]
"""(gradients, variables): changes variables by their gradients; a `seqgan.protection.Update` takes `allowed` too."""


class Part(Protocol):
    """The part of each batch that is one replica's; what exchanges anything is to be traced in its context."""

    @property
    def share(self) -> float:
        """Share of the lines of a batch that are this part's."""

    def rows(self, values: Any) -> Any:
        """The rows of this part in a tensor [B, ...] of the batch."""

    def compute(self, function: Callable[[], Result]) -> Result:
        """What a function gives that exchanges nothing; all that lies between two exchanges is one program."""

    def total(self, values: Result) -> Result:
        """Each tensor, added up over all replicas."""

    def sampler(self, name: str) -> Sampler:
        """The sampler of a name in `seqgan.sampler.BY_NAME` for these rows."""

    def applying(self, apply: Apply, variables: Sequence[Any], guarded: bool = True) -> Apply:
        """`apply`, given the sum of all replicas' gradients; where it is guarded, allowed only if all allow it."""


class Whole:
    """All of a batch: nothing is exchanged, and whatever is traced is what it would be without this module."""

    share = 1.0

    def rows(self, values: Any) -> Any:
        """See `Part`."""
        return values

    def compute(self, function: Callable[[], Result]) -> Result:
        """See `Part`."""
        return function()

    def total(self, values: Result) -> Result:
        """See `Part`."""
        return values

    def sampler(self, name: str) -> Sampler:
        """See `Part`."""
        return sampler.BY_NAME[name]

    def applying(self, apply: Apply, variables: Sequence[Any], guarded: bool = True) -> Apply:
        """See `Part`."""
        del variables, guarded
        return apply


WHOLE = Whole()


class Share:
    """The rows of one of several replicas.

    Args:
        index: of the replica among all, on all machines.
        count: of replicas.
        batch: lines in a batch, a multiple of `count`.
        compiled: whether XLA compiles what lies between two exchanges.
    """

    def __init__(self, index: int, count: int, batch: int, compiled: bool) -> None:
        self._index = index
        self._count = count
        self._lines = batch // count
        self._compiled = compiled

    @property
    def share(self) -> float:
        """See `Part`."""
        return 1.0 / self._count

    def rows(self, values: Any) -> Any:
        """See `Part`."""
        return values[self._index * self._lines : (self._index + 1) * self._lines]

    def compute(self, function: Callable[[], Result]) -> Result:
        """See `Part`; in a graph of its own, so that XLA compiles it, which can compile no exchange."""
        found: Result = tf.function(function, jit_compile=self._compiled, autograph=False)()
        return found

    def total(self, values: Result) -> Result:
        """See `Part`."""
        summed: Result = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)
        return summed

    def sampler(self, name: str) -> Sampler:
        """See `Part`: `inverse_cdf` draws what the whole batch would have drawn for these rows.

        `categorical` draws as many numbers as there are logits, which no replica should do for all rows: each has
        numbers of its own, other ones than a single replica's.
        """
        return sampler.for_rows(name, self._index, self._count, self._lines)

    def applying(self, apply: Apply, variables: Sequence[Any], guarded: bool = True) -> Apply:
        """See `Part`.

        The update is traced here and now, outside of the strategy: within, an optimizer of Keras' would add up what is
        a sum already, by calls that neither XLA nor a guard around the optimizer can follow.
        """
        variables = list(variables)

        def update(gradients: Sequence[tf.Tensor], allowed: tf.Tensor) -> None:
            apply(gradients, variables, **({"allowed": allowed} if guarded else {}))

        specs = [tf.TensorSpec(variable.shape, variable.dtype) for variable in variables]
        traced = tf.function(update, jit_compile=self._compiled, autograph=False)
        graph = traced.get_concrete_function(specs, tf.TensorSpec([], tf.bool))

        def applied(gradients: Sequence[Any], _: Sequence[Any], allowed: tf.Tensor | bool = True) -> None:
            refused = [tf.cast(tf.math.logical_not(allowed), tf.float32)] if guarded else []
            summed = self.total([*gradients, *refused])
            graph(summed[: len(variables)], tf.equal(summed[-1], 0.0) if guarded else tf.constant(True))

        return applied

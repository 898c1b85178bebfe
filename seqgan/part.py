"""A replica's part of a batch: its rows, and its exchange of sums with the other replicas.

This is data parallelism with one optimizer step for all: each replica computes the gradients of its rows, all replicas
sum the gradients, and each applies the sum to weights of its own. All start equal and get the same sums, so they stay
equal bit for bit, and their guards decide alike. (Goyal et al., Accurate, large minibatch SGD, 2017, section 3.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import tensorflow as tf

from loop_bench.seqgan import sampler
from loop_bench.seqgan.sampler import Sampler

Result = TypeVar("Result")

Apply = Callable[..., Any]
"""Function of gradients and variables that updates the variables; a `seqgan.protection.Update` takes `allowed` too."""


class Part(Protocol):
    """One replica's part of each batch; methods that exchange sums must be traced in the replica's context."""

    @property
    def share(self) -> float:
        """Share of a batch's lines in this part."""

    def rows(self, values: Any) -> Any:
        """Rows of this part of a tensor [B, ...] of the batch."""

    def compute(self, function: Callable[[], Result]) -> Result:
        """Calls a function that exchanges nothing; the computation between two exchanges becomes one program."""

    def total(self, values: Result) -> Result:
        """Sums each tensor over all replicas."""

    def sampler(self, name: str) -> Sampler:
        """Sampler by its name in `seqgan.sampler.BY_NAME`, for the rows of this part."""

    def applying(self, apply: Apply, variables: Sequence[Any], guarded: bool = True) -> Apply:
        """Wraps `apply` to use the sum of all replicas' gradients; a guarded update needs all replicas to allow it."""


class Whole:
    """The whole batch, for a single replica: nothing is exchanged, and graphs are the same as without this module."""

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
    """The part of a batch of one of several replicas.

    Args:
        index: index of the replica among all replicas on all machines.
        count: number of replicas.
        batch: lines in a batch, a multiple of `count`.
        compiled: whether XLA compiles the computation between two exchanges.
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
        """See `Part`; uses a graph of its own for XLA, which cannot compile an exchange."""
        found: Result = tf.function(function, jit_compile=self._compiled, autograph=False)()
        return found

    def total(self, values: Result) -> Result:
        """See `Part`."""
        summed: Result = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)
        return summed

    def sampler(self, name: str) -> Sampler:
        """See `Part`: `inverse_cdf` draws the same tokens for these rows as in the whole batch.

        `categorical` draws as many random numbers as there are logits, too many for each replica to draw for all rows:
        each replica has its own numbers, which differ from a single replica's.
        """
        return sampler.for_rows(name, self._index, self._count, self._lines)

    def applying(self, apply: Apply, variables: Sequence[Any], guarded: bool = True) -> Apply:
        """See `Part`.

        The update is traced here, outside the strategy: inside, a Keras optimizer would sum the gradients again, by
        calls that neither XLA nor a guard around the optimizer can follow.
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

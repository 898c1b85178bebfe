"""How functions are traced: as they are written, and under names that do not depend on the seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import tensorflow as tf

_STEP = 1024
"""Numbers between two beginnings: many more than the initializers differ by, and a hundredth of a second to count."""

Function = TypeVar("Function", bound=Callable[..., object])


def as_written(function: Function) -> Function:
    """A function that AutoGraph does not convert, nor what it calls, whoever traces it.

    Without `if` and `for` on tensors there is nothing to convert, and finding that out is a third of the time to the
    first batch. (https://www.tensorflow.org/api_docs/python/tf/autograph/experimental/do_not_convert)
    """
    plain: Function = tf.autograph.experimental.do_not_convert(function)
    return plain


def begin_numbering() -> None:
    """Moves TensorFlow's counter on to the next beginning, for graphs to be named the same whatever was before.

    The name of a graph ends in a number, and is in the program that XLA makes of it; so a program that differs in
    nothing else is not found in a compile cache (`loop_bench.seqgan.device.CompileCache`). The counter is one for
    graphs and tensors, and of these, initializers make a few more or less by the value of a seed.
    """
    for _ in range(-_number() % _STEP):
        tf.constant(np.zeros([]))


def _number() -> int:
    """That of a graph which is traced now."""
    graph = tf.function(lambda: tf.constant(0), autograph=False).get_concrete_function()
    return int(graph.name.rsplit(b"_", 1)[1])

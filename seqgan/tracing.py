"""Tracing of functions without AutoGraph, and under names that do not depend on the seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import tensorflow as tf

_STEP = 1024
"""Numbers between two starts of the numbering: far more than initializers differ by; counting them takes 10 ms."""

Function = TypeVar("Function", bound=Callable[..., object])


def as_written(function: Function) -> Function:
    """Excludes a function and all that it calls from AutoGraph, whoever traces it.

    Without `if` and `for` on tensors there is nothing to convert, and finding that out takes a third of the time to the
    first batch. (https://www.tensorflow.org/api_docs/python/tf/autograph/experimental/do_not_convert)
    """
    plain: Function = tf.autograph.experimental.do_not_convert(function)
    return plain


def begin_numbering() -> None:
    """Advances TensorFlow's counter to a multiple of 1024, so that graphs get the same names whatever came before.

    The name of a graph ends in a number and is part of the program that XLA compiles; if only the number differs, the
    program is not found in a compile cache (`loop_bench.seqgan.device.CompileCache`). The counter counts graphs and
    tensors alike, and initializers make a few tensors more or less depending on the seed.
    """
    for _ in range(-_number() % _STEP):
        tf.constant(np.zeros([]))


def _number() -> int:
    """Number in the name of a graph that is traced now."""
    graph = tf.function(lambda: tf.constant(0), autograph=False).get_concrete_function()
    return int(graph.name.rsplit(b"_", 1)[1])

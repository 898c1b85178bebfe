"""Functions that are traced as they are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import tensorflow as tf

Function = TypeVar("Function", bound=Callable[..., object])


def as_written(function: Function) -> Function:
    """A function that AutoGraph does not convert, nor what it calls, whoever traces it.

    Without `if` and `for` on tensors there is nothing to convert, and finding that out is a third of the time to the
    first batch. (https://www.tensorflow.org/api_docs/python/tf/autograph/experimental/do_not_convert)
    """
    plain: Function = tf.autograph.experimental.do_not_convert(function)
    return plain

"""Finds the variables that hold the learning rates of a loop's optimizers."""

from __future__ import annotations

import gc
import numbers
import sys
from collections.abc import Sequence
from typing import Any

from loop_bench.variables import variable_name

_NAME = "learning_rate"


def learning_rates(variables: Sequence[Any]) -> list[tuple[str, Any]]:
    """Name (`adam/learning_rate`) and variable of each learning rate, in the order of the variables.

    Optimizers of Keras 3 list them among their variables, as untrained variables whose names end in `learning_rate`;
    loops without Keras may do the same. Optimizers of Keras 2 (tf_keras) do not list them, and are found by the
    variables that they list. A learning rate that is a schedule, or a Python number in a traced function, is not found.

    Args:
        variables: weights and optimizer state of a loop.
    """
    named = [(variable_name(each).partition(":")[0], each) for each in variables if not each.trainable]
    return [*((name, each) for name, each in named if name.endswith(_NAME)), *_of_keras_2(variables)]


def _of_keras_2(variables: Sequence[Any]) -> list[tuple[str, Any]]:
    """Name and variable of the learning rates of tf_keras' optimizers, in the order of the loop's variables."""
    keras = sys.modules.get("tf_keras")
    if keras is None:
        return []
    kinds = keras.optimizers.Optimizer, keras.optimizers.legacy.Optimizer
    index_of = {id(each): index for index, each in enumerate(variables)}
    rates = []
    # The optimizers are searched among all objects, because nothing else leads from a loop's variables to them.
    for optimizer in [each for each in gc.get_objects() if issubclass(type(each), kinds)]:
        indices = [index_of[id(each)] for each in optimizer.variables() if id(each) in index_of]
        settings = optimizer.get_config()
        # A schedule is a dictionary here; a wrapping optimizer has no rate, and the wrapped one is found separately.
        if indices and isinstance(settings.get(_NAME), numbers.Real) and hasattr(optimizer.learning_rate, "assign"):
            rates.append((min(indices), f"{settings['name']}/{_NAME}", optimizer.learning_rate))
    return [(name, rate) for _, name, rate in sorted(rates, key=lambda each: each[0])]

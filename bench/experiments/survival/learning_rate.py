"""The variables that hold the learning rates of a loop's optimizers."""

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

    Keras 3 has them among the variables of its optimizers, and so may a loop of one's own: not trainable, with a name
    that ends so. Keras 2 (tf_keras) leaves them out, and its optimizers are found by the variables that they do list.
    One that is a schedule, or a Python number in a traced function, is not to be found.

    Args:
        variables: of a loop: weights and optimizer state.
    """
    named = [(variable_name(each).partition(":")[0], each) for each in variables if not each.trainable]
    return [*((name, each) for name, each in named if name.endswith(_NAME)), *_of_keras_2(variables)]


def _of_keras_2(variables: Sequence[Any]) -> list[tuple[str, Any]]:
    """Name and variable of those of tf_keras' optimizers, in the order of the variables that the optimizers list."""
    keras = sys.modules.get("tf_keras")
    if keras is None:
        return []
    kinds = keras.optimizers.Optimizer, keras.optimizers.legacy.Optimizer
    place_of = {id(each): place for place, each in enumerate(variables)}
    found = []
    # Nothing else leads from a loop's variables to its optimizers: they are wherever the user keeps them.
    for optimizer in [each for each in gc.get_objects() if issubclass(type(each), kinds)]:
        places = [place_of[id(each)] for each in optimizer.variables() if id(each) in place_of]
        settings = optimizer.get_config()
        # Of a schedule it is a dictionary; one that wraps another has none, and the other is found by itself.
        if places and isinstance(settings.get(_NAME), numbers.Real) and hasattr(optimizer.learning_rate, "assign"):
            found.append((min(places), f"{settings['name']}/{_NAME}", optimizer.learning_rate))
    return [(name, rate) for _, name, rate in sorted(found, key=lambda each: each[0])]

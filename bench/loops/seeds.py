"""The seed of everything that a loop may draw from."""

from __future__ import annotations

import random
import sys

import numpy as np


def seed(number: int) -> None:
    """Seeds Python, NumPy's global generator, TensorFlow and Keras, for a factory to begin with; starts no device.

    Keras 2 draws from the seeds of Python and TensorFlow; its own `set_random_seed` is not called, for after it
    tf_keras 2.16 to 2.18 makes no layer on Python 3.12. What `keras.random` draws without a seed goes on where it was
    in Keras 3.12, and begins anew in 3.15: give it a seed, as every layer has one.
    """
    import tensorflow as tf

    random.seed(number)
    np.random.seed(number)  # noqa: NPY002  # the one that code without a generator of its own draws from
    tf.random.set_seed(number)
    keras = sys.modules.get("keras")
    if keras is not None and not keras.__version__.startswith("2."):  # it has a generator of its own, also for all
        keras.utils.set_random_seed(number)

"""One seed for every random generator that a loop may use."""

from __future__ import annotations

import random
import sys

import numpy as np


def seed(number: int) -> None:
    """Seeds Python, NumPy's global generator, TensorFlow and Keras; call it first in a factory. Starts no device.

    Keras 2 draws from the seeds of Python and TensorFlow; its own `set_random_seed` is not called, because tf_keras
    2.16 to 2.18 cannot create layers after it on Python 3.12. Without a seed argument, `keras.random` continues its
    sequence in Keras 3.12 and restarts it in 3.15: pass a seed, as every layer does.
    """
    import tensorflow as tf

    random.seed(number)
    np.random.seed(number)  # noqa: NPY002  # for code that uses NumPy's global generator
    tf.random.set_seed(number)
    keras = sys.modules.get("keras")
    if keras is not None and not keras.__version__.startswith("2."):  # Keras 3 has a global generator of its own
        keras.utils.set_random_seed(number)

"""Whether a device of TensorFlow's computes, and computes rightly: to be listed is not enough."""

from __future__ import annotations

_SIZE = 64
"""Rows and columns of the matrices that are multiplied: sums that float32, and TensorFloat-32, hold exactly."""


class DeviceError(RuntimeError):
    """A device does not compute, or does it wrongly; one line that says how."""


def multiply(kind: str, number: int) -> str:
    """Has a device of this process, which starts all of them, multiply matrices; gives its name.

    Args:
        kind: CPU or GPU.
        number: of the device among those of its kind.

    Raises:
        DeviceError: it does not, or does it wrongly.
    """
    import tensorflow as tf  # here, so that what only reads records need not wait for it

    try:
        with tf.device(f"/{kind}:{number}"):
            product = tf.matmul(tf.ones([_SIZE, _SIZE]), tf.ones([_SIZE, _SIZE]))
        right = bool(tf.reduce_all(product == _SIZE))
    except (tf.errors.OpError, RuntimeError) as error:  # out of memory, no kernel for this GPU, a driver too old
        raise DeviceError(f"TensorFlow sees a {kind} that does not compute: {_first_line(error)}") from None
    if kind not in product.device:
        raise DeviceError(f"what should run on the {kind} ran on {product.device}")
    if not right:
        raise DeviceError(f"{product.device} multiplies matrices wrongly")
    return str(product.device)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)

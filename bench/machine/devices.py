"""Checks that TensorFlow's devices compute, and compute correctly: being listed is not enough."""

from __future__ import annotations

_SIZE = 64
"""Rows and columns of the test matrices: float32 and TensorFloat-32 hold their sums exactly."""


class DeviceError(RuntimeError):
    """A device does not compute, or computes wrongly; the message is one line that says how."""


def multiply(kind: str, number: int) -> str:
    """Multiplies matrices on a device, which starts all devices of this process; returns the device's name.

    Args:
        kind: CPU or GPU.
        number: of the device among those of its kind.

    Raises:
        DeviceError: the device does not compute, or computes wrongly.
    """
    import tensorflow as tf  # here, so that code that only reads records need not wait for it

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

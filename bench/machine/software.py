"""Versions of the software that a loop runs on in this process; needs only TensorFlow and Python's own library."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from typing import Any

KERAS_2 = "tf_keras"


def uses_keras_2() -> bool:
    """Whether `tf.keras` is Keras 2 in this process and its child processes, as TensorFlow decides it."""
    wanted = os.environ.get("TF_USE_LEGACY_KERAS") in ("true", "True", "1")
    return wanted and importlib.util.find_spec(KERAS_2) is not None


def versions() -> dict[str, str]:
    """Versions of TensorFlow, under whatever name it is distributed, Keras and NumPy, as far as they are installed."""
    import tensorflow as tf  # here, so that code that only reads records need not wait for it

    installed = {"tensorflow": str(tf.__version__)}
    for package in ("keras", *([KERAS_2] if uses_keras_2() else []), "numpy"):
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def builds() -> dict[str, Any]:
    """Versions of CUDA and cuDNN that TensorFlow is built for; None without them."""
    import tensorflow as tf

    build = tf.sysconfig.get_build_info()
    return {"cuda_build": build.get("cuda_version"), "cudnn_build": build.get("cudnn_version")}

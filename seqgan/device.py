"""TensorFlow, started without its start-up notes, and what it finds to run on."""

from __future__ import annotations

import os
import sys
import tempfile


def start_tensorflow() -> None:
    """Imports TensorFlow and lets it look for devices, without the notes that it writes meanwhile.

    TensorFlow 2.21 writes them past TF_CPP_MIN_LOG_LEVEL (tensorflow/tensorflow issue 100442), so standard
    error is set aside for that moment; when the import fails, what was written is shown after all. Someone who
    has set TF_CPP_MIN_LOG_LEVEL gets what they asked for.
    """
    if "tensorflow" in sys.modules or "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        failed = True
        try:
            import tensorflow as tf

            tf.config.list_logical_devices()
            failed = False
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            if failed:
                aside.seek(0)
                sys.stderr.write(aside.read().decode(errors="replace"))


def device_name() -> str:
    """What the work will run on, for a person to read."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "CPU (TensorFlow sees no GPU; with TF_CPP_MIN_LOG_LEVEL=0 it says why)"
    return ", ".join(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus)


def default_preset() -> str:
    """`script` where TensorFlow sees a GPU, `paper` where not."""
    import tensorflow as tf

    return "script" if tf.config.list_physical_devices("GPU") else "paper"

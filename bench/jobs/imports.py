"""Imports before processes of trials and of arms are forked: TensorFlow, and the Keras that it uses."""

import importlib

import tensorflow  # noqa: F401

from loop_bench.machine.software import KERAS_2, uses_keras_2

importlib.import_module(KERAS_2 if uses_keras_2() else "keras")

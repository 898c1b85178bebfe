"""Loops of Keras 2, in a process of their own, because a process can use only one Keras as `tf.keras`."""

import importlib.util
from pathlib import Path

import programs
import pytest

CASES = Path(__file__).parent / "keras_2_cases.py"


@pytest.mark.skipif(importlib.util.find_spec("tf_keras") is None, reason="tf_keras, which is Keras 2, is not installed")
@pytest.mark.parametrize("mark", ["not slow", pytest.param("slow", marks=pytest.mark.slow)])
def test_loops_of_keras_2(mark):
    programs.cases(CASES, mark, TF_USE_LEGACY_KERAS="1")

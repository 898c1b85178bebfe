import random

import numpy as np
import pytest
import tensorflow as tf

from loop_bench import loops


@pytest.mark.parametrize(
    "draw",
    [
        random.random,
        lambda: np.random.normal(),  # noqa: NPY002
        lambda: tf.random.normal([]).numpy(),
        lambda: tf.keras.layers.Dense(1)(tf.ones([1, 2])).numpy().item(),
        lambda: next(iter(tf.data.Dataset.range(100).shuffle(100))).numpy(),
    ],
    ids=["python", "numpy", "tensorflow", "keras", "data"],
)
def test_everything_draws_the_same_again(draw):
    found = []
    for number in (3, 3, 4):
        loops.seed(number)
        found.append(draw())
    assert found[0] == found[1] != found[2]


@pytest.mark.skipif(
    "SeedGenerator" not in tf.keras.utils.set_random_seed.__doc__,
    reason="Keras 2 has no generator for all, and Keras 3.12 goes on with it",
)
def test_kerass_global_generator_is_seeded():
    found = []
    for _ in range(2):
        loops.seed(3)
        found.append(float(tf.keras.random.normal([])))
    assert found[0] == found[1]


def test_the_seed_stays_a_number():
    loops.seed(3)
    assert tf.compat.v1.get_seed(None)[0] == 3


def test_it_starts_no_device(python, tmp_path):
    (tmp_path / "work.py").write_text(
        "import sys; sys.path.insert(0, '.')\n"
        "import tensorflow as tf\n"
        "from loop_bench import loops\n"
        "loops.seed(3)\n"
        "cpu = tf.config.list_physical_devices('CPU')[0]\n"
        "tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)\n"
    )
    done = python("work.py", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr

import keras
import numpy as np
import pytest
import tensorflow as tf
import toys

from bench.faults import Fault
from bench.faults.injection import Injector


def traced(compiled, names=("generator/w", "discriminator/w")):
    """A step that gives the gradients (2, 4) of two variables."""
    variables = [tf.Variable(start, name=name) for start, name in zip((1.0, 2.0), names, strict=True)]

    @tf.function(jit_compile=compiled)
    def step():
        with tf.GradientTape() as tape:
            loss = tf.add_n([variable**2 for variable in variables])
        return tape.gradient(loss, variables)

    return lambda: [float(value) for value in step()]


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault("nan"), [np.nan, np.nan]),
        (Fault("inf"), [np.inf, np.inf]),
        (Fault("scale", 1e4), [2e4, 4e4]),
        (Fault("scale", -0.5, "discriminator"), [2.0, -2.0]),
        (Fault("nan", target="generator"), [np.nan, 4.0]),
    ],
    ids=str,
)
def test_the_fault_is_there_while_it_is_armed(fault, expected, compiled):
    with Injector(fault) as injector:
        step = traced(compiled)
        assert step() == [2.0, 4.0]
        assert not injector.struck()
        injector.arm()
        assert not injector.struck()
        np.testing.assert_array_equal(step(), expected)
        assert injector.struck()
        injector.disarm()
        assert step() == [2.0, 4.0]


def test_counts_what_can_be_hit():
    with Injector(Fault("nan", target="encoder")) as injector:
        traced(False)()
    assert injector.hit == 0
    with Injector(Fault("nan", target="generator")) as injector:
        traced(False)()
    assert injector.hit == 1


def test_leaves_the_tape_as_it_was():
    genuine = tf.GradientTape.gradient
    with pytest.raises(KeyError), Injector(Fault("nan")):
        assert tf.GradientTape.gradient is not genuine
        raise KeyError
    assert tf.GradientTape.gradient is genuine


def test_changes_no_bit_while_it_is_off():
    clean = toys.Quadratic()
    clean.run(30)
    with Injector(Fault("scale", 1e4)):
        loop = toys.Quadratic()
        loop.run(30)
    for one, other in zip(clean.variables, loop.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_slices_keep_their_indices():
    table = tf.Variable(tf.ones([4, 1]), name="table")
    with Injector(Fault("scale", 10.0)) as injector:
        injector.arm()
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.gather(table, [2, 2, 0]))
        gradient = tape.gradient(loss, table)
    assert isinstance(gradient, tf.IndexedSlices)
    np.testing.assert_array_equal(tf.convert_to_tensor(gradient)[:, 0], [10, 0, 20, 0])


def test_structures_nothings_and_tensors_pass():
    used, unused, watched = tf.Variable(1.0), tf.Variable(1.0), tf.constant(3.0)
    with Injector(Fault("scale", 10.0)) as injector:
        injector.arm()
        with tf.GradientTape() as tape:
            tape.watch(watched)
            loss = used**2 * watched
        gradients = tape.gradient(loss, {"a": (used, unused), "b": [watched]})
    assert float(gradients["a"][0]) == 60.0
    assert gradients["a"][1] is None
    assert float(gradients["b"][0]) == 10.0


def test_reaches_into_keras_fit():
    def fitted(*armed):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse", jit_compile=False)
        data = np.ones((8, 2), np.float32), np.zeros((8, 1), np.float32)
        for injector in armed:
            injector.arm()
        model.fit(*data, verbose=0)
        return model.get_weights()[0]

    assert np.all(np.isfinite(fitted()))
    with Injector(Fault("nan")) as injector:
        assert np.all(np.isnan(fitted(injector)))

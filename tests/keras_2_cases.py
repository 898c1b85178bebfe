"""Tests of differences with Keras 2; `test_keras_2.py` runs them with Keras 2 (tf_keras) as `tf.keras`."""

import random

import numpy as np
import pytest
import tensorflow as tf

from loop_bench.examples import images, keras_fit
from loop_bench.experiments.survival.fault import Fault
from loop_bench.experiments.survival.injection import injection
from loop_bench.experiments.survival.kinds import optimizer_state
from loop_bench.experiments.survival.learning_rate import learning_rates
from loop_bench.experiments.survival.watching import observe
from loop_bench.experiments.syncs.counting import count_host_syncs
from loop_bench.loop import LoopSpec, build, load
from loop_bench.loops.rows import ROOM
from loop_bench.machine import environment
from loop_bench.variables import variable_name

optimizers, schedules = tf.keras.optimizers, tf.keras.optimizers.schedules
scaled = tf.keras.mixed_precision.LossScaleOptimizer
GENUINE = tf.GradientTape.gradient  # without a fault
DATA, WANTED = np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)


class Fit:
    """`fit` of a model of two layers, one batch per call."""

    def __init__(self, optimizer, **compiled):
        random.seed(0)
        layers = [tf.keras.layers.Dense(3, name="trunk"), tf.keras.layers.Dense(1, name="head")]
        self.model = tf.keras.Sequential([tf.keras.layers.Input((2,)), *layers], name="net")
        self.optimizer = optimizer
        self.model.compile(optimizer, "mse", **compiled)

    @property
    def variables(self):
        return [*self.model.variables, *self.optimizer.variables()]

    def gradients(self):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self.model(DATA) - WANTED) ** 2)
        return [each.numpy() for each in GENUINE(tape, loss, self.model.trainable_variables)]

    def moved(self):
        """Change of each weight in a batch, by name."""
        before = self.model.get_weights()
        self.model.fit(DATA, WANTED, verbose=0, batch_size=4)
        after = self.model.get_weights()
        return {each.name: now - was for each, now, was in zip(self.model.weights, after, before, strict=True)}


OPTIMIZERS = {
    "adam": (lambda: optimizers.Adam(0.01), {"Adam/learning_rate": 0.01}),
    "named": (lambda: optimizers.SGD(0.1, momentum=0.9, name="generator"), {"generator/learning_rate": 0.1}),
    "legacy": (lambda: optimizers.legacy.Adam(0.01), {"Adam/learning_rate": 0.01}),
    "wrapped": (lambda: scaled(optimizers.Adam(0.01)), {"Adam/learning_rate": 0.01}),
    "legacy, wrapped": (lambda: scaled(optimizers.legacy.SGD(0.01)), {"SGD/learning_rate": 0.01}),
    "schedule": (lambda: optimizers.SGD(schedules.CosineDecay(0.1, 10)), {}),
    "legacy, schedule": (lambda: optimizers.legacy.SGD(schedules.CosineDecay(0.1, 10)), {}),
}


def test_tf_keras_is_keras_2():
    assert tf.keras.layers.Dense.__module__.startswith("tf_keras.")


@pytest.mark.parametrize(("make", "right"), OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_only_learning_rates_of_the_loops_optimizers_are_found(make, right):
    loop, other = Fit(make()), Fit(optimizers.Adam(0.5))
    for each in (loop, other):
        each.moved()
    found = {name: rate.numpy() for name, rate in learning_rates(loop.variables)}
    assert found == pytest.approx(right)


def test_two_optimizers_are_in_the_order_of_the_loops_variables():
    weight = tf.Variable([1.0])
    made = [optimizers.SGD(rate, momentum=0.9, name=name) for name, rate in (("a", 0.1), ("b", 0.2))]
    for each in made:
        each.build([weight])
    for order in (made, made[::-1]):
        variables = [weight, *(each for optimizer in order for each in optimizer.variables)]
        assert [name for name, _ in learning_rates(variables)] == [f"{each.name}/learning_rate" for each in order]


@pytest.mark.parametrize("kind", [optimizers.SGD, optimizers.legacy.SGD], ids=["now", "legacy"])
def test_a_learning_rate_goes_wrong_for_as_long_as_the_fault_lasts(kind):
    """With stochastic gradient descent, the weights show the learning rate."""
    loop = Fit(kind(0.001))
    with injection(Fault("scale", 100.0, place="learning_rate")) as faulty:
        faulty.attach(loop)
        for strength, times in ((None, 1), (100.0, 100), (None, 1)):
            faulty.set(strength)
            gradients = loop.gradients()
            for moved, gradient in zip(loop.moved().values(), gradients, strict=True):
                np.testing.assert_allclose(moved, -0.001 * times * gradient, rtol=1e-3, atol=1e-6)
        assert faulty.strikes() == 1


@pytest.mark.parametrize("kind", [optimizers.SGD, optimizers.legacy.SGD], ids=["now", "legacy"])
@pytest.mark.parametrize(("together", "compiled"), [(1, False), (4, True)])
def test_gradients_of_fit_go_wrong(kind, together, compiled):
    loop = Fit(kind(0.01), steps_per_execution=together, jit_compile=compiled)
    with injection(Fault("scale", 100.0, target="trunk/bias")) as faulty:
        faulty.attach(loop)
        for strength, times in ((None, 1), (100.0, 100)):
            faulty.set(strength)
            gradients = loop.gradients()
            before = faulty.strikes()
            found = loop.moved()
            assert faulty.strikes() - before == (strength is not None)
            for (name, moved), gradient in zip(found.items(), gradients, strict=True):
                factor = times if "trunk/bias" in name else 1
                np.testing.assert_allclose(moved, -0.01 * factor * gradient, rtol=1e-3, atol=1e-6, err_msg=name)


def test_weights_go_wrong():
    loop = Fit(optimizers.SGD(0.01))
    with injection(Fault("nan", place="weights", target="trunk")) as faulty:
        faulty.attach(loop)
        faulty.set(1.0)
    assert [bool(np.isnan(each).all()) for each in loop.model.get_weights()] == [True, True, False, False]


@pytest.mark.parametrize("make", [make for make, _ in OPTIMIZERS.values()], ids=OPTIMIZERS)
def test_variables_of_an_optimizer_are_distinguished_from_others(make):
    layers = [tf.keras.layers.Dense(2), tf.keras.layers.BatchNormalization(), tf.keras.layers.Dense(1)]
    model = tf.keras.Sequential([tf.keras.layers.Input((2,)), *layers])
    optimizer = make()
    model.compile(optimizer, "mse")
    model.fit(DATA, WANTED, verbose=0)
    others = [each for each in model.variables if not each.trainable]
    named = [f"{n}:{variable_name(each)}" for n, each in enumerate([*others, *optimizer.variables()])]
    weights = [f"{100 + n}:{variable_name(each)}" for n, each in enumerate(model.trainable_variables)]
    assert len(others) == 2
    assert optimizer_state(named, weights) == {*named[2:]}


@pytest.mark.parametrize(("module", "names"), [(keras_fit, ("reading", "keeping")), (images, ("on_host", "on_device"))])
def test_the_examples_train_alike_and_only_one_reads(module, names):
    loops = [build(name, getattr(module, name), LoopSpec("any")) for name in names]
    for loop in loops:
        loop.run(10)
    one, other = (loop.history()["loss"] for loop in loops)
    assert len(one) == 10
    np.testing.assert_allclose(one, other, rtol=1e-2)
    assert count_host_syncs(loops[0], 10).reads_per_batch >= 1
    # Losses that are kept are neither weights nor an optimizer's state.
    assert all(each.shape != (ROOM,) for loop in loops for each in loop.variables)


def test_a_run_with_a_fault_in_its_learning_rate():
    fault = Fault("scale", 1e30, place="learning_rate", batch=2)
    seen = observe("keras_fit:reading", keras_fit.reading, LoopSpec("any"), fault, 5)
    assert (seen.ended, seen.struck) == ("whole", (2,))
    assert seen.bad_weights
    assert len(seen.optimizer_state) == 9  # its counter, and two moments of each of four weights


@pytest.mark.slow  # to trace them takes long
@pytest.mark.parametrize("name", ["loop_bench.baseline:make_loop", "loop_bench.seqgan:make_loop"])
def test_the_built_in_loops_are_of_keras_3_nevertheless(name):
    import keras

    loop = load(name)(LoopSpec("tiny"))
    loop.run(1)
    assert all(isinstance(each, keras.Variable | tf.Variable) for each in loop.variables)
    assert any(isinstance(each, keras.Variable) for each in loop.variables)


def test_the_record_says_both():
    found = environment.environment()
    line = environment.machine(found)
    assert found["versions"]["tf_keras"].startswith("2.")
    assert f", Keras {found['versions']['keras']}, tf_keras {found['versions']['tf_keras']}, Python" in line

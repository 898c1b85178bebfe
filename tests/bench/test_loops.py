import collections

import numpy as np
import pytest
import tensorflow as tf

from loop_bench import hostsync, loops
from loop_bench.experiments.survival import Fault
from loop_bench.experiments.survival.injection import GradientInjection
from loop_bench.experiments.syncs.counting import count_host_syncs
from loop_bench.failure import LoopError
from loop_bench.loop import LoopSpec, build, history

FEATURES = np.random.default_rng(0).normal(size=[20, 3]).astype(np.float32)


def data():
    """Five batches of four."""
    return tf.data.Dataset.from_tensor_slices((FEATURES, FEATURES.sum(axis=1, keepdims=True))).batch(4)


def model(**compiled):
    """A line through them, always from the same weights."""
    made = tf.keras.Sequential([tf.keras.Input([3]), tf.keras.layers.Dense(1, kernel_initializer="ones")])
    made.compile("adam", "mse", **{"jit_compile": False, **compiled})
    return made


class FirstFeature(tf.keras.Sequential):
    """Says of each batch what is first in it."""

    def train_step(self, batch):
        super().train_step(batch)
        return {"first": batch[0][0, 0], "all": batch[0]}


def reading_step():
    """A training step that reads its loss, and the variables of all that it trains."""
    line, optimizer = model(), tf.keras.optimizers.Adam()
    optimizer.build(line.trainable_variables)

    @tf.function
    def train(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((line(x, training=True) - y) ** 2)
        weights = line.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    return train, [*line.weights, *optimizer.variables]


def built(loop):
    """A loop as the harness has it."""
    return build("tests:loop", lambda spec: loop, LoopSpec("any"))


class TestKeras:
    def test_goes_on_through_the_data_from_call_to_call(self):
        line = FirstFeature([tf.keras.Input([3]), tf.keras.layers.Dense(1)])
        line.compile("sgd", "mse", jit_compile=False)
        loop = built(loops.from_keras(line, data()))
        for batches in (3, 1, 8):
            loop.run(batches)
        found = history(loop)
        np.testing.assert_array_equal(found["first"], [FEATURES[4 * (batch % 5), 0] for batch in range(12)])
        assert [*found] == ["first"]  # of `all` there is no one number

    @pytest.mark.parametrize("compiled", [{}, {"jit_compile": True}, {"run_eagerly": True}], ids=str)
    def test_trains_exactly_as_many_batches_as_it_is_asked_for(self, compiled, monkeypatch):
        monkeypatch.setattr(loops, "FIRST_ROWS", 8)  # it has to make room
        loop = built(loops.from_keras(model(**compiled), data(), steps_per_execution=None if compiled else 3))
        for batches in (4, 1, 10):
            loop.run(batches)
        assert len(history(loop)["loss"]) == 15
        assert np.isfinite(history(loop)["loss"]).all()

    def test_computes_what_fit_computes(self):
        line, same = model(), model()
        loop = built(loops.from_keras(line, data()))
        loop.run(5)
        fitted = same.fit(data(), verbose=0, shuffle=False)
        for weight, other in zip(line.get_weights(), same.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, other)
        assert history(loop)["loss"][-1] == pytest.approx(fitted.history["loss"][0])

    def test_its_variables_are_the_weights_and_the_optimizers(self):
        loop = built(loops.from_keras(model(), data()))
        before = len(loop.variables)
        loop.run(1)
        assert len(loop.variables) == before == len(model().weights) + 4 + len(("iteration", "learning rate"))

    def test_reads_no_more_than_fit_does(self):
        line, batches, reads = model(), data().repeat(), []
        loop = built(loops.from_keras(model(), data()))
        for train in (lambda: line.fit(batches.take(10), verbose=0, shuffle=False), lambda: loop.run(10)):
            train()  # traced
            with hostsync.record() as log:
                train()
            reads.append(len(log.reads))
        assert reads[0] == reads[1] > 0

    def test_a_callbacks_read_is_at_its_line(self):
        class ReadLoss(tf.keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                float(tf.constant(1.0))

        loop = built(loops.from_keras(model(), data(), callbacks=[ReadLoss()]))
        loop.run(2)
        sites = count_host_syncs(loop, 10).sites
        assert {(site.file.rpartition("/")[2], site.reads) for site in sites if site.route == "float"} == {
            ("test_loops.py", 10)
        }

    def test_faults_strike_it(self):
        with GradientInjection(Fault("nan")) as injection:
            line = model()
            loop = built(loops.from_keras(line, data()))
            loop.run(1)
            assert np.isfinite(line.get_weights()[0]).all()
            injection.set(1.0)
            loop.run(1)
        assert np.isnan(line.get_weights()[0]).all()

    def test_a_fit_that_ends_early_is_no_history(self):
        class Stop(tf.keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                self.model.stop_training = True

        loop = built(loops.from_keras(model(), data(), callbacks=[Stop()]))
        loop.run(2)
        with pytest.raises(LoopError, match="fit trained 1 of 2 batches"):
            loop.history()

    @pytest.mark.parametrize(
        ("line", "batches", "error"),
        [
            (lambda: tf.keras.Sequential([tf.keras.layers.Dense(1)], name="bare"), data, "'bare' is not compiled"),
            (model, lambda: [FEATURES], "data is a list, but must be a tf.data.Dataset"),
            (model, lambda: data().take(0), "data has no batches"),
        ],
    )
    def test_wrong_use_is_told_when_it_is_made(self, line, batches, error):
        with pytest.raises((TypeError, ValueError), match=error):
            loops.from_keras(line(), batches())


Metrics = collections.namedtuple("Metrics", ["g_loss", "d_loss"])


class TestStep:
    def test_reads_what_the_step_reads_and_nothing_else(self):
        train, variables = reading_step()
        keeping = built(loops.from_step(train, data(), variables))
        reading = built(loops.from_step(lambda x, y: float(train(x, y)), data(), variables))
        for loop in (keeping, reading):
            loop.run(6)
        # A pass over a dataset that ends is one read, of TensorFlow's own.
        sites = {site.route: site for site in count_host_syncs(reading, 10).sites}
        assert (sites["float"].reads, sites["float"].file.rpartition("/")[2]) == (10, "test_loops.py")
        assert "float" not in {site.route for site in count_host_syncs(keeping, 10).sites}

    def test_the_history_is_one_read_for_each_metric(self):
        train, variables = reading_step()
        loop = built(loops.from_step(train, data(), variables))
        loop.run(6)
        with hostsync.record() as log:
            assert len(loop.history()["loss"]) == 6
        assert len(log.reads) == 1

    def test_computes_what_fit_computes(self):
        train, variables = reading_step()
        line = model()
        loop, fit = built(loops.from_step(train, data(), variables)), built(loops.from_keras(line, data()))
        loop.run(7)
        fit.run(7)
        np.testing.assert_allclose(variables[0].numpy(), line.weights[0].numpy(), rtol=1e-6)

    @pytest.mark.parametrize(
        ("given", "found"),
        [
            (lambda x: tf.constant(2.0) * x, {"loss": [2.0, 4.0, 2.0]}),
            (lambda x: 2.0 * x, {"loss": [2.0, 4.0, 2.0]}),
            (lambda x: np.float32(x), {"loss": [1.0, 2.0, 1.0]}),
            (lambda x: {"a": x, "b": tf.constant(x)}, {"a": [1, 2, 1], "b": [1, 2, 1]}),
            (lambda x: (x, -x), {"metric 0": [1, 2, 1], "metric 1": [-1, -2, -1]}),
            (lambda x: Metrics(x, -x), {"g_loss": [1, 2, 1], "d_loss": [-1, -2, -1]}),
            (lambda x: None, {}),
        ],
    )
    def test_names_what_the_step_gives(self, given, found):
        loop = built(loops.from_step(given, [1.0, 2.0], [tf.Variable(0.0)]))
        loop.run(2)
        loop.run(1)
        assert {name: values.tolist() for name, values in history(loop).items()} == found

    def test_a_batch_that_is_no_tuple_is_one_argument(self):
        seen = []
        loop = loops.from_step(seen.append, [{"x": 1}, [2, 3], (4,)], [])
        loop.run(4)
        assert seen == [{"x": 1}, [2, 3], 4, {"x": 1}]

    @pytest.mark.parametrize("batches", [[], iter([])])
    def test_no_batches(self, batches):
        with pytest.raises(ValueError, match="data has no batches"):
            loops.from_step(print, batches, []).run(1)

    def test_variables_may_come_later(self):
        state = [tf.Variable(0.0)]
        loop = built(loops.from_step(lambda x: state.append(tf.Variable(x)), [1.0], lambda: state))
        loop.run(2)
        assert [variable.numpy() for variable in loop.variables] == [0.0, 1.0, 1.0]


class TestFunction:
    def test_keeps_what_the_function_gives(self):
        weight, asked = tf.Variable(0.0), []

        def train(batches):
            asked.append(batches)
            weight.assign_add(batches)
            return {"loss": tf.range(batches), "lr": np.full(batches, 0.1)}

        loop = built(loops.from_function(train, [weight]))
        loop.run(3)
        loop.run(2)
        assert asked == [3, 2]
        assert history(loop)["loss"].tolist() == [0, 1, 2, 0, 1]
        assert history(loop)["lr"].tolist() == [0.1] * 5
        assert loop.variables[0].numpy() == 5.0

    def test_a_function_may_give_nothing(self):
        loop = built(loops.from_function(lambda batches: None, [tf.Variable(0.0)]))
        loop.run(2)
        assert history(loop) == {}


@pytest.mark.parametrize(
    "make",
    [
        lambda **more: loops.from_keras(model(), data(), **more),
        lambda **more: loops.from_step(print, [1], [tf.Variable(0.0)], **more),
        lambda **more: loops.from_function(print, [tf.Variable(0.0)], **more),
    ],
    ids=["keras", "step", "function"],
)
def test_says_how_good_it_is_only_where_it_knows(make):
    assert not hasattr(make(), "evaluate")
    assert make(evaluate=lambda: {"loss ↓": 1.0}).evaluate() == {"loss ↓": 1.0}

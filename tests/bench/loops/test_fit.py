import types

import numpy as np
import pytest
import tensorflow as tf
from regressions import BATCHES, FEATURES, built, data, model, network, optimizer, training_step

from loop_bench import hostsync, loops
from loop_bench.errors import UsageError
from loop_bench.experiments.equivalence.check import equivalence
from loop_bench.experiments.equivalence.side import Side
from loop_bench.experiments.survival import Fault
from loop_bench.experiments.survival.injection import GradientInjection
from loop_bench.experiments.syncs.counting import count_host_syncs
from loop_bench.failure import LoopError
from loop_bench.loop import history
from loop_bench.loops import rows
from loop_bench.variables import variable_name


class FirstFeature(tf.keras.Sequential):
    """Has a metric that is the first feature of each batch."""

    def train_step(self, batch):
        super().train_step(batch)
        return {"first": batch[0][0, 0], "all": batch[0], "in": {"batch": tf.shape(batch[0])[0]}}


class Subclassed(tf.keras.Model):
    """Creates its weights in its first call."""

    def __init__(self):
        super().__init__()
        self.line = tf.keras.layers.Dense(1)

    def call(self, inputs, training=False):
        return self.line(inputs)


class Adversaries(tf.keras.Model):
    """Two networks, each with an optimizer."""

    def __init__(self):
        super().__init__()
        self.one, self.other = network(tf.keras.Input([3])), network(tf.keras.Input([1]))

    def compile(self, one, other):
        super().compile(jit_compile=False)
        self.ones, self.others = one, other

    def call(self, inputs):
        return self.other(self.one(inputs))

    def train_step(self, batch):
        losses = {}
        for place, (line, adam) in enumerate([(self.one, self.ones), (self.other, self.others)]):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((line(batch[place]) - 1.0) ** 2)
            weights = line.trainable_variables
            adam.apply_gradients(zip(tape.gradient(loss, weights), weights))  # noqa: B905  # tf_keras takes no other
            losses[f"loss {place}"] = loss
        return losses


class Stop(tf.keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = True


def fitting(**more):
    return built(lambda: loops.from_keras(model(), data(), **more))


def stepping():
    train, variables = training_step()
    return built(lambda: loops.from_step(train, data(), variables))


def test_each_run_resumes_in_the_data_where_the_last_stopped():
    line = FirstFeature([tf.keras.Input([3]), tf.keras.layers.Dense(1)])
    line.compile("sgd", "mse", jit_compile=False)
    loop = built(lambda: loops.from_keras(line, data()))
    for batches in (3, 1, 8):
        loop.run(batches)
    found = history(loop)
    np.testing.assert_array_equal(found["first"], [FEATURES[4 * (batch % 5), 0] for batch in range(12)])
    assert found["in/batch"].tolist() == [4] * 12
    assert [*found] == ["first", "in/batch"]  # of `all` there is no one number, and `loss` is not among what it says


@pytest.mark.parametrize("compiled", [{}, {"jit_compile": True}, {"run_eagerly": True}], ids=str)
def test_trains_exactly_as_many_batches_as_it_is_asked_for(compiled, monkeypatch):
    monkeypatch.setattr(rows, "ROOM", 8)  # it has to make more
    loop = built(lambda: loops.from_keras(model(**compiled), data(), steps_per_execution=None if compiled else 3))
    for batches in (4, 1, 10):
        loop.run(batches)
    found = history(loop)["loss"]
    assert len(found) == 15
    assert np.all(found[10:] < found[:5])  # it has learned


def test_metrics_equal_those_of_a_custom_step():
    """`loss` is the loss of each batch, not the mean over a `run`."""
    assert equivalence(Side(fitting()), Side(stepping()), {}, 12).bit_for_bit


def test_more_steps_in_an_execution_compute_the_same():
    assert equivalence(Side(fitting()), Side(fitting(steps_per_execution=3)), {}, 12).bit_for_bit


def test_computes_what_fit_computes():
    line, same = model(metrics=["mae"]), model(metrics=["mae"])
    loop = built(lambda: loops.from_keras(line, data()))
    loop.run(BATCHES)
    fitted = same.fit(data(), verbose=0, shuffle=False)
    for weight, other in zip(line.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)
        assert weight.any()
    found = history(loop)
    assert found["loss"].mean() == pytest.approx(fitted.history["loss"][0], rel=1e-5)
    assert found["mae"][-1] == pytest.approx(fitted.history["mae"][0])


@pytest.mark.parametrize("line", [lambda: model(None), Subclassed], ids=["sequential", "subclassed"])
def test_a_model_without_weights_is_built_from_the_data(line):
    line = line()
    line.compile("sgd", "mse", jit_compile=False)
    loop = built(lambda: loops.from_keras(line, data()))
    assert sum(variable.trainable for variable in loop.variables) == 2
    before = line.get_weights()[0]
    loop.run(2)
    assert not np.array_equal(before, line.get_weights()[0])


def test_its_variables_are_the_weights_and_the_state_of_every_optimizer():
    pair = Adversaries()
    pair.compile(optimizer(), optimizer())
    loop = built(lambda: loops.from_keras(pair, data()))
    loop.run(1)
    assert {*history(loop)} == {"loss 0", "loss 1"}
    moments = [each for each in loop.variables if not each.trainable and each.shape.rank == 2]
    assert len(moments) == 4, [*map(variable_name, loop.variables)]
    assert all(each.numpy().any() for each in moments)
    assert len({*map(id, loop.variables)}) == len(loop.variables)


def test_reads_no_more_than_fit_does():
    line, batches, reads = model(), data().repeat(), []
    loop = fitting()
    for train in (lambda: line.fit(batches.take(10), verbose=0, shuffle=False), lambda: loop.run(10)):
        train()  # traced
        with hostsync.record() as log:
            train()
        reads.append(len(log.reads))
    assert reads[0] == reads[1] > 0


def test_its_history_is_one_read():
    loop = built(lambda: loops.from_keras(model(metrics=["mae", "mse"]), data()))
    loop.run(3)
    loop.run(2)
    with hostsync.record() as log:
        assert {name: len(values) for name, values in loop.history().items()} == {"loss": 5, "mae": 5, "mse": 5}
    assert len(log.reads) == 1


def test_what_keras_reads_is_at_the_line_that_makes_the_loop():
    loop = fitting()
    loop.run(2)
    found = count_host_syncs(loop, 10)
    assert {(site.file.rpartition("/")[2], site.source) for site in found.sites} == {
        ("test_fit.py", "return built(lambda: loops.from_keras(model(), data(), **more))")
    }
    assert found.traced == ()
    assert found.in_graphs == ()


def test_a_callbacks_read_is_at_its_own_line():
    class ReadLoss(tf.keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            float(tf.constant(1.0))

    loop = fitting(callbacks=[ReadLoss()])
    loop.run(2)
    sites = count_host_syncs(loop, 10).sites
    assert [(site.reads, site.source) for site in sites if site.route == "float"] == [(10, "float(tf.constant(1.0))")]


def test_faults_can_be_injected():
    with GradientInjection(Fault("nan")) as injection:
        line = model()
        loop = built(lambda: loops.from_keras(line, data()))
        loop.run(1)
        assert np.isfinite(line.get_weights()[0]).all()
        injection.set(1.0)
        loop.run(1)
    assert np.isnan(line.get_weights()[0]).all()


def test_the_history_of_a_fit_that_ended_early_raises():
    loop = fitting(callbacks=[Stop()])
    loop.run(2)
    with pytest.raises(UsageError, match=r"from_keras at .*test_fit.py:\d+: fit has trained 1 of 2 batches"):
        loop.history()


def test_describes_the_batches_per_epoch():
    assert fitting().describe() == {"batches_per_epoch": BATCHES}
    assert loops.from_keras(model(), data().repeat()).describe() == {}


def test_an_error_in_fit_is_at_the_line_that_makes_the_loop():
    loop = built(lambda: loops.from_keras(model(tf.keras.Input([2])), data()))
    with pytest.raises(LoopError, match=r"run\(\) failed with ValueError: .*, at .*test_fit.py:\d+"):
        loop.run(1)


@pytest.mark.parametrize(
    ("line", "batches", "error"),
    [
        (lambda: tf.keras.Sequential([tf.keras.layers.Dense(1)], name="bare"), data, "'bare' is not compiled"),
        (lambda: None, data, "'NoneType' is not compiled"),
        (model, lambda: [FEATURES], "data is a list, but must be a tf.data.Dataset"),
        (model, lambda: data().take(0), "data has no batches"),
    ],
)
def test_wrong_arguments_raise_when_the_loop_is_made(line, batches, error):
    with pytest.raises(UsageError, match=rf"from_keras at .*test_fit.py:\d+: .*{error}"):
        loops.from_keras(line(), batches())


def test_data_without_batches_raise_when_they_are_used():
    loop = built(lambda: loops.from_keras(model(), data().filter(lambda x, y: False)))
    with pytest.raises(UsageError, match="data has no batches"):
        loop.run(1)


def test_a_step_whose_metrics_change_raises():
    class Rare(FirstFeature):
        def train_step(self, batch):
            logs = super().train_step(batch)
            return logs if batch[0].shape[0] == 4 else {"last": logs["first"]}

    line = Rare([tf.keras.Input([3]), tf.keras.layers.Dense(1)])
    line.compile("sgd", "mse", run_eagerly=True)
    loop = built(lambda: loops.from_keras(line, data().unbatch().take(6).batch(4)))
    loop.run(1)
    with pytest.raises(UsageError, match=r"train_step returns .*last.*, but returned first, in/batch"):
        loop.run(1)


def test_a_model_on_several_machines_is_refused(monkeypatch):
    line = model()
    one_here = types.SimpleNamespace(worker_devices=("/job:worker/task:0/device:CPU:0",))
    of_two = types.SimpleNamespace(num_replicas_in_sync=2, extended=one_here)
    monkeypatch.setattr(type(line), "distribute_strategy", of_two)
    with pytest.raises(UsageError, match="the model has 2 replicas on several machines"):
        loops.from_keras(line, data())

"""Tests of loops with several replicas; `tests/seqgan/test_replicas.py` runs them in a process with two devices."""

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf

from loop_bench import hostsync
from loop_bench.baseline.loop import BaselineLoop
from loop_bench.experiments.equivalence.check import equivalence
from loop_bench.experiments.equivalence.side import Side
from loop_bench.experiments.survival.fault import Fault
from loop_bench.experiments.survival.injection import injection
from loop_bench.seqgan import dataset, replicas
from loop_bench.seqgan.checkpoint import Checkpoint, variable_name
from loop_bench.seqgan.errors import InputError
from loop_bench.seqgan.loop import OptimizedLoop
from loop_bench.seqgan.networks import Networks
from loop_bench.seqgan.training import Training
from loop_bench.variables import VariableReader

LOOPS = {"before": BaselineLoop, "after": OptimizedLoop}
SLOW = pytest.mark.slow


@pytest.fixture(scope="session")
def tiny(tiny):
    """A config of two replicas that draw the tokens of one; its first use divides the CPU."""
    two = dataclasses.replace(
        tiny, replicas=2, sampler="inverse_cdf", keep_lines=True, clip_norm=1e9, clip_ratio=1e9, filter_widths=(2,)
    )
    replicas.reserve_devices(two)
    return two


@pytest.fixture
def make(tiny, lines):
    return lambda name="after", networks=None, **changes: LOOPS[name](
        dataclasses.replace(tiny, **changes), lines, networks
    )


@pytest.fixture(scope="module")
def traced(tiny, lines):
    """Returns loops shared by tests that only continue training, because tracing takes seconds."""
    return functools.cache(lambda name: LOOPS[name](tiny, lines))


def values(loop):
    """Values of all replicas, by variable."""
    return {variable_name(each): [np.array(one.numpy()) for one in each.values] for each in loop.variables}


def assert_alike(loop):
    for name, (first, *others) in values(loop).items():
        for other in others:
            np.testing.assert_array_equal(first, other, err_msg=name)


def compare(one, other, batches=12):
    """Compares two loops, each in its own training and from the same state."""
    found = equivalence(Side(one), Side(other), {}, batches)
    assert found.equal, found.reason
    assert found.flip is None, found.reason
    np.testing.assert_array_equal(one.lines(), other.lines())


@pytest.mark.parametrize("name", [pytest.param("before", marks=SLOW), "after"])
def test_two_compute_what_one_does(make, traced, name):
    compare(traced(name), make(name, replicas=1))
    assert_alike(traced(name))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"jit_compile": True}, marks=SLOW),
        pytest.param({"calls": "three", "feed": "pipeline"}, marks=SLOW),
        pytest.param({"calls": "one", "policy_gradient": "second_pass", "convolutions": "separate"}, marks=SLOW),
        pytest.param({"d_train_interval": 3}, marks=SLOW),
        pytest.param({"d_steps": 2, "g_steps": 2}, marks=SLOW),
        pytest.param({"rollouts": 2}, marks=SLOW),
    ],
    ids=lambda changes: " ".join(f"{name}={value}" for name, value in changes.items()),
)
def test_two_compute_what_one_does_however_they_are_executed(make, changes):
    two = make(**changes)
    compare(two, make(replicas=1, **changes))
    assert len(two.history()["g_loss"]) == 24


@SLOW
@pytest.mark.parametrize("name", LOOPS)
def test_lines_that_end_have_their_mean_over_the_tokens_of_the_batch(tiny, script, name):
    config = dataclasses.replace(tiny, vocabulary_size=8)
    of_script = dataset.load(config, script)
    assert of_script.sizes.ends
    two, one = (LOOPS[name](dataclasses.replace(config, replicas=count), of_script) for count in (2, 1))
    compare(two, one, 6)
    lengths = np.sum(two.lines() != 0, axis=-1)[0].reshape(2, -1).sum(axis=1)
    assert lengths[0] != lengths[1]  # or a mean of the replicas' means would do


@pytest.fixture
def nan_in_the_second(monkeypatch):
    """Makes the second replica's gradients NaN in functions that are traced from here on."""
    genuine = tf.GradientTape.gradient

    def gradient(tape, target, sources):
        found = genuine(tape, target, sources)
        context = tf.distribute.get_replica_context()
        if tf.get_static_value(context.replica_id_in_sync_group) != 1:
            return found
        return [tf.convert_to_tensor(each) * np.nan for each in found]

    monkeypatch.setattr(tf.GradientTape, "gradient", gradient)


@SLOW
def test_a_nan_in_one_replica_skips_the_update_on_all(make, nan_in_the_second):
    loop = make(protection="guard")
    before = values(loop)
    loop.run(2)
    after = values(loop)
    for name, held in before.items():
        if not name.rpartition("_")[0].endswith(("_consecutive", "_total")):
            np.testing.assert_array_equal(held, after[name], err_msg=name)
    assert loop.describe()["skipped_batches"] == {"generator": [0, 1], "discriminator": [0, 1]}
    assert_alike(loop)


@SLOW
@pytest.mark.parametrize(("name", "protection"), [("before", "guard"), ("after", "none")])
def test_a_nan_in_one_replica_without_protection_poisons_all(make, nan_in_the_second, name, protection):
    loop = make(name, protection=protection, calls="one", lines=16, window=1)
    try:
        loop.run(1)
    except tf.errors.InvalidArgumentError:  # tokens of a generator of NaN
        assert name == "before"
    for weight in loop.variables:
        if weight.trainable and "discriminator" in weight.path and "embedding" not in weight.path:
            assert all(np.all(np.isnan(each.numpy())) for each in weight.values), weight.path


@SLOW
@pytest.mark.parametrize(("name", "compiled"), [("before", False), ("after", False), ("after", True)])
def test_a_fault_strikes_in_every_replica(make, name, compiled):
    fault = Fault.parse("scale=1000,target=generator")
    with injection(fault) as way:
        loop = make(name, jit_compile=compiled)
        way.attach(loop)
        loop.run(1)
        assert way.strikes() == 0
        way.set(1000.0)
        loop.run(1)
        way.set(None)
        loop.run(1)
    strikes = {device: int(state.strikes.numpy()) for device, state in way.switch._states.items()}
    assert sorted(strikes.values()) == [0, 1, 1], strikes  # the first is no replica's
    assert_alike(loop)


@SLOW
def test_an_argument_reaches_the_graphs_by_the_names_that_users_know(make):
    for name in LOOPS:
        with injection(Fault.parse("nan,in=train_generator_adversarial(temperature)")) as way:
            loop = make(name, policy_gradient="second_pass", protection="none")
            way.attach(loop)
            way.set(1.0)
            loop.run(1)
            assert way.strikes() > 0
        assert not np.isfinite(loop.history()["g_loss"][0])


@pytest.mark.parametrize(("name", "expected"), [pytest.param("before", 10 * 5 + 4, marks=SLOW), ("after", 0)])
def test_reads_are_those_of_one_replica(traced, name, expected):  # the tokens are kept, too
    loop = traced(name)
    loop.run(1)
    loop.history()
    with hostsync.record() as log:
        loop.run(10)
    assert len(log.reads) == expected


@SLOW
def test_replicas_begin_with_what_the_first_was_given(make, tiny, lines):
    for name in LOOPS:
        networks = Networks(tiny, lines.sizes)
        loop = make(name, networks)
        networks.weights[0].assign_add(tf.ones_like(networks.weights[0]))  # as pre-training, or a checkpoint
        loop.run(1)
        assert_alike(loop)
        assert float(tf.reduce_mean(loop.variables[0].values[1])) > 0.5


def test_a_variable_has_a_value_for_each_replica(traced):
    variable = traced("after").variables[0]
    first, second = variable.values
    assert [each.value.device[-5:] for each in (first, second)] == ["CPU:0", "CPU:1"]
    assert (variable.path, variable.trainable) == (first.path, True)
    assert tuple(variable.shape) == tuple(first.shape)
    before, changed = variable.numpy(), np.full(variable.shape, 0.25, np.float32)
    variable.assign(changed)
    for value in (
        first.numpy(),
        second.numpy(),
        variable.numpy(),
        np.asarray(variable),
        tf.convert_to_tensor(variable),
    ):
        np.testing.assert_array_equal(value, changed)
    np.testing.assert_array_equal(VariableReader()([variable])[0], changed)
    variable.assign(before)
    assert repr(variable) == "<ReplicatedVariable generator/token_embedding/embeddings shape=(200, 32) of 2 replicas>"


def test_more_replicas_than_devices_are_refused(make, tiny):
    tf.config.list_logical_devices()
    with pytest.raises(InputError, match=r"^config: replicas=4: TensorFlow has 2 CPUs, because it was started"):
        make(replicas=4)


class Silent:
    """An observer that ignores the progress."""

    def epoch_begins(self, *_): ...

    def advance(self, *_): ...

    def epoch_ends(self, *_): ...


@SLOW
def test_training_resumes_with_another_number_of_replicas(tiny, lines, tmp_path):
    short = dataclasses.replace(tiny, mle_epochs=1, d_epochs=1, epochs=1, keep_lines=False)
    two = Training(short, lines, "optimized", None, tmp_path, Silent())
    two.run()
    assert_alike(two._loop)
    kept = Checkpoint.load(tmp_path)
    one = Training(dataclasses.replace(short, replicas=1, epochs=2), lines, "optimized", None, tmp_path, Silent(), kept)
    for mine, other in zip(one._loop.variables, two._loop.variables, strict=True):
        np.testing.assert_array_equal(mine.numpy(), other.numpy())
    one.run()
    again = Checkpoint.load(tmp_path)
    two = Training(dataclasses.replace(short, epochs=3), lines, "optimized", None, tmp_path, Silent(), again)
    two.run()
    assert_alike(two._loop)
    assert len(Checkpoint.load(tmp_path).history) == 5 * lines.batches_per_epoch(tiny.batch_size)

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from loop_bench import hostsync
from loop_bench.experiments.survival import Fault
from loop_bench.experiments.survival.injection import GradientInjection
from loop_bench.seqgan.calls import HISTORY_KEYS
from loop_bench.seqgan.checkpoint import variable_name
from loop_bench.seqgan.config import PROTECTIONS
from loop_bench.seqgan.errors import NonFiniteUpdatesError
from loop_bench.seqgan.loop import OptimizedLoop

EPOCH = 20  # batches, of `tiny`


@pytest.fixture
def make(tiny, lines):
    return lambda **changes: OptimizedLoop(dataclasses.replace(tiny, **changes), lines)


@pytest.fixture(scope="module")
def traced(tiny, lines):
    return OptimizedLoop(tiny, lines)


@pytest.fixture
def loop(traced):
    """A loop at the start of an epoch, shared by tests that only continue training, because tracing takes seconds."""
    traced.run(-trained(traced) % EPOCH)
    return traced


def trained(loop):
    """Number of batches trained so far."""
    return loop.describe()["samples"] // loop.config.batch_size


def weights(loop):
    return [variable.numpy() for variable in loop.variables]


def assert_same(one, other):
    for key, values in one.history().items():
        np.testing.assert_array_equal(values, other.history()[key])
    for first, second in zip(weights(one), weights(other), strict=True):
        np.testing.assert_array_equal(first, second)


def test_history_has_one_value_a_batch(loop):
    before = len(loop.history()["g_loss"])
    loop.run(3)
    loop.run(24)  # over the end of an epoch
    history = loop.history()
    assert tuple(history) == HISTORY_KEYS
    assert all(values.shape == (before + 27,) and np.all(np.isfinite(values)) for values in history.values())


@pytest.mark.slow
def test_windows_do_not_change_what_is_computed(make):
    one, other = make(window=1), make(window=7)
    one.run(23)
    other.run(5)
    other.run(18)
    assert_same(one, other)


@pytest.mark.slow
def test_xla_computes_the_same_but_for_rounding(make):
    one, other = make(jit_compile=True), make()
    one.run(5)
    other.run(5)
    for key, values in one.history().items():
        np.testing.assert_allclose(values, other.history()[key], rtol=1e-3, err_msg=key)


def test_reads_the_device_once_an_epoch(loop):
    loop.run(1)
    with hostsync.record() as log:
        loop.run(EPOCH - 1)
        assert log.reads == []
        loop.run(2 * EPOCH)
    assert [read.shape for read in log.reads] == [(20, 8), (20, 8)]


def test_progress_leaves_the_newest_window_on_the_device(make, loop):
    assert make().recent() == {}
    loop.run(2)
    loop.run(3)
    recent = loop.recent()
    assert recent["g_loss"] == loop.history()["g_loss"][-4]


def test_temperature_is_annealed_by_the_epoch(make, loop):
    assert make().temperature == 2.0
    first, seen = trained(loop) // EPOCH, []
    for _ in range(3):
        seen.append(loop.temperature)
        loop.run(EPOCH)
    assert seen == [max(0.5, 2.0 * 0.95 ** (first + epoch)) for epoch in range(3)]


def test_discriminator_is_trained_every_nth_batch(make, lines):
    loop = make(d_train_interval=3, window=4, policy_gradient="second_pass", protection="none", filter_widths=(2,))
    loop.generate_fake_samples = lambda *_: tf.constant(lines.tokens[:16])  # to trace less
    loop.run(8)
    d_loss = loop.history()["d_loss"]
    assert d_loss[0] == d_loss[1] == d_loss[2] != d_loss[3]
    assert d_loss[3] == d_loss[4] == d_loss[5] != d_loss[6]
    assert int(loop.networks.d_optimizer.iterations) == 3
    assert int(loop.networks.g_optimizer.iterations) == 8


@pytest.mark.slow
def test_more_steps_a_batch(make):
    loop = make(d_steps=3, g_steps=2)
    loop.run(2)
    assert int(loop.networks.d_optimizer.iterations) == 6
    assert int(loop.networks.g_optimizer.iterations) == 4
    assert len(loop.history()["g_loss"]) == 2


@pytest.mark.slow
def test_resumes_where_another_loop_stopped(make, tiny, lines):
    whole = make()
    whole.run(25)
    first = make()
    first.run(20)
    second = OptimizedLoop(tiny, lines, first.networks, start_batch=20)
    second.run(5)
    np.testing.assert_array_equal(second.history()["g_loss"], whole.history()["g_loss"][20:])


@pytest.mark.slow
def test_persistent_nan_is_skipped_and_then_named(make):
    with GradientInjection(Fault("nan", target="generator")) as injection:
        loop = make(max_consecutive_skips=30)
        loop.run(20)
        before = [weight.numpy() for weight in loop.networks.generator.trainable_variables]
        injection.set(1.0)
        loop.run(21)
        with pytest.raises(
            NonFiniteUpdatesError,
            match=r"^generator: 30 updates in a row.*batches 20 to 49, .*weights of the generator as they were",
        ):
            loop.run(40)
    assert loop.describe()["skipped_updates"] == {"generator": 50, "discriminator": 0}
    assert loop.describe()["skipped_batches"] == {"generator": list(range(20, 70)), "discriminator": []}
    for old, weight in zip(before, loop.networks.generator.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, weight.numpy())
    assert all(np.all(np.isfinite(values)) for values in weights(loop))


@pytest.mark.slow
@pytest.mark.parametrize("window", [7, 20, 50])
def test_skips_are_seen_whatever_the_window_and_though_the_history_was_read(make, window):
    with GradientInjection(Fault("inf", target="discriminator")) as injection:
        injection.set(1.0)
        loop = make(max_consecutive_skips=5, window=window)
        loop.run(20)
        loop.history()
        with pytest.raises(NonFiniteUpdatesError, match=r"^discriminator: 5 updates in a row.*batches 0 to 4, "):
            loop.recent()


def test_weights_that_something_else_has_broken_are_named(make, lines):
    """The generator's updates are skipped, because the rewards come from the discriminator."""
    loop = make(max_consecutive_skips=3, calls="three")
    # Five updates of one network, which take less time than the tracing of its graph.
    loop.generate_fake_samples = lambda *_: tf.constant(lines.tokens[:16])
    loop.train_discriminator_adversarial = lambda *_: (0.0, 0.0)
    loop.train_generator_adversarial = loop.train_generator_adversarial.python_function
    loop.run(2)
    loop.networks.discriminator.trainable_variables[-1].assign([np.nan])
    loop.run(3)
    loop.history()
    with pytest.raises(
        NonFiniteUpdatesError,
        match=r"^generator: 3 .*batches 2 to 4, .*not finite \(discriminator/output/bias and 0 m",
    ):
        loop.recent()


@pytest.mark.slow
def test_a_skip_between_good_updates_of_a_batch_is_seen(make):
    loop = make(d_steps=3, d_train_interval=2)
    spoil_once(loop, "train_discriminator_adversarial", 1, lambda real: real + 1000, batch=4)
    loop.run(8)
    assert loop.describe()["skipped_updates"] == {"generator": 0, "discriminator": 1}
    assert loop.skipped_batches() == {"generator": [], "discriminator": [4]}


def spoil_once(loop, name, call, corrupt, batch):
    """Corrupts the first argument of call number `call` of a batch, after a number of generator updates."""
    genuine, updates = getattr(loop, name), itertools.count()

    def spoiled(first, *rest):
        number = next(updates)  # while tracing, so one for each place in the graph
        now = loop.networks.g_optimizer.iterations == batch
        return genuine(tf.where(now, corrupt(first), first) if number == call else first, *rest)

    setattr(loop, name, spoiled)


@pytest.mark.parametrize(
    ("corrupt", "compiled"),
    [
        ({"discriminator": lambda ids: -1 - ids, "generator": lambda ids: ids + 1000}, False),
        pytest.param(
            {"discriminator": lambda ids: ids + 1000, "generator": lambda ids: -1 - ids}, True, marks=pytest.mark.slow
        ),
    ],
    ids=["graph", "xla"],
)
def test_a_batch_with_invalid_tokens_is_skipped_entirely(make, lines, corrupt, compiled):
    loop = make(jit_compile=compiled, window=1, policy_gradient="second_pass", filter_widths=(2,))
    loop.generate_fake_samples = lambda *_: tf.constant(lines.tokens[:16])  # to trace less
    for batch, (network, change) in enumerate(corrupt.items(), start=3):
        spoil_once(loop, f"train_{network}_adversarial", 0, change, batch)
    loop.run(3)
    for network in corrupt:
        mine = [variable for variable in loop.variables if network in variable_name(variable)]
        mine = [variable for variable in mine if "skips" not in variable_name(variable)]
        before = [variable.numpy() for variable in mine]
        loop.run(1)
        for old, variable in zip(before, mine, strict=True):
            np.testing.assert_array_equal(old, variable.numpy(), err_msg=variable_name(variable))
    assert loop.skipped_batches() == {"discriminator": [3], "generator": [4]}


def test_updates_for_invalid_characters_are_skipped_too(make, lines):
    loop = make()
    where = tf.constant(lines.scene[:16])
    loop.train_generator_adversarial(tf.constant(lines.tokens[:16]), tf.fill([16], 99), where, temperature=1.0)
    loop.train_generator_adversarial(tf.constant(lines.tokens[:16]), where * 0, where - 9, temperature=1.0)
    assert loop.describe()["skipped_updates"] == {"generator": 2, "discriminator": 0}


@pytest.mark.slow
def test_each_protection_trains_the_same_while_nothing_goes_wrong(make):
    """Usual gradients are far below both limits."""
    loops = [make(protection=name) for name in PROTECTIONS]
    histories = []
    for loop in loops:
        loop.run(5)
        histories.append(np.stack(list(loop.history().values())))
    for history in histories[1:]:
        np.testing.assert_allclose(history, histories[0], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("protection", "finite"), [("none", False), ("clip", False), ("clip+zero", True), ("clip+skip", True)]
)
def test_protections_under_a_nan(make, protection, finite):
    with GradientInjection(Fault("nan", target="generator")) as injection:
        loop = make(protection=protection, window=1)
        loop.run(3)
        weights = loop.networks.generator.trainable_variables
        before = [weight.numpy() for weight in weights]
        injection.set(1.0)
        loop.run(1)
    assert all(np.all(np.isfinite(weight.numpy())) for weight in weights) == finite
    skipped = protection == "clip+skip"
    assert all(np.array_equal(old, weight.numpy()) for old, weight in zip(before, weights, strict=True)) == skipped
    assert loop.skipped_batches()["generator"] == [3] * skipped


def test_metrics_of_the_last_update_are_state_only_if_another_batch_reads_them(make):
    def names(loop):
        return [variable_name(variable) for variable in loop.variables]

    assert "last_discriminator_metrics:0" not in names(make())
    assert "last_discriminator_metrics:0" in names(make(d_train_interval=2))


def test_keeps_the_names_that_users_know(loop, tiny, lines):
    who, where = tf.constant(lines.character[:16]), tf.constant(lines.scene[:16])
    fake = loop.generate_fake_samples(who, where, tf.constant(1.0), tf.constant(0))
    assert fake.shape == (tiny.batch_size, tiny.sequence_length)
    d_loss, d_accuracy = loop.train_discriminator_adversarial(tf.constant(lines.tokens[:16]), fake)
    g_loss, g_reward = loop.train_generator_adversarial(fake, who, where, temperature=1.0)
    assert all(np.isfinite(value) for value in (d_loss, d_accuracy, g_loss, g_reward))


@pytest.mark.slow
def test_an_evaluation_changes_nothing(make):
    watched, alone = make(), make()
    for batches in (1, 7):
        watched.run(batches)
        found = watched.evaluate()
    alone.run(8)
    assert found == alone.evaluate()
    assert list(found) == ["oracle NLL (nats a token) ↓"]
    for one, other in zip(watched.variables, alone.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())

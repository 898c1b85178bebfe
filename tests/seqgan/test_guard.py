import functools
import math
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from loop_bench.seqgan.guard import (
    FLOOR,
    MEMORY,
    WARM_UP,
    GuardedUpdate,
    SkipRun,
    first_skip_run,
    skipped_rows,
    too_many_skips,
)

BAD = {
    "nan": [np.nan, 1.0, 1.0],
    "inf": [np.inf, 1.0, 1.0],
    "-inf": [1.0, 1.0, -np.inf],
    "squares overflow": [1e20, 1.0, 1.0],
}


def make(clip_norm=1.0, clip_ratio=math.inf):
    variables = [keras.Variable([1.0, 2.0, 3.0], name="a"), keras.Variable([[4.0]], name="b")]
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build(variables)
    return GuardedUpdate(optimizer, clip_norm, clip_ratio), optimizer, variables


def step(guard, variables, compiled):
    return tf.function(lambda a, b, allowed: guard.apply([a, b], variables, allowed), jit_compile=compiled)


class Guarded(NamedTuple):
    """A guard, its optimizer and variables, and its update as a graph."""

    guard: Any
    optimizer: Any
    variables: Any
    graph: Any

    def update(self, first, other, allowed=True):
        return self.graph(first, other, tf.constant(allowed))

    @property
    def state(self):
        return [*self.variables, *self.optimizer.variables, *self.guard.state]


@pytest.fixture(scope="module")
def guarded():
    """Returns a guard with given limits in its initial state; tests share its graphs, because tracing is slow."""

    @functools.cache
    def traced(clip_norm, clip_ratio, compiled):
        guard, optimizer, variables = make(clip_norm, clip_ratio)
        made = Guarded(guard, optimizer, variables, step(guard, variables, compiled))
        return made, [variable.numpy() for variable in made.state]

    def taken(clip_norm=1.0, clip_ratio=math.inf, compiled=False):
        made, first = traced(clip_norm, clip_ratio, compiled)
        for variable, value in zip(made.state, first, strict=True):
            variable.assign(value)
        return made

    return taken


@pytest.fixture(scope="module")
def plain():
    """Variables and the optimizer's own update of them, shared by all tests."""
    _, optimizer, variables = make()
    update = tf.function(lambda a, b: optimizer.apply([a, b], variables))
    state = [*variables, *optimizer.variables]
    first = [variable.numpy() for variable in state]

    def taken():
        for variable, value in zip(state, first, strict=True):
            variable.assign(value)
        return update, variables

    return taken


def feed(guarded, sizes):
    """Makes updates whose gradients have these norms; returns the running mean after each."""
    means = []
    for size in map(float, sizes):
        guarded.update(tf.constant([size, 0.0, 0.0]), tf.constant([[0.0]]))
        means.append(float(guarded.guard.mean_norm))
    return means


def bits(variables):
    return [np.asarray(variable.numpy()).tobytes() for variable in variables]


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("kind", BAD)
def test_skips_all_or_nothing_bit_for_bit(guarded, kind, compiled):
    one = guarded(compiled=compiled)
    guard, optimizer, variables, _ = one
    one.update(tf.constant([0.1, 0.2, 0.3]), tf.constant([[0.4]]))  # so that the slots are not zero
    state = [*variables, *optimizer.variables, guard.accepted, guard.mean_norm]
    before = bits(state)
    norm = one.update(tf.constant(BAD[kind]), tf.constant([[0.5]]))
    assert not np.isfinite(norm)
    assert bits(state) == before
    assert (int(guard.consecutive), int(guard.total)) == (1, 1)


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
def test_skips_finite_updates_that_are_not_allowed(guarded, compiled):
    one = guarded(compiled=compiled)
    guard, optimizer, variables, _ = one
    gradients = [tf.constant([0.1, 0.2, 0.3]), tf.constant([[0.4]])]
    one.update(*gradients)
    state = [*variables, *optimizer.variables, guard.accepted, guard.mean_norm]
    before = bits(state)
    one.update(*gradients, allowed=False)
    assert bits(state) == before
    assert (int(guard.consecutive), int(guard.total), int(optimizer.iterations)) == (1, 1, 1)


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_skips_while_the_learning_rate_is_not_finite(guarded, bad, compiled):
    one = guarded(compiled=compiled)
    guard, optimizer, variables, _ = one
    gradients = tf.constant([0.1, 0.2, 0.3]), tf.constant([[0.4]])
    one.update(*gradients)
    optimizer.learning_rate.assign(bad)
    state = [*variables, *optimizer.variables, guard.accepted, guard.mean_norm]
    before = bits(state)
    one.update(*gradients)
    assert bits(state) == before
    assert (int(guard.consecutive), int(guard.total)) == (1, 1)
    optimizer.learning_rate.assign(0.1)
    one.update(*gradients)
    assert bits(variables) != before[:2]
    assert np.all(np.isfinite(variables[0].numpy()))
    assert (int(guard.consecutive), int(guard.total)) == (0, 1)


@pytest.mark.parametrize(
    "optimizer",
    [keras.optimizers.Adam(0.1, amsgrad=True), keras.optimizers.AdamW(0.1), keras.optimizers.SGD(0.1, momentum=0.9)],
    ids=lambda optimizer: optimizer.name,
)
def test_whatever_the_optimizer_a_good_update_is_its_own_and_a_bad_one_moves_nothing(optimizer):
    good, bad = ([tf.constant(values), tf.constant([[0.4]])] for values in ([0.1, 0.2, 0.3], BAD["nan"]))
    found = []
    for guarded in (True, False):
        _, _, variables = make()
        own = type(optimizer).from_config(optimizer.get_config())
        own.build(variables)
        update = GuardedUpdate(own, 9.0).apply if guarded else own.apply
        for gradients in (good, bad, good) if guarded else (good, good):
            update(gradients, variables)
        found.append(bits([*variables, *own.variables]))
    assert found[0] == found[1]


def test_the_optimizer_is_left_as_it_was():
    guard, optimizer, variables = make()
    before = set(vars(optimizer))
    guard.apply([tf.constant([0.1, 0.2, 0.3]), tf.constant([[0.4]])], variables)
    assert set(vars(optimizer)) == before
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        guard.apply([tf.constant([0.1, 0.2]), tf.constant([[0.4]])], variables)
    assert set(vars(optimizer)) == before


def test_an_optimizer_that_averages_weights_is_refused():
    with pytest.raises(ValueError, match="use_ema"):
        GuardedUpdate(keras.optimizers.Adam(use_ema=True), 1.0)


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["graph", "xla"])
def test_skips_while_a_schedule_is_not_finite(compiled):
    class Ends(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return tf.where(tf.cast(step, tf.int32) < 2, 0.1, np.nan)

    _, _, variables = make()
    optimizer = keras.optimizers.Adam(Ends())
    optimizer.build(variables)
    guard = GuardedUpdate(optimizer, 1.0, 10.0)
    update = step(guard, variables, compiled)
    for _ in range(4):
        update(tf.constant([0.1, 0.2, 0.3]), tf.constant([[0.4]]), tf.constant(True))
    assert np.all(np.isfinite(variables[0].numpy()))
    assert (int(optimizer.iterations), int(guard.accepted), int(guard.total)) == (2, 2, 2)


def test_counters_walk_through_every_state(guarded):
    one = guarded()
    guard, optimizer, *_ = one
    good, bad, other = tf.constant([0.1, 0.1, 0.1]), tf.constant(BAD["nan"]), tf.constant([[0.1]])
    seen = []
    for gradient in (good, bad, bad, good, bad):
        one.update(gradient, other)
        seen.append((int(guard.consecutive), int(guard.total), int(guard.accepted)))
        assert int(guard.accepted) == int(optimizer.iterations)
    assert seen == [(0, 0, 1), (1, 1, 1), (2, 2, 1), (0, 2, 2), (1, 3, 2)]


def test_bad_in_one_variable_skips_all():
    guard, _, variables = make()
    before = bits(variables)
    guard.apply([tf.constant([0.1, 0.1, 0.1]), tf.constant([[np.nan]])], variables)
    assert bits(variables) == before


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=3, max_size=3), st.sampled_from([0.01, 1.0, 100.0]))
def test_clips_as_an_optimizer_fed_with_clipped_gradients(guarded, plain, gradient, clip_norm):
    """Few norms, because each needs a graph; what matters is the ratio of gradient and limit."""
    clipping, (update, variables) = guarded(clip_norm), plain()
    gradients = [tf.constant(gradient), tf.constant([[0.5]])]
    clipping.update(*gradients)
    clipped, _ = tf.clip_by_global_norm(gradients, clip_norm)
    update(*clipped)
    for one, other in zip(clipping.variables, variables, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-6)


def test_what_is_not_clipped_is_the_plain_update_bit_for_bit(guarded, plain):
    clipping, (update, variables) = guarded(clip_norm=3.7, clip_ratio=1.3), plain()
    for factor in [1.0] * WARM_UP + [1.1, 0.7, 1.2]:
        gradients = [factor * tf.constant([0.1, 0.2, 0.3]), factor * tf.constant([[0.4]])]
        clipping.update(*gradients)
        update(*gradients)
    assert bits(clipping.variables) == bits(variables)


def test_the_mean_takes_in_no_more_of_a_norm_than_twice_itself(guarded):
    one = guarded(clip_norm=5.0, clip_ratio=10.0)
    ordinary = feed(one, [0.1, 0.3] * 5)[-1]
    assert ordinary == pytest.approx(0.2, rel=1e-5)
    after = feed(one, [1e4, np.nan])
    assert after == pytest.approx([(10 * 0.2 + 2 * 0.2) / 11] * 2, rel=1e-5)


def test_the_mean_is_plain_at_first_and_then_forgets(guarded):
    one = guarded(clip_norm=5.0)
    sizes = np.random.default_rng(0).uniform(0.1, 0.3, 120)
    means = feed(one, sizes)
    assert means[:100] == pytest.approx((np.cumsum(sizes) / np.arange(1, 121))[:100], rel=1e-4)
    followed = MEMORY * np.array(means[99:-1]) + (1 - MEMORY) * sizes[100:]
    assert means[100:] == pytest.approx(followed, rel=1e-4)


@pytest.mark.parametrize("clip_ratio", [10.0, math.inf])
def test_in_the_warm_up_only_the_fixed_limit_counts(guarded, clip_ratio):
    one = guarded(5.0, clip_ratio)
    ordinary = feed(one, [0.01] * (WARM_UP - 1))[-1]
    assert ordinary == pytest.approx(0.01)
    assert feed(one, [1e4])[0] == pytest.approx((9 * 0.01 + 5.0) / 10)


def test_skipped_updates_do_not_count_in_the_warm_up(guarded):
    one = guarded(5.0, 10.0)
    feed(one, [0.01] * (WARM_UP - 1) + [np.nan] * 20)
    assert feed(one, [1e4])[0] == pytest.approx((9 * 0.01 + 5.0) / 10)


def test_after_the_warm_up_the_relative_limit_counts(guarded):
    one = guarded(5.0, 10.0)
    feed(one, [0.01] * WARM_UP)
    assert float(one.guard.limit()) == pytest.approx(10 * 0.01, rel=1e-5)


def test_the_fixed_limit_counts_where_it_is_the_lower_one(guarded):
    one = guarded(5.0, 10.0)
    feed(one, [1.0] * WARM_UP)
    assert float(one.guard.limit()) == 5.0


def test_a_first_norm_near_zero_does_not_limit_later_updates(guarded, plain):
    """Nothing is clipped, so that the weights equal those of the plain optimizer."""
    clipping, (update, variables) = guarded(5.0, 10.0), plain()
    for size in [1e-9] + [0.05] * 30:
        gradients = [tf.fill([3], size), tf.fill([1, 1], size)]
        clipping.update(*gradients)
        update(*gradients)
    assert bits(clipping.variables) == bits(variables)


@pytest.mark.parametrize("first", [0.0, 1e-9])
def test_the_limit_recovers_from_a_warm_up_near_zero(guarded, first):
    """The limit rises from the floor."""
    one = guarded(5.0, 10.0)
    means = feed(one, [first] * WARM_UP + [0.05] * 40)
    assert means[WARM_UP] == pytest.approx(FLOOR * 5.0 / 11, rel=1e-3)
    assert means[-1] > 0.05 / 10  # so that 0.05 is clipped no more


def test_norms_below_the_floor_are_never_clipped(guarded):
    one = guarded(5.0, 10.0)
    feed(one, [1e-6] * WARM_UP)
    assert float(one.guard.limit()) == pytest.approx(FLOOR * 5.0)


def test_without_a_ratio_only_the_fixed_limit_counts(guarded):
    one = guarded(5.0, math.inf)
    feed(one, [0.0] * 2 * WARM_UP + [1e4])
    assert float(one.guard.limit()) == 5.0
    assert np.all(np.isfinite(one.variables[0].numpy()))


def test_norms_that_rise_a_hundredfold_are_followed_in_232_updates(guarded):
    one = guarded(clip_norm=5.0, clip_ratio=10.0)
    feed(one, [0.01] * 100)
    means = feed(one, [1.0] * 234)
    assert [mean * 10.0 < 1.0 for mean in means].index(False) == pytest.approx(231, abs=1)


def test_a_spike_raises_the_mean_by_a_hundredth(guarded):
    one = guarded(clip_norm=5.0, clip_ratio=10.0)
    means = feed(one, [0.01] * 100 + [1e4] * 3)
    assert means[-3:] == pytest.approx([0.01 * 1.01**n for n in (1, 2, 3)], rel=1e-3)


def test_spikes_that_grow_do_not_take_the_limit_with_them(guarded):
    one = guarded(clip_norm=5.0, clip_ratio=10.0)
    feed(one, [0.01] * WARM_UP + [0.01 * 1000.0**n for n in range(1, 7)])
    assert float(one.guard.limit()) < 2 * 10 * 0.01


def test_a_spike_hardly_slows_the_updates_after_it(guarded):
    """With the fixed limit alone, a spike leaves Adam a second moment that all but stops it."""
    distances = {}
    for clip_ratio in (10.0, math.inf):
        one = guarded(5.0, clip_ratio)
        for size in [0.005] * 20 + [1e4] + [0.005] * 80:  # the last 20 are watched, when the momentum is spent
            one.update(tf.fill([3], size), tf.fill([1, 1], size))
        start = one.variables[0].numpy()
        for _ in range(20):
            one.update(tf.fill([3], 0.005), tf.fill([1, 1], 0.005))
        distances[clip_ratio] = np.abs(one.variables[0].numpy() - start).mean() / (20 * 0.1)
    assert distances[10.0] > 0.5
    assert distances[math.inf] < 0.1


def test_names_of_its_variables_begin_with_the_optimizers():
    optimizer = keras.optimizers.Adam(0.1, name="generator_adam")
    assert all(variable.name.startswith("generator_adam_") for variable in GuardedUpdate(optimizer, 1.0).state)


def test_norm_of_slices_is_that_of_their_sum():
    guard, _, (variable, other) = make(clip_norm=100.0)
    slices = tf.IndexedSlices(tf.constant([3.0, 3.0]), tf.constant([1, 1]), tf.constant([3]))
    assert float(guard.apply([slices, tf.constant([[0.0]])], [variable, other])) == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("total", "before", "rows"),
    [([0, 0, 0], 0, []), ([0, 1, 1, 3], 0, [1, 3]), ([7, 7, 8], 7, [2]), ([8, 8], 7, [0]), ([], 3, [])],
)
def test_rows_in_which_the_counter_rises(total, before, rows):
    assert skipped_rows(np.array(total, np.float32), before) == rows


@pytest.mark.parametrize(
    ("skips", "run"),
    [
        ("....", None),
        (".xx.xx.", None),
        (".xxx.", SkipRun(3, 1, 3)),
        ("x.xxxxx", SkipRun(3, 2, 4)),
        (".xx|..x|.xx|xxx", SkipRun(5, 2, 3)),  # several updates a batch: the run begins behind a good one
        ("xx|xx", SkipRun(4, 0, 1)),
        (".|x||x||x|.", SkipRun(3, 1, 5)),  # batches between in which the network is not trained
    ],
)
def test_the_run_that_reaches_the_limit(skips, run):
    """`x` is a skip and `.` a good update; `|` separates batches; without it, each update is a batch."""
    batches = skips.split("|") if "|" in skips else list(skips)
    consecutive, total, rows = 0, 0, []
    for batch in batches:
        for update in batch:
            consecutive, total = (consecutive + 1, total + 1) if update == "x" else (0, total)
        rows.append((consecutive, total))
    assert first_skip_run(*np.array(rows, np.float32).T, 3) == run


def test_a_run_that_began_before_the_rows():
    assert first_skip_run(np.array([5.0, 6.0]), np.array([9.0, 10.0]), 5) == SkipRun(5, 0, 0)


def test_the_error_says_whether_the_weights_are_finite():
    weights = [keras.Variable([1.0, 2.0], name=name) for name in "abc"]
    whole = str(too_many_skips("generator", 4, 3, 6, weights))
    assert whole.endswith("; they left the weights of the generator as they were, and all are finite")
    weights[1].assign([np.nan, 1.0])
    weights[2].assign([np.inf, 1.0])
    message = str(too_many_skips("generator", 4, 3, 6, weights))
    assert message.startswith("generator: 4 updates in a row were skipped, in batches 3 to 6, ")
    assert "weights are not finite (b and 1 more), which no skipped update has caused" in message
    assert "\n" not in message

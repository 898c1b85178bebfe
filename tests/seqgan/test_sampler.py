import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from loop_bench.seqgan import sampler

DRAWS = 20_000


@pytest.mark.parametrize("name", sampler.BY_NAME)
@pytest.mark.parametrize("size", [2, 7, 53, 200, 401])  # most of them prime
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_from_the_softmax(name, size, temperature):
    logits = np.random.default_rng(size).normal(size=size).astype(np.float32) / temperature
    tokens = sampler.BY_NAME[name](tf.tile(logits[None], [DRAWS, 1]), tf.constant([3, size])).numpy()
    expected = np.exp(logits.astype(float))
    expected *= DRAWS / expected.sum()
    assert stats.chisquare(np.bincount(tokens, minlength=size), expected).pvalue > 1e-3


@pytest.mark.parametrize("name", sampler.BY_NAME)
def test_never_draws_what_has_no_probability(name):
    logits = np.full((5000, 11), -1e9, np.float32)
    logits[:, [2, 9]] = 0.0
    assert set(sampler.BY_NAME[name](tf.constant(logits), tf.constant([0, 1])).numpy()) == {2, 9}


@pytest.mark.parametrize("uniform", [2.0**-24, 1 - 2.0**-24])
@pytest.mark.parametrize("size", [2, 53, 5000])
def test_inverse_cdf_holds_at_both_ends(monkeypatch, uniform, size):
    monkeypatch.setattr(sampler, "uniforms", lambda shape, _: tf.fill(shape, uniform))
    logits = np.random.default_rng(0).normal(size=(1, size)).astype(np.float32)
    logits[0, [0, -1]] = -1e9  # the ends themselves have no probability
    logits[0, size // 2] = 0.0
    (token,) = sampler.inverse_cdf(tf.constant(logits), tf.constant([0, 0])).numpy()
    assert 0 < token < size - 1 or size == 2


@pytest.mark.parametrize("target", [-1e-7, 0.0, 1.9999999, 2.0, 2.5])
def test_rounding_at_the_ends_never_chooses_a_position_of_weight_zero(target):
    cumulative = tf.constant([[0.0, 1.0, 2.0, 2.0]])  # the first and the last weigh nothing
    (position,) = sampler._first_above(cumulative, tf.constant([target])).numpy()
    assert position == (1 if target < 1 else 2)


def test_inverse_cdf_draws_the_same_with_xla():
    logits = tf.constant(np.random.default_rng(1).normal(size=(500, 211)).astype(np.float32))
    seed = tf.constant([5, 6])
    plain = tf.function(sampler.inverse_cdf)(logits, seed).numpy()
    compiled = tf.function(sampler.inverse_cdf, jit_compile=True)(logits, seed).numpy()
    # A draw may differ where a sum is rounded otherwise and the uniform falls between the two.
    assert np.mean(plain == compiled) >= 0.998


def test_same_numbers_with_and_without_xla():
    def draw(seed):
        return sampler.uniforms((1000,), seed)

    seed = tf.constant([7, 9])
    plain = tf.function(draw)(seed).numpy()
    compiled = tf.function(draw, jit_compile=True)(seed).numpy()
    np.testing.assert_array_equal(plain, compiled)


def test_uniform():
    numbers = sampler.uniforms((100_000,), tf.constant([1, 2])).numpy()
    counts, _ = np.histogram(numbers, bins=20, range=(0, 1))
    # Chi-square with 19 degrees of freedom: 43.8 is exceeded once in a thousand; the seed is fixed.
    assert ((counts - 5000) ** 2 / 5000).sum() < 43.8


@pytest.mark.parametrize("bits", [0, 2**32 - 1])
def test_never_zero_and_never_one(monkeypatch, bits):
    monkeypatch.setattr(
        tf.random, "stateless_uniform", lambda shape, *_, **__: tf.fill(shape, tf.constant(bits, tf.uint32))
    )
    (number,) = sampler.uniforms((1,), tf.constant([0, 0])).numpy()
    assert 0.0 < number < 1.0


def test_draws_have_seeds_of_their_own():
    seeds = {tuple(sampler.draw_seed(seed, tf.constant(draw)).numpy()) for seed in range(3) for draw in range(5)}
    assert len(seeds) == 15


@pytest.mark.parametrize("batches", [1, 3])
@pytest.mark.parametrize("compiled", [False, True])
def test_replicas_draw_together_what_one_draws(batches, compiled):
    lines, count = 4, 2
    logits = np.random.default_rng(2).normal(size=(batches, count, lines, 53)).astype(np.float32)
    seed = tf.constant([5, 6])
    whole = sampler.inverse_cdf(tf.reshape(logits, [-1, 53]), seed).numpy().reshape(batches, count, lines)
    for index in range(count):
        draw = tf.function(sampler.for_rows("inverse_cdf", index, count, lines), jit_compile=compiled)
        found = draw(tf.reshape(logits[:, index], [-1, 53]), seed).numpy().reshape(batches, lines)
        np.testing.assert_array_equal(found, whole[:, index])


def test_replicas_have_other_numbers_if_each_token_needs_one():
    logits, seed = tf.zeros([500, 53]), tf.constant([5, 6])
    found = [sampler.for_rows("categorical", index, 3, 500)(logits, seed).numpy() for index in range(3)]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.mean(found[one] == found[other]) < 0.1
    np.testing.assert_array_equal(found[1], sampler.for_rows("categorical", 1, 3, 500)(logits, seed))

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from loop_bench.seqgan import rollout, sampler
from loop_bench.seqgan.networks import Networks
from loop_bench.seqgan.rollout import Rollouts
from loop_bench.seqgan.vocabulary import END, PAD, Sizes

BATCH = 4
WHO, WHERE = tf.constant([0, 1, 2, 0]), tf.constant([0, 1, 2, 3])
TEMPERATURE = tf.constant(0.8)


def networks(config, ends):
    made = Networks(config, Sizes(config.vocabulary_size, 3, 4, ends))
    random = np.random.default_rng(0)
    for variable in made.weights:  # far from what they start with, so that rewards and distributions differ
        variable.assign(variable + 0.4 * random.normal(size=variable.shape))
    bias = made.generator.output_layer.bias
    bias.assign(bias + 1.0 * np.eye(config.vocabulary_size)[END])  # so that a few completions end early
    return made


@pytest.fixture(scope="module")
def make(tiny):
    def made(length=7, ends=False, count=2):
        config = dataclasses.replace(
            tiny, batch_size=BATCH, sequence_length=length, vocabulary_size=23, rollouts=count, filter_widths=(2,)
        )
        return config, networks(config, ends)

    return made


def written(config, ends):
    """Lines that end at once, in the middle, and never."""
    tokens = np.random.default_rng(1).integers(3, 23, (BATCH, config.sequence_length)).astype(np.int32)
    if ends:
        for line, end in ((0, 0), (1, config.sequence_length // 2)):
            tokens[line, end], tokens[line, end + 1 :] = END, PAD
    return tf.constant(tokens)


def plain(config, made, tokens, choose, count):
    """Slow reference: completes each prefix of each rollout token by token, reading it from its start each time."""
    read, judge = tf.function(made.generator), tf.function(made.discriminator)
    rewards = np.empty((count, BATCH, config.sequence_length))
    for number in range(count):
        for prefix in range(1, config.sequence_length + 1):
            line = tokens.numpy().copy()
            for time in range(prefix, config.sequence_length):
                logits = read(tf.constant(line), WHO, WHERE)[:, time] / TEMPERATURE
                ended = np.any(line[:, :time] == END, axis=1) & made.generator.sizes.ends
                line[:, time] = np.where(ended, PAD, choose(logits))
            rewards[number, :, prefix - 1] = judge(tf.constant(line))
    return rewards


def folded(config, made, tokens, draw_token, compiled=False):
    rewards = tf.function(Rollouts(made.generator, made.discriminator, draw_token, config, compiled))
    return rewards(tokens, WHO, WHERE, TEMPERATURE, tf.constant(1), tf.constant(0)).numpy()


def most_likely(logits, seed=None):
    return tf.argmax(logits, axis=-1, output_type=tf.int32)


@pytest.mark.parametrize(
    ("length", "ends"),
    [
        (2, True),  # both prefixes of the only pair are the same
        pytest.param(2, False, marks=pytest.mark.slow),
        pytest.param(3, True, marks=pytest.mark.slow),
        pytest.param(3, False, marks=pytest.mark.slow),
        (6, True),
        pytest.param(6, False, marks=pytest.mark.slow),
        (7, True),
        (7, False),
    ],
)
def test_every_prefix_is_completed_by_the_generator_and_judged_by_the_discriminator(make, length, ends):
    config, made = make(length, ends)
    tokens = written(config, ends)
    expected = plain(config, made, tokens, most_likely, count=1)[0]
    np.testing.assert_allclose(folded(config, made, tokens, most_likely), expected, rtol=1e-4)
    assert np.ptp(expected) > 0.05


@pytest.fixture(scope="module")
def four(make):
    """Networks with four rollouts, lines without END, and their rewards."""
    config, made = make(count=4)
    tokens = written(config, ends=False)
    return config, made, tokens, plain(config, made, tokens, most_likely, count=1)[0]


@pytest.mark.parametrize(
    ("budget", "compiled"),
    [
        (1, False),
        pytest.param(1, True, marks=pytest.mark.slow),
        (4 * BATCH * 23 * 3, False),
        (2**30, False),
    ],
    ids=["one pair", "one pair with xla", "three pairs", "all at once"],
)
def test_however_many_are_completed_at_a_time(four, monkeypatch, budget, compiled):
    config, made, tokens, expected = four
    monkeypatch.setattr(rollout, "CPU_BYTES", budget)
    np.testing.assert_allclose(folded(config, made, tokens, most_likely, compiled), expected, rtol=1e-4)


@pytest.mark.slow
def test_rewards_are_those_of_the_plain_implementation_on_average(make):
    config, made = make(length=5, count=400)
    tokens = written(config, ends=False)
    seeds = iter(range(1_000_000))
    drawn = plain(
        config, made, tokens, lambda logits: sampler.inverse_cdf(logits, tf.constant([9, next(seeds)])), count=150
    )
    mean, error = drawn.mean(axis=0), drawn.std(axis=0) * np.sqrt(1 / 150 + 1 / 400)
    found = folded(config, made, tokens, sampler.inverse_cdf)
    assert np.all(np.abs(found - mean) < 4 * error + 1e-6)
    assert np.max(error) > 0


@pytest.mark.parametrize(("budget", "parts"), [(1, 9), (2**30, 1)], ids=["one pair at a time", "all at once"])
def test_every_draw_of_a_step_has_numbers_of_its_own(make, monkeypatch, budget, parts):
    """The draws are few, because each is for all rows of a part."""
    monkeypatch.setattr(rollout, "CPU_BYTES", budget)
    seeds = []

    def spy(logits, seed):
        tf.numpy_function(lambda numbers: seeds.append(tuple(numbers)), [seed], [])
        return most_likely(logits)

    config, made = make(length=6, count=3)  # three pairs of prefixes in each rollout
    rewards = tf.function(Rollouts(made.generator, made.discriminator, spy, config, compiled=False))
    for draw in (0, 1):
        rewards(written(config, ends=False), WHO, WHERE, TEMPERATURE, tf.constant(1), tf.constant(draw))
    assert len(set(seeds)) == len(seeds) == 2 * parts * config.sequence_length
    assert {first for first, _ in seeds} == {1 + rollout.SEED}

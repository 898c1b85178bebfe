import functools

import numpy as np
import pytest
import tensorflow as tf

from loop_bench.seqgan import sampler
from loop_bench.seqgan.generator import START, Generator
from loop_bench.seqgan.vocabulary import END, PAD, Sizes

B = 6


@pytest.fixture(scope="module", params=[False, True], ids=["full lines", "lines that end"])
def generator(request, tiny):
    return Generator(tiny, Sizes(50, 3, 4, ends=request.param), seed=1)


@pytest.fixture(scope="module")
def conditions():
    return tf.constant([0, 1, 2, 0, 1, 2]), tf.constant([3, 2, 1, 0, 3, 2])


@pytest.fixture(scope="module")
def draw(conditions):
    """Lines [B, T] of a generator, by a graph that is traced once for all tests."""
    graph = functools.cache(lambda generator: tf.function(generator.sample))

    def drawn(generator, number, temperature=1.0, name="inverse_cdf"):
        arguments = sampler.BY_NAME[name], *conditions, tf.constant(temperature), 0, tf.constant(number)
        return graph(generator)(*arguments).numpy()

    return drawn


def test_names_tell_the_network(generator):
    assert all(weight.path.startswith("generator/") for weight in generator.trainable_variables)


def test_teacher_forcing_is_the_same_as_stepping(generator, conditions, draw):
    tokens = draw(generator, 0)
    forced = generator(tf.constant(tokens), *conditions).numpy()  # [B, T, V]
    condition, state = generator.condition(*conditions), generator.initial_state(B)
    token = tf.fill([B], START)
    for time in range(generator.length):
        hidden, state = generator.advance(token, condition, state)
        logits = generator.logits(hidden)
        np.testing.assert_allclose(logits, forced[:, time], rtol=1e-5, atol=1e-6)
        token = tf.constant(tokens[:, time])


def test_same_draw_same_lines(generator, draw):
    first = draw(generator, 4)
    np.testing.assert_array_equal(first, draw(generator, 4))
    assert not np.array_equal(first, draw(generator, 5))


def test_character_and_scene_matter(generator, conditions, draw):
    tokens = tf.constant(draw(generator, 0))
    character, scene = conditions
    logits = generator(tokens, character, scene).numpy()
    assert not np.allclose(logits, generator(tokens, (character + 1) % 3, scene))
    assert not np.allclose(logits, generator(tokens, character, (scene + 1) % 4))


def test_low_temperature_draws_the_likeliest(generator, conditions, draw):
    tokens = draw(generator, 0, temperature=1e-6)
    likeliest = np.argmax(generator(tf.constant(tokens), *conditions), axis=-1)
    alive = (
        np.cumsum(tokens == END, axis=1) - (tokens == END) == 0 if generator.sizes.ends else np.ones_like(tokens, bool)
    )
    np.testing.assert_array_equal(tokens[alive], likeliest[alive])


@pytest.mark.parametrize("name", sampler.BY_NAME)
def test_padding_only_behind_the_end(tiny, draw, name):
    generator = Generator(tiny, Sizes(5, 3, 4, ends=True), seed=1)  # few words, so that most lines end
    lines = np.concatenate([draw(generator, number, name=name) for number in range(5)])
    for line in lines.tolist():
        end = line.index(END) if END in line else len(line)
        assert PAD not in line[:end]
        assert set(line[end + 1 :]) <= {PAD}
    assert np.any(lines == END)

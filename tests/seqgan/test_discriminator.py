import numpy as np
import tensorflow as tf

from seqgan.discriminator import Discriminator
from seqgan.vocabulary import Sizes


def make(tiny, seed=1):
    return Discriminator(tiny, Sizes(50, 3, 4, ends=False), seed)


def test_gives_a_probability_a_line(tiny):
    tokens = tf.random.stateless_uniform([7, tiny.sequence_length], [0, 1], 0, 50, tf.int32)
    probabilities = make(tiny)(tokens).numpy()
    assert probabilities.shape == (7,)
    assert np.all((probabilities > 0) & (probabilities < 1))


def test_names_tell_the_network(tiny):
    assert all(weight.path.startswith("discriminator/") for weight in make(tiny).trainable_variables)


def test_looks_for_ngrams_wherever_they_are(tiny):
    network, length = make(tiny), tiny.sequence_length
    line = np.zeros((2, length), np.int32)
    line[0, 2:4] = line[1, 5:7] = [7, 9]  # the same pair in two places, the same words around it
    first, second = network(tf.constant(line)).numpy()
    np.testing.assert_allclose(first, second, rtol=1e-5)


def test_weights_come_from_the_seed(tiny):
    tokens = tf.ones([1, tiny.sequence_length], tf.int32)
    assert make(tiny, 1)(tokens) == make(tiny, 1)(tokens)
    assert make(tiny, 1)(tokens) != make(tiny, 2)(tokens)

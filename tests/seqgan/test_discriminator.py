import numpy as np
import pytest
import tensorflow as tf

from loop_bench.seqgan.discriminator import Discriminator, OneProduct
from loop_bench.seqgan.vocabulary import Sizes


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


def test_is_the_network_of_the_paper_to_the_last_bit(tiny):
    """Kim (2014), equations 2 and 3: the rectifier at each place, and then the largest."""
    network = make(tiny)
    for convolution in network.convolutions:  # so that some filters find nothing anywhere
        convolution.bias.assign(np.linspace(-0.1, 0.01, convolution.filters))
    tokens = tf.random.stateless_uniform([7, tiny.sequence_length], [0, 1], 0, 50, tf.int32)

    def literally(tokens):
        embedded = network.embedding(tokens)
        features = [tf.reduce_max(tf.nn.relu(each(embedded)), axis=1) for each in network.convolutions]
        assert 0 < np.mean(np.concatenate(features) == 0) < 1
        return network.output_layer(tf.concat(features, axis=-1))[:, 0]

    found = [value_and_gradients(judge, network, tokens) for judge in (network, literally)]
    one, other = ([np.asarray(each).tobytes() for each in values] for values in found)
    assert one == other


def value_and_gradients(judge, network, tokens):
    with tf.GradientTape() as tape:
        probabilities = judge(tokens)
    gradients = tape.gradient(probabilities, network.trainable_variables)
    return [probabilities, *(tf.convert_to_tensor(each) for each in gradients)]


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_one_product_is_the_same_network_up_to_rounding(tiny, compiled):
    network = make(tiny)
    for convolution in network.convolutions:
        convolution.bias.assign(np.linspace(-0.1, 0.1, convolution.filters))
    tokens = tf.random.stateless_uniform([7, tiny.sequence_length], [0, 1], 0, 50, tf.int32)
    tokens = tf.concat([tokens, tf.fill([1, tiny.sequence_length], 5)], axis=0)  # all n-grams of the last are equal
    found = tf.function(value_and_gradients, jit_compile=compiled)(OneProduct(network), network, tokens)
    for one, other in zip(found, value_and_gradients(network, network, tokens), strict=True):
        assert float(tf.norm(other)) > 0
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)

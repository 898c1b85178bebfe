import dataclasses

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from seqgan import dataset
from seqgan.checkpoint import Checkpoint, variable_name
from seqgan.errors import InputError
from seqgan.networks import Discriminator, Networks, write_lines
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

    found = []
    for judge in (network, literally):
        with tf.GradientTape() as tape:
            probabilities = judge(tokens)
        gradients = tape.gradient(probabilities, network.trainable_variables)
        found.append([np.asarray(tf.convert_to_tensor(each)).tobytes() for each in (probabilities, *gradients)])
    assert found[0] == found[1]


@pytest.fixture(scope="module")
def checkpoint(tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("script") / "s.csv"
    path.write_text("character,scene,text\n" + "".join(f"A,{n % 2},one two three {n}\n" for n in range(20)))
    config = dataclasses.replace(tiny, vocabulary_size=8)  # most words are unknown
    data = dataset.load(config, path)
    state = {variable_name(v): v.numpy() for v in Networks(config, data.sizes).variables}
    return Checkpoint(config, data.vocabulary, "optimized", str(path), "mle", 0, pd.DataFrame(), state)


@pytest.fixture(scope="module")
def written(checkpoint):
    return write_lines(checkpoint, "A", "1", 20, 1.0, seed=0)


def test_lines_of_known_words(checkpoint, written):
    assert len(written) == 20
    assert {word for line in written for word in line.split()} <= set(checkpoint.vocabulary.words[3:])


def test_same_seed_same_lines(checkpoint, written):
    assert written == write_lines(checkpoint, "A", "1", 20, 1.0, seed=0)
    assert written != write_lines(checkpoint, "A", "1", 20, 1.0, seed=1)


def test_unknown_names(checkpoint):
    with pytest.raises(InputError, match="character 'B' is unknown"):
        write_lines(checkpoint, "B", "1", 5, 1.0, seed=0)
    with pytest.raises(InputError, match="scene '7' is unknown"):
        write_lines(checkpoint, "A", "7", 5, 1.0, seed=0)

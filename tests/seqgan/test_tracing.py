import keras
import pytest
import tensorflow as tf

from seqgan import dataset
from seqgan.config import Config
from seqgan.networks import Networks
from seqgan.tracing import _STEP, begin_numbering


def number():
    """That of a graph which is traced now."""
    graph = tf.function(lambda: tf.constant(0), autograph=False).get_concrete_function()
    return int(graph.name.rsplit(b"_", 1)[1])


@pytest.mark.parametrize("before", [0, 1, 700])
def test_numbers_begin_alike_whatever_was_before(before):
    for value in range(before):
        keras.ops.convert_to_tensor([value], "float32")
    begin_numbering()
    first = number() % _STEP
    begin_numbering()
    assert number() % _STEP == first < 10


def test_graphs_are_named_alike_from_all_seeds():
    found = set()
    for seed in range(6):  # whose initializers make different numbers of tensors
        config = Config.preset("tiny", seed=seed)
        Networks(config, dataset.load(config).sizes)
        found.add(number() % _STEP)
    assert len(found) == 1

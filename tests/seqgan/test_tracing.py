import keras
import pytest

from loop_bench.seqgan import dataset
from loop_bench.seqgan.config import Config
from loop_bench.seqgan.networks import Networks
from loop_bench.seqgan.tracing import _STEP, _number, begin_numbering


@pytest.mark.parametrize("before", [0, 1, 700])
def test_numbers_begin_alike_whatever_was_before(before):
    for value in range(before):
        keras.ops.convert_to_tensor([value], "float32")
    begin_numbering()
    first = _number() % _STEP
    begin_numbering()
    assert _number() % _STEP == first < 10


def test_graphs_are_named_alike_from_all_seeds():
    found = set()
    for seed in range(6):  # whose initializers make different numbers of tensors
        config = Config.preset("tiny", seed=seed)
        Networks(config, dataset.load(config).sizes)
        found.add(_number() % _STEP)
    assert len(found) == 1

import numpy as np
import pytest

from loop_bench.examples import keras_fit
from loop_bench.experiments.syncs.counting import count_host_syncs
from loop_bench.loop import LoopSpec, build


@pytest.fixture(scope="module")
def loops():
    made = {name: build(name, getattr(keras_fit, name), LoopSpec("any")) for name in ("reading", "keeping")}
    for loop in made.values():
        loop.run(4)
    return made


def test_both_train_alike(loops):
    losses = [loop.history()["loss"] for loop in loops.values()]
    assert [len(each) for each in losses] == [4, 4]
    assert np.all(np.isfinite(losses[0]))
    np.testing.assert_array_equal(*losses)


def test_the_callback_is_what_reads(loops):
    reads = {name: count_host_syncs(loop, 40).reads_per_batch for name, loop in loops.items()}
    assert reads["reading"] >= 1
    assert reads["keeping"] < 1

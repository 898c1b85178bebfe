import numpy as np
import pytest

from loop_bench.examples import images
from loop_bench.experiments.syncs.counting import count_host_syncs
from loop_bench.loop import LoopSpec, build


@pytest.fixture(scope="module")
def loops():
    made = {name: build(name, getattr(images, name), LoopSpec("any")) for name in ("on_host", "on_device")}
    for loop in made.values():
        loop.run(70)  # more than once through the images
    return made


def test_both_train_alike(loops):
    losses = [loop.history()["loss"] for loop in loops.values()]
    assert [len(each) for each in losses] == [70, 70]
    np.testing.assert_allclose(*losses, rtol=1e-2)
    assert losses[0][-5:].mean() < losses[0][:5].mean()


def test_before_reads_in_each_batch_and_after_only_for_the_history(loops):
    found = {name: count_host_syncs(loop, 10) for name, loop in loops.items()}
    assert found["on_host"].reads_per_batch >= 1
    assert found["on_device"].reads_per_batch < 0.5
    assert all(site.file.endswith("examples/images.py") for each in found.values() for site in each.sites)

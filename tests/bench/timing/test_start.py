import toys

from bench.loop import LoopSpec
from bench.timing.clock import start


def test_the_first_batch_is_trained_and_timed():
    loop, took = start("toys:plain", toys.plain, LoopSpec("tiny"))
    assert len(loop.history()["loss"]) == 1
    assert took.build_seconds > 0
    assert took.first_batch_seconds > 0
    again = start("toys:plain", toys.plain, LoopSpec("tiny"))[0]
    assert again is not loop

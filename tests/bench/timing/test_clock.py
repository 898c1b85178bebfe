import time

import pytest
import tensorflow as tf
import toys

from loop_bench.failure import LoopError
from loop_bench.loop import LoopSpec
from loop_bench.timing import clock
from loop_bench.timing.clock import start


def test_clock_is_read_only_behind_a_fence(monkeypatch):
    events = []
    monkeypatch.setattr(clock, "fence", lambda: events.append("fence"))
    monkeypatch.setattr(time, "perf_counter", lambda: events.append("read") or float(len(events)))

    class Loop:
        def run(self, batches):
            events.append(f"run {batches}")

    assert clock.seconds_for(Loop(), 7) > 0
    assert events == ["fence", "read", "run 7", "fence", "read"]


def test_an_error_at_the_fence_names_the_loop(monkeypatch):
    fences = iter([None, OSError("refused")])

    def fence():
        if error := next(fences):
            raise error

    monkeypatch.setattr(clock, "fence", fence)
    with pytest.raises(LoopError, match=r"^Quadratic: run\(\) failed with OSError: refused"):
        clock.seconds_for(toys.Quadratic(), 1)


def test_loops_are_built_before_tensorflow_is_warmed_up(monkeypatch):
    events = []
    monkeypatch.setattr(tf, "function", lambda step, **how: lambda x: events.append("step") or tf.constant(0))
    clock.warm_up(lambda: events.append("before"), lambda: events.append("after"))
    assert events == ["before", "after", "step", "step"]


def test_the_first_batch_is_trained_and_timed():
    loop, took = start("toys:plain", toys.plain, LoopSpec("tiny"))
    assert len(loop.history()["loss"]) == 1
    assert took.build_seconds > 0
    assert took.first_batch_seconds > 0
    again = start("toys:plain", toys.plain, LoopSpec("tiny"))[0]
    assert again is not loop

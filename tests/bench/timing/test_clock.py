import time

import toys

from bench.loop import LoopSpec
from bench.timing import clock
from bench.timing.clock import start


def test_clock_is_read_only_behind_a_fence(monkeypatch):
    events = []
    monkeypatch.setattr(clock, "fence", lambda: events.append("fence"))
    monkeypatch.setattr(time, "perf_counter", lambda: events.append("read") or float(len(events)))

    class Loop:
        def run(self, batches):
            events.append(f"run {batches}")

    assert clock.seconds_for(Loop(), 7) > 0
    assert events == ["fence", "read", "run 7", "fence", "read"]


def test_the_first_batch_is_trained_and_timed():
    loop, took = start("toys:plain", toys.plain, LoopSpec("tiny"))
    assert len(loop.history()["loss"]) == 1
    assert took.build_seconds > 0
    assert took.first_batch_seconds > 0
    again = start("toys:plain", toys.plain, LoopSpec("tiny"))[0]
    assert again is not loop

import time

from bench.timing import clock


def test_clock_is_read_only_behind_a_fence(monkeypatch):
    events = []
    monkeypatch.setattr(clock, "fence", lambda: events.append("fence"))
    monkeypatch.setattr(time, "perf_counter", lambda: events.append("read") or float(len(events)))

    class Loop:
        def run(self, batches):
            events.append(f"run {batches}")

    assert clock.seconds_for(Loop(), 7) > 0
    assert events == ["fence", "read", "run 7", "fence", "read"]

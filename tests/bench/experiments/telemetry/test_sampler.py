import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.experiments.telemetry import sampler
from bench.experiments.telemetry.record import Sample

ROOT = Path(__file__).parents[4]


def begin(pid, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "bench.experiments.telemetry.sampler", str(pid), "0.01"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, **options,
    )  # fmt: skip


def test_a_real_one_samples_until_its_input_ends():
    with begin(os.getpid()) as process:
        found = [Sample.model_validate_json(process.stdout.readline()) for _ in range(5)]
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, b"")
    times = [each.at for each in found]
    assert times == sorted({*times})
    assert all(each.cpu_seconds > 0 and each.resident_bytes > 0 for each in found)


def test_it_ends_with_the_process_that_it_looks_at():
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as watched, begin(watched.pid) as process:
        assert process.stdout.readline()
        watched.communicate()
        assert process.wait(10) == 0


def test_it_imports_neither_tensorflow_nor_what_records_need():
    script = "import sys, bench.experiments.telemetry.sampler as _\n"
    script += "assert not {'tensorflow', 'numpy', 'pydantic'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still but for waiting, each time as long as asked for and as `late` says; waits are kept."""

    class Clock:
        now, late, waits, input_ends = 100.0, 0.0, (), False

        def select(self, readers, writers, others, timeout):
            self.waits = (*self.waits, timeout)
            self.now += timeout + self.late
            return ([0] if self.input_ends else []), [], []

    made = Clock()
    monkeypatch.setattr(sampler.time, "monotonic", lambda: made.now)
    monkeypatch.setattr(sampler.select, "select", made.select)
    monkeypatch.setattr(sampler.os, "read", lambda file, count: b"")
    return made


def take(count, clock):
    comes = sampler.moments(1.0, os.getppid())
    return [(next(comes), clock.now)[1] for _ in range(count)]


def test_the_first_comes_at_once_and_the_others_in_time(clock):
    assert take(4, clock) == [100.0, 101.0, 102.0, 103.0]


def test_lateness_does_not_add_up(clock):
    clock.late = 0.25
    assert take(4, clock) == [100.0, 101.25, 102.25, 103.25]
    assert clock.waits == (1.0, 0.75, 0.75)


def test_what_was_missed_is_left_out(clock):
    clock.late = 2.5
    assert take(3, clock) == [100.0, 103.5, 106.5]


def test_none_come_when_input_has_ended_or_the_parent_has_gone(clock):
    clock.input_ends = True
    assert len([*sampler.moments(1.0, os.getppid())]) == 1
    assert [*sampler.moments(1.0, os.getppid() + 1)] == []

import io
import subprocess
import sys
import time

import pytest

from loop_bench.experiments.telemetry.sampling import Sampler


def test_looks_on_from_the_first_moment_to_the_last():
    with Sampler(interval=0.01) as sampler:
        first = len(sampler.samples())
        while len(found := sampler.samples()) < first + 3:
            pass
        assert sampler.problem() == ""
    assert first >= 1
    assert [each.at for each in found] == sorted(each.at for each in found)
    assert found[-1].cpu_seconds > found[0].cpu_seconds  # it is this process that it looks at


def test_another_process_is_looked_at_and_not_this_one():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as idle:
        with Sampler(idle.pid, interval=0.01) as sampler:
            until = time.process_time() + 0.5
            while time.process_time() < until:
                pass
            found = sampler.samples()
        assert found[-1].cpu_seconds - found[0].cpu_seconds < 0.25
        with Sampler(idle.pid, interval=0.01) as sampler:
            idle.communicate(b"\n")
            while not (problem := sampler.problem()):
                pass
    assert problem.startswith("the sampler ended with code 0")


def test_it_leaves_no_process_behind_when_the_loop_fails():
    sampler = Sampler()
    with pytest.raises(RuntimeError), sampler:
        raise RuntimeError("out of something")
    assert sampler._process.returncode == 0


def test_why_one_could_not_begin():
    sampler = Sampler()
    sampler._command[-2] = "nobody"
    with sampler:
        assert sampler.samples() == ()
        assert sampler.problem().startswith("the sampler ended with code 1: ValueError: invalid literal for int()")
        assert not sampler.began_in_time


def test_one_that_says_nothing_is_no_sampler(monkeypatch):
    monkeypatch.setattr("loop_bench.experiments.telemetry.sampling._PATIENCE", 0.0)
    with Sampler(interval=60) as sampler:
        assert not sampler.began_in_time
        monkeypatch.setattr(sampler, "samples", lambda: ())
        assert sampler.problem() == "the sampler has taken no sample"
        monkeypatch.undo()


def test_one_that_does_not_end_is_ended():
    with Sampler() as sampler:
        pass
    ended, refused = [], []

    class Stuck:
        def communicate(self, timeout=None):
            if timeout and not refused:
                refused.append(timeout)
                raise subprocess.TimeoutExpired("sampler", timeout)

        def kill(self):
            ended.append(True)

    sampler._process = Stuck()
    sampler._lines, sampler._notes = io.BytesIO(), io.BytesIO()
    sampler.__exit__(None, None, None)
    assert ended


def test_half_a_line_is_no_sample_yet(tmp_path):
    sampler = Sampler()
    with (tmp_path / "samples").open("w+b") as sampler._lines:
        sampler._lines.write(b'{"at": 1.0}\n{"at": 2')
        sampler._lines.flush()
        assert [each.at for each in sampler.samples()] == [1.0]
        sampler._lines.write(b".0}\n")
        sampler._lines.flush()
        assert [each.at for each in sampler.samples()] == [1.0, 2.0]

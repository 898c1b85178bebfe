import subprocess
import sys

import pytest

import loop_bench


def test_the_public_face_starts_no_tensorflow():
    names = ", ".join(f"loop_bench.{name}" for name in loop_bench.__all__ if name not in ("hostsync", "loops"))
    names += ", loop_bench.hostsync, loop_bench.loops.from_step"
    script = f"import sys, loop_bench; {names}; assert 'tensorflow' not in sys.modules; loop_bench.hostsync.record"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_all_that_it_names_is_there():
    assert sorted(loop_bench.__all__) == loop_bench.__all__
    for name in loop_bench.__all__:
        assert getattr(loop_bench, name) is not None


def test_it_has_nothing_else():
    with pytest.raises(AttributeError, match="module 'loop_bench' has no attribute 'nothing'"):
        _ = loop_bench.nothing

import subprocess
import sys

import pytest

import bench


def test_the_public_face_starts_no_tensorflow():
    names = ", ".join(f"bench.{name}" for name in bench.__all__ if name != "hostsync")
    script = f"import sys, bench; {names}; assert 'tensorflow' not in sys.modules; bench.hostsync.record"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_all_that_it_names_is_there():
    assert sorted(bench.__all__) == bench.__all__
    for name in bench.__all__:
        assert getattr(bench, name) is not None


def test_it_has_nothing_else():
    with pytest.raises(AttributeError, match="module 'bench' has no attribute 'nothing'"):
        _ = bench.nothing

import subprocess
import sys

import pytest

TESTS = """
import pytest

@pytest.mark.max_host_syncs(1)
def test_within():
    import tensorflow as tf
    float(tf.constant(1.0))

@pytest.mark.max_host_syncs(1)
def test_over():
    import numpy as np, tensorflow as tf
    float(tf.constant(1.0))
    np.asarray(tf.constant([1.0, 2.0]))

@pytest.mark.max_host_syncs(reads=0)
def test_allowed():
    import tensorflow as tf
    from loop_bench import hostsync
    with hostsync.allow("it is meant"):
        float(tf.constant(1.0))

@pytest.fixture
def loss():
    import tensorflow as tf
    return float(tf.constant(1.0))

@pytest.mark.max_host_syncs(0)
def test_setup_does_not_count(loss):
    pass

@pytest.mark.max_host_syncs(0)
def test_fails_by_itself():
    import tensorflow as tf
    float(tf.constant(1.0))
    raise KeyError("its own")

@pytest.mark.max_host_syncs
def test_without_a_budget():
    pass

@pytest.mark.max_host_syncs(-1)
def test_with_a_wrong_budget():
    pass

@pytest.mark.max_host_syncs(n=1)
def test_with_a_wrong_word():
    pass

@pytest.fixture(scope="module")
def step():
    import tensorflow as tf
    return tf.function(lambda x, n: x * n)

@pytest.mark.max_retraces(0)
def test_first_trace(step):
    import tensorflow as tf
    step(tf.constant(1.0), 1)

@pytest.mark.max_retraces(0)
def test_of_another_test(step):
    import tensorflow as tf
    step(tf.constant(1.0), 2)

@pytest.mark.max_retraces(1)
def test_retraces(step):
    import tensorflow as tf
    for n in range(3, 6):
        step(tf.constant(1.0), n)

@pytest.mark.max_retraces
def test_retraces_without_a_budget():
    pass

def test_fixture(host_syncs):
    import tensorflow as tf
    float(tf.constant(1.0))
    assert [read.route for read in host_syncs.reads] == ["float"]
"""


@pytest.fixture(scope="module")
def done(python, tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "test_it.py").write_text(TESTS)
    # Reasons are cut to the terminal's width.
    return python("-m", "pytest", "-rA", "--strict-markers", "-p", "no:randomly", cwd=folder, COLUMNS="200").stdout


@pytest.mark.parametrize(
    "name",
    ["within", "allowed", "setup_does_not_count", "fixture", "first_trace", "of_another_test"],
)
def test_passes(done, name):
    assert f"PASSED test_it.py::test_{name}\n" in done


def test_other_tests_do_not_wait_for_tensorflow(tmp_path):
    (tmp_path / "test_it.py").write_text("import sys\ndef test(): assert 'tensorflow' not in sys.modules")
    subprocess.run([sys.executable, "-m", "pytest", "-q"], cwd=tmp_path, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("over", "Failed: 2 host syncs, but at most 1 is allowed"),
        ("fails_by_itself", "KeyError: 'its own'"),
        ("retraces", "Failed: 2 retraces, but at most 1 is allowed"),
        ("retraces_without_a_budget", "Failed: @pytest.mark.max_retraces(retraces): needs"),
        ("without_a_budget", "Failed: @pytest.mark.max_host_syncs(reads): needs"),
        ("with_a_wrong_word", "Failed: @pytest.mark.max_host_syncs(reads): needs"),
        ("with_a_wrong_budget", "Failed: @pytest.mark.max_host_syncs(reads): needs"),
    ],
)
def test_fails_with_its_reason(done, name, reason):
    assert f"FAILED test_it.py::test_{name} - {reason}" in done


def test_names_what_is_traced_again(done):
    assert "  2 × <lambda> at " in done
    assert "Python value of n: 2 → 3 → 4 → 5" in done


def test_names_the_lines(done):
    assert "  1 × asarray at " in done
    assert "test_it.py:13: np.asarray(tf.constant([1.0, 2.0]))" in done

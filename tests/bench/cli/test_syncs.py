import functools
import json
import os
import subprocess
import sys

import pytest


@pytest.fixture
def train(python, tmp_path):
    (tmp_path / "train.py").write_text(
        "import os, sys, tensorflow as tf\nprint('training', sys.argv[1:])\nfloat(tf.constant(1.0))\n"
        "os.write(1, b'not through Python')\nsys.exit(7)\n"
    )

    return functools.partial(python, "-m", "loop_bench", "syncs", cwd=tmp_path)


def test_syncs_runs_a_program_and_shows_its_reads(train):
    done = train("train.py", "--json", "-m", "x")
    assert done.returncode == 7
    assert "training ['--json', '-m', 'x']" in done.stdout  # what comes after the program is its own
    assert "train.py:3" in done.stdout
    assert "float(tf.constant(1.0))" in done.stdout
    assert "1 host sync in " in done.stdout


@pytest.mark.slow
def test_syncs_of_a_module_as_json(train):
    done = train("--json", "-m", "train", "--markdown", "x")
    assert done.returncode == 7
    found = json.loads(done.stdout)
    assert (found["program"], found["reads"], found["exit_code"]) == ("-m train --markdown x", 1, 7)
    assert "training ['--markdown', 'x']" in done.stderr
    assert "not through Python" in done.stderr


@pytest.mark.slow
def test_syncs_disallowed_as_markdown(train):
    done = train("--disallow", "--markdown", "train.py")
    assert done.returncode == 1
    assert "train.py:3: host sync: float" in done.stderr
    assert done.stdout.startswith("0 host syncs in ")
    assert "1 host sync refused" in done.stdout


@pytest.mark.slow
def test_syncs_speaks_in_any_locale(tmp_path):
    (tmp_path / "train.py").write_text("import tensorflow as tf\nfloat(tf.constant(1.0))\n")
    command = [sys.executable, "-m", "loop_bench", "syncs", "train.py"]
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, cwd=tmp_path, env=ascii_only, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "train.py:2" in done.stdout


def test_syncs_needs_a_program(train):
    done = train()
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: no program: name a script" in done.stderr

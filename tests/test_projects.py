"""Projects of users whose folders and modules are called as ours are in the clone: each keeps its own, and has ours.

Everything runs in processes of its own, which know what is installed and nothing of the clone.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import programs
import pytest

from loop_bench.experiments.run.record import Record

PACKAGES = ("bench", "baseline", "seqgan", "tests", "results")

LOOP = """
import numpy as np
import tensorflow as tf


class Loop:
    def __init__(self):
        self.weight = tf.Variable([1.0])
        self.losses = []

    def run(self, batches):
        for _ in range(batches):
            self.weight.assign_sub(0.1 * self.weight)
            self.losses.append(float(self.weight[0]))

    def history(self):
        return {"loss": np.array(self.losses)}

    @property
    def variables(self):
        return [self.weight]
"""

FILES = {
    "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["."]\naddopts = "--strict-markers"\n',
    "conftest.py": (
        "def pytest_addoption(parser):\n"
        "    for name in ('--preset', '--before', '--rounds', '--survival'):\n"
        "        parser.addoption(name, default='theirs')\n"
    ),
    "bench/speed.py": "def double(x):\n    return 2 * x\n",
    "bench/test_bench.py": (
        "import sys\n"
        "import bench.speed\n"
        "def test_runs_with_their_options(pytestconfig):\n"
        "    assert bench.speed.double(2) == 4\n"
        "    assert pytestconfig.getoption('preset') == 'given'\n"
        "    assert pytestconfig.getoption('survival') == 'theirs'\n"
        "    assert 'loop_bench.cli.session' not in sys.modules\n"
    ),
    "baseline/__init__.py": f"{LOOP}\n\ndef make_loop(spec):\n    return Loop()\n",
    "seqgan/__init__.py": f"{LOOP}\n\ndef make_loop(spec):\n    return Loop()\n",
    "results/table.py": "ROWS = ('theirs',)\n",
    "loops.py": "NAMES = ('theirs',)\n",
    "report.py": "TITLE = 'theirs'\n",
    "theirs.py": (
        "import importlib, pathlib\n"
        "FOLDER = pathlib.Path(__file__).parent\n"
        "NAMES = ('bench.speed', 'loops', 'report', 'results.table')\n"
        "MODULES = [importlib.import_module(name) for name in NAMES]\n"
        "assert all(FOLDER in pathlib.Path(module.__file__).parents for module in MODULES), MODULES\n"
        "import loop_bench\n"
        "assert FOLDER not in pathlib.Path(loop_bench.__file__).parents\n"
    ),
    "program.py": "import theirs\nprint('theirs')\n",
    "train.py": (
        "import theirs, bench.speed, tensorflow as tf\nprint('doubled:', bench.speed.double(float(tf.constant(1.0))))\n"
    ),
    "tests/test_imports.py": (
        "import pytest\n"
        "def test_modules_are_theirs():\n"
        "    import theirs\n"
        "@pytest.mark.max_host_syncs(0)\n"
        "@pytest.mark.skip(reason='the marker is known, and TensorFlow not needed')\n"
        "def test_marker(): ...\n"
    ),
    "checks/test_budgets.py": (
        "import pytest\n"
        "import bench.speed, tensorflow as tf\n"
        "from loop_bench import hostsync\n"
        "@pytest.mark.max_host_syncs(1)\n"
        "def test_within():\n"
        "    assert bench.speed.double(float(tf.constant(1.0))) == 2.0\n"
        "@pytest.mark.max_host_syncs(0)\n"
        "def test_over():\n"
        "    with hostsync.record() as log:\n"
        "        float(tf.constant(1.0))\n"
        "    assert len(log.reads) == 1\n"
    ),
}


@pytest.fixture(params=[False, True], ids=["folders", "packages"])
def project(request, tmp_path):
    """A project whose folders are regular packages, or namespace packages where possible."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    for name in PACKAGES if request.param else ():
        (tmp_path / name / "__init__.py").touch()
    return tmp_path


def installed(name):
    """Path of a command installed with this Python."""
    return shutil.which(name, path=str(Path(sys.executable).parent))


def run(folder, *command):
    return subprocess.run(command, cwd=folder, env=programs.alone(), capture_output=True, text=True, check=False)


def test_their_programs_and_tests_find_what_is_theirs(project):
    done = run(project, sys.executable, "program.py")
    assert (done.returncode, done.stdout) == (0, "theirs\n"), done.stderr
    for command in ([installed("pytest")], [sys.executable, "-m", "pytest"]):
        done = run(project, *command, "bench/", "tests/", "--preset", "given")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "2 passed, 1 skipped" in done.stdout


@pytest.mark.parametrize("project", [False], indirect=True, ids=["folders"])
def test_syncs_shows_the_reads_of_their_program(project):
    done = run(project, installed("loop-bench"), "syncs", "--json", "train.py")
    assert done.returncode == 0, done.stderr
    assert "doubled: 2.0" in done.stderr
    (site,) = json.loads(done.stdout)["sites"]
    assert (Path(site["file"]), site["reads"]) == (project / "train.py", 1)


@pytest.mark.parametrize("project", [True], indirect=True, ids=["packages"])
def test_syncs_and_the_markers_in_their_tests(project):
    done = run(project, sys.executable, "-m", "loop_bench", "syncs", "pytest", "checks/", "--preset", "given")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 1 passed" in done.stdout
    assert f"1 × float at {project}/checks/test_budgets.py:10: " in done.stdout
    assert "2 host syncs in " in done.stdout


@pytest.mark.parametrize("project", [True], indirect=True, ids=["packages"])
def test_a_run_names_their_loops(project):
    (project / "conftest.py").unlink()  # whose options are called as those of the run
    pair = ["--before", "baseline:make_loop", "--after", "seqgan:make_loop", "--preset", "any"]
    command = [installed("pytest"), "--pyargs", "loop_bench", "--benchmark-only", "-k", "syncs", *pair]
    done = run(project, *command, "--results", "mine")
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (project / "mine").glob("*.json")
    arms = Record.read(path).arms
    assert {arm: (found.factory, found.host_syncs.sites[0].file) for arm, found in arms.items()} == {
        "before": ("baseline:make_loop", "baseline/__init__.py"),
        "after": ("seqgan:make_loop", "seqgan/__init__.py"),
    }

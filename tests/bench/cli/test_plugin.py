import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from programs import alone

from loop_bench.cli.plugin import BENCH, asks_for_bench

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("names", "pyargs", "wanted"),
    [
        ([str(BENCH)], False, True),
        ([f"{BENCH}/test_speed.py::test_time_per_batch[before]"], False, True),
        (["loop_bench"], True, True),
        (["bench"], True, False),  # a package of theirs
        (["tests", "loop_bench.test_speed"], True, True),
        ([], False, False),
        (["tests"], False, False),
        (["bench"], False, False),  # a folder of that name which is not this one
        (["benchmarks"], True, False),
        ([str(BENCH.parent)], False, False),
        (["x" * 5000], False, False),
    ],
)
def test_registers_only_when_its_tests_are_named(tmp_path, names, pyargs, wanted):
    (tmp_path / "bench").mkdir()
    assert asks_for_bench(names, pyargs, tmp_path) == wanted


def test_no_name_means_the_current_folder():
    assert asks_for_bench([], False, BENCH)
    assert not asks_for_bench([], False, BENCH.parent)
    assert asks_for_bench([BENCH.name], False, BENCH.parent)


@pytest.fixture
def project(tmp_path):
    """Someone's project: options of its own by the same names, and a test."""
    (tmp_path / "conftest.py").write_text(
        "import sys\n"
        "def pytest_addoption(parser):\n"
        "    for name in ('--seed', '--before', '--rounds', '--preset', '--reference'):\n"
        "        parser.addoption(name, default='mine')\n"
    )
    (tmp_path / "test_it.py").write_text(
        "import sys\n"
        "def test_it(pytestconfig):\n"
        "    assert pytestconfig.getoption('seed') == '7'\n"
        "    assert pytestconfig.getoption('before') == 'mine'\n"
        "    heavy = ('tensorflow', 'loop_bench.cli.session', 'scipy', 'pandas')\n"
        "    assert not [name for name in heavy if name in sys.modules]\n"
    )
    return tmp_path


@pytest.mark.parametrize("extra", ["compare", "tensorflow"])
def test_what_is_missing_is_one_line_before_pytest_reads_options(lacking, capsys, extra):
    lacking(extra)
    with pytest.raises(SystemExit) as ended:
        pytest.main(["--pyargs", "loop_bench", "--benchmark-only", "--preset", "tiny"])
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert f"pip install 'loop-bench[{extra}]' brings it" in err


def test_changes_nothing_in_the_runs_of_others(project):
    # Python puts the folder first in which it is started: a package `bench` there hides the installed one.
    (project / "bench").mkdir()
    (project / "bench" / "__init__.py").touch()
    command = [sys.executable, "-m", "pytest", "--seed", "7", "-k", "bench or it"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert "loop-bench" in done.stdout  # it is installed, and named among the plugins


def test_asking_for_everything_does_not_benchmark(tmp_path):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        str(ROOT),
        "--ignore",
        ROOT / "tests",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "test_time_per_batch" not in done.stdout
    assert "error" not in done.stdout.lower()


def test_another_clone_than_the_installed_one_is_no_empty_run(tmp_path):
    """Without the check, its harness would not be registered, and pytest would report that there are no tests."""
    shutil.copytree(BENCH, tmp_path / "bench", ignore=lambda folder, names: [n for n in names if "." not in n])
    command = [sys.executable, "-m", "pytest", "bench/", "--benchmark-only"]
    done = subprocess.run(command, cwd=tmp_path, env=alone(), capture_output=True, text=True, check=False)
    assert done.returncode == pytest.ExitCode.INTERRUPTED
    assert f"{tmp_path / 'bench'} is not the loop_bench that is installed, {BENCH}: pip install -e" in done.stdout

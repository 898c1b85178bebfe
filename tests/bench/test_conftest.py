"""`pytest bench/` as its users run it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.record import Record

ROOT = Path(__file__).parents[2]
TOYS = ["--before", "toys:reading", "--after", "toys:guarded", "--batches", "3", "--rounds", "2"]


def command(*arguments):
    return [sys.executable, "-m", "pytest", str(ROOT / "bench"), "--benchmark-only", *map(str, arguments)]


def bench(*arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, env=environment, cwd=ROOT, check=False, **options
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A whole run on a pair of toy loops."""
    folder = tmp_path_factory.mktemp("whole")
    done = bench(
        *TOYS,
        "--preset",
        "any",
        "--results",
        folder / "runs",
        f"--benchmark-json={folder / 'benchmark.json'}",
        f"--benchmark-storage={folder / 'storage'}",
        "--benchmark-autosave",
    )
    return done, folder


def test_ends_with_a_table(whole):
    done, _ = whole
    assert done.returncode == 0, done.stdout + done.stderr
    table = done.stdout[done.stdout.index("before / after") :]
    for text in ("ms/batch", "time to first batch", "host syncs a batch", "bytes read", "NaN gradients", "written:"):
        assert text in table
    assert "warning" not in done.stdout.lower()


def test_leaves_one_record_and_its_table(whole):
    _, folder = whole
    record, table = sorted((folder / "runs").iterdir(), key=lambda path: path.suffix)
    assert (record.suffix, table.suffix) == (".json", ".md")
    found = Record.read(record)
    assert (found.settings.before, found.settings.after, found.settings.preset) == (
        "toys:reading",
        "toys:guarded",
        "any",
    )
    assert [done.order for done in found.rounds] == [("after", "before")] * 2 + [("before", "after")] * 2
    assert found.arms["before"].host_syncs.reads_per_batch > 1
    assert [survival.outcome for survival in found.arms["before"].survivals] == [
        "poisoned",
        "poisoned",
        "frozen",
    ]
    assert {survival.outcome for survival in found.arms["after"].survivals} == {"survived"}
    assert "| host syncs a batch" in table.read_text()


def test_rows_are_those_of_pytest_benchmark_in_seconds_a_batch(whole):
    done, folder = whole
    rows = json.loads((folder / "benchmark.json").read_text())["benchmarks"]
    assert [row["name"] for row in rows] == ["test_time_per_batch[before]", "test_time_per_batch[after]"]
    record = Record.read(next((folder / "runs").glob("*.json")))
    for row in rows:
        arm = row["extra_info"]["arm"]
        timed = [r.seconds[arm] / r.batches for r in record.rounds if r.order[1] == arm]
        assert row["stats"]["rounds"] == len(timed) == 2
        assert row["stats"]["mean"] == pytest.approx(sum(timed) / 2, rel=0.5)  # what it times is a little more
    assert "test_time_per_batch[after]" in done.stdout


def test_progress_says_what_runs_and_for_how_long(whole):
    done, _ = whole
    lines = [line for line in done.stderr.splitlines() if line]
    assert any(line.startswith("timing before, then after (about 0:") for line in lines)
    assert any(line.startswith("after with NaN gradients, all networks (about 0:") for line in lines)


def test_a_second_run_leaves_the_first_alone(whole):
    _, folder = whole
    before = {path: path.read_bytes() for path in (folder / "runs").iterdir()}
    storage = f"--benchmark-storage={folder / 'storage'}"
    done = bench(*TOYS, "--preset", "any", "--results", folder / "runs", "-k", "speed", storage, "--benchmark-compare")
    assert done.returncode == 0
    assert "test_time_per_batch[before] (0001_" in done.stdout  # pytest-benchmark's own comparison
    assert "not measured" in done.stdout  # the syncs
    after = {path: path.read_bytes() for path in (folder / "runs").iterdir()}
    assert len(after) == 4
    assert all(after[path] == content for path, content in before.items())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--preset", "huge"], "preset 'huge' is unknown; the presets are tiny, paper, script"),
        (["--batches", "0"], "--batches '0': must be a whole number of at least 1"),
        (["--rounds", "many"], "--rounds 'many': must be a whole number of at least 1"),
        (["--seed", "-1"], "--seed '-1': must be a whole number of at least 0"),
        (["--script", "none.csv"], "script none.csv: no such file"),
        (["--results", "/dev/null/x"], "--results /dev/null/x: cannot be written"),
        (["--before", "toys", "--after", "toys:plain", "--preset", "any"], "factory 'toys': must be module:factory"),
        (
            ["--before", "toys:plain", "--after", "no_such:make", "--preset", "any"],
            "importing no_such failed (ModuleNotFoundError",
        ),
        (["--after", "toys:no_variables", "--before", "toys:plain", "--preset", "any"], "variables of its NoVariables"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, arguments, says):
    done = bench("--results", tmp_path / "runs", *arguments)
    printed = done.stdout + done.stderr
    assert done.returncode == 2, printed
    assert any(says in line for line in printed.splitlines())
    assert "Traceback" not in printed
    assert "Error]" not in printed
    assert list(tmp_path.iterdir()) == []


def test_a_loop_that_did_not_train_fails_and_leaves_no_record(tmp_path):
    done = bench(
        "--before",
        "toys:plain",
        "--after",
        "toys:lazy",
        *TOYS[4:],
        "--preset",
        "any",
        "--results",
        tmp_path,
        "-k",
        "speed",
    )
    assert done.returncode == 1
    assert "a loop did not do the work that it was timed for" in done.stdout
    assert "after: no weight has moved" in done.stdout
    assert "no record and no table" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_profiled_rounds_are_not_recorded(tmp_path):
    done = bench(*TOYS, "--preset", "any", "--results", tmp_path, "-k", "speed", "--benchmark-cprofile=tottime")
    assert done.returncode == 0, done.stdout
    (path,) = tmp_path.glob("*.json")
    assert len(Record.read(path).rounds) == 4


def test_warnings_of_the_loops_are_no_errors(tmp_path):
    pair = ["--before", "toys:plain", "--after", "toys:warning", *TOYS[4:], "--preset", "any"]
    done = bench(*pair, "--results", tmp_path, "-k", "speed")
    assert done.returncode == 0, done.stdout
    assert "an old way of training" in done.stdout


def test_loops_without_a_tape_are_compared_in_everything_else(tmp_path):
    pair = ["--before", "toys:plain", "--after", "toys:tapeless", *TOYS[4:], "--preset", "any"]
    done = bench(*pair, "--results", tmp_path)
    assert done.returncode == 0, done.stdout
    (path,) = tmp_path.glob("*.json")
    record = Record.read(path)
    assert len(record.rounds) == 4
    assert {survival.outcome for survival in record.arms["after"].survivals} == {"not tested"}
    assert "poisoned" in {survival.outcome for survival in record.arms["before"].survivals}


def test_interrupted_from_the_keyboard(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    arguments = command(
        *TOYS[:4], "--batches", 50, "--rounds", 100000, "--preset", "any", "--results", tmp_path, "-k", "speed"
    )
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:  # fmt: skip
        for line in process.stderr:
            if line.startswith("timing"):
                break
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 2  # pytest's own code for it
    assert "KeyboardInterrupt" in out
    assert "no record and no table" in out
    assert list(tmp_path.iterdir()) == []


def test_help_does_not_wait_for_tensorflow():
    done = bench("--help")
    assert "--before=BEFORE" in done.stdout
    assert "module:factory of the reference (default: baseline:make_loop)" in " ".join(done.stdout.split())
    script = "import sys, bench.conftest; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)

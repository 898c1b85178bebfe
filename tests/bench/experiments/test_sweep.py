"""The question of bench/test_experiments.py, asked as users ask it."""

import functools

import pytest

from loop_bench.builtin import BEFORE
from loop_bench.cli.plugin import BENCH
from loop_bench.experiments.sweep.record import SweepRecord

TOYS = ("--before", "toys:plain", "--after", "toys:growing", "--preset", "any", "--batches", "3", "--rounds", "12")


@pytest.fixture
def bench(python):
    """Runs the one test of `pytest bench/` with some arguments."""
    return functools.partial(python, "-m", "pytest", BENCH, "--benchmark-only", "-k", "sweep", "-rs", *TOYS)


@pytest.mark.slow
def test_a_sweep_from_end_to_end(bench, tmp_path):
    done = bench("--sweep", "size=1,2", "--results", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "sweep-any"
    assert sorted(path.name for path in folder.iterdir()) == [
        "sweep-costs.png", "sweep-costs.svg", "sweep.html", "sweep.json", "sweep.md",
    ]  # fmt: skip
    assert "Cost as size grows" in done.stdout
    assert "both loops at several sizes, each in a process of its own; measured: size 1 (about 0:" in done.stderr
    small, large = SweepRecord.read(folder / "sweep.json").measured.values()
    assert (small.ended, len(small.record.rounds), small.record.problems) == ("measured", 12, ())
    assert large.ended == "crashed"  # a row, and not the end of the sweep
    assert large.why.startswith("loop 'toys:growing' (after): run() failed with MemoryError: of size 2, at ")
    assert "run() failed with MemoryError: of size 2, at " in (folder / "sweep.md").read_text()


def test_without_the_option_it_says_why_it_is_skipped_and_starts_nothing(bench, tmp_path):
    done = bench("--results", tmp_path)
    assert "no --sweep: give it an axis and its values" in done.stdout
    assert "starting TensorFlow" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow  # bench/cli/test_options.py has such texts for what checks them
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--sweep", "size=1,2", "--before", "loop_bench.baseline:make_loop", "--preset", "tiny"],
            "axis 'size' is unknown",
        ),  # to the built-in loops
        (["--sweep", "size"], "--sweep 'size': must be an axis and its values"),
        (
            ["--sweep", "tokens=1", "--before", BEFORE, "--preset", "tiny"],
            "sequence_length=1 must be",
        ),
    ],
)
def test_a_wrong_text_is_one_line_and_exit_code_2(bench, tmp_path, arguments, says):
    done = bench("--results", tmp_path / "runs", *arguments)
    printed = done.stdout + done.stderr
    assert done.returncode == 2, printed
    assert any(says in line for line in printed.splitlines())
    assert "Traceback" not in printed
    assert list(tmp_path.iterdir()) == []

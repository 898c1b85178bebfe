import atexit
import functools
import gc
import itertools
import json
import types

import programs
import pytest
import records
import runs

from loop_bench.cli.plugin import BENCH
from loop_bench.experiments.ladder.record import LadderRecord
from loop_bench.experiments.profile.record import ProfileRecord
from loop_bench.experiments.run.record import SCHEMA, Record
from loop_bench.failure import LoopError
from loop_bench.settings import TIMED

SHORT = ["--batches", "3", "--rounds", "12", "--utilisation", "0.3"]
TOYS = ["--before", "toys:reading", "--after", "toys:guarded", *SHORT]


def of_toys(before, after):
    """Options that name a pair of toy loops."""
    return ["--before", f"toys:{before}", "--after", f"toys:{after}", "--preset", "any"]


slow = functools.partial(pytest.param, marks=pytest.mark.slow)
RUN = ("-m", "pytest", BENCH, "--benchmark-only")


@pytest.fixture(scope="session")
def bench(python):
    """Runs `pytest bench/ --benchmark-only` with some arguments."""
    return functools.partial(python, *RUN)


@pytest.fixture(scope="module")
def whole(bench, tmp_path_factory):
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
    table = done.stdout[done.stdout.index("Speed: ") :]
    for text in (
        "ms/batch",
        "time to first batch",
        "host syncs a batch",
        "bytes read",
        "CPUs busy",
        "NaN gradients",
        "written:",
    ):
        assert text in table
    assert "warning" not in done.stdout.lower()


def test_leaves_one_record_and_its_table(whole):
    _, folder = whole
    (record,) = (folder / "runs").glob("*.json")
    page, table, drawn = record.with_suffix(".html"), record.with_suffix(".md"), f"{record.stem}-times.svg"
    found = Record.read(record)
    assert (found.settings.before, found.settings.after, found.settings.preset) == (
        "toys:reading",
        "toys:guarded",
        "any",
    )
    assert sorted(done.order for done in found.rounds) == sorted([*itertools.permutations(TIMED)] * 2)
    assert found.arms["before"].host_syncs.reads_per_batch > 1
    assert [survival.outcome for survival in found.arms["before"].survivals] == [
        "poisoned weights",
        "poisoned weights",
        "frozen",
    ]
    assert [survival.outcome for survival in found.arms["after"].survivals] == ["skipped", "skipped", "survived"]
    assert all(arm.telemetry.stretch.samples for arm in found.arms.values())
    assert "| host syncs a batch" in table.read_text()
    assert "host syncs a batch" in page.read_text()
    assert (folder / "runs" / drawn).exists()


def test_rows_are_those_of_pytest_benchmark_in_seconds_a_batch(whole):
    done, folder = whole
    rows = json.loads((folder / "benchmark.json").read_text())["benchmarks"]
    assert [row["name"] for row in rows] == [f"test_time_per_batch[{name}]" for name in TIMED]
    record = Record.read(next((folder / "runs").glob("*.json")))
    for row in rows:
        arm = row["extra_info"]["arm"]
        assert row["stats"]["data"] == [done.seconds[arm] / done.batches for done in record.rounds]
    assert "test_time_per_batch[after]" in done.stdout


def test_machine_info_of_pytest_benchmark_knows_tensorflow(whole):
    _, folder = whole
    info = json.loads((folder / "benchmark.json").read_text())["machine_info"]
    assert info["loop_bench"]["versions"]["tensorflow"].startswith("2.21")


def test_progress_says_what_runs_and_for_how_long(whole):
    done, _ = whole
    lines = [line for line in done.stderr.splitlines() if line]
    assert any(line.startswith("timing before, null arm and after in turns (about 0:") for line in lines)
    assert any(line.startswith("loops with faults, each in a process of its own (about 0:") for line in lines)


@pytest.mark.slow
def test_a_second_run_leaves_the_first_alone(bench, whole):
    _, folder = whole
    before = {path: path.read_bytes() for path in (folder / "runs").iterdir()}
    storage = f"--benchmark-storage={folder / 'storage'}"
    done = bench(*TOYS, "--preset", "any", "--results", folder / "runs", "-k", "speed", storage, "--benchmark-compare")
    assert done.returncode == 0
    assert "test_time_per_batch[before] (0001_" in done.stdout  # pytest-benchmark's own comparison
    assert "not measured" in done.stdout  # the syncs
    after = {path: path.read_bytes() for path in (folder / "runs").iterdir()}
    assert [path.suffix for path in after].count(".json") == 2
    assert all(after[path] == content for path, content in before.items())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--max-slowdown=-5%"], "--max-slowdown '-5%': must be a percentage above zero"),
        slow(["--results", "/dev/null/x"], "--results /dev/null/x: cannot be written"),
        # Seen only while measuring.
        (
            ["--after", "toys:no_variables", "--before", "toys:plain", "--preset", "any", "-k", "speed"],
            "variables of its NoVariables",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(bench, tmp_path, arguments, says):
    done = bench("--results", tmp_path / "runs", *arguments)
    printed = done.stdout + done.stderr
    assert done.returncode == 2, printed
    assert any(says in line for line in printed.splitlines())
    assert "Traceback" not in printed
    assert "Error]" not in printed
    assert list(tmp_path.iterdir()) == []


FAILS = "loop 'toys:failing' (after): run() failed with RuntimeError: out of something, at tests/toys.py:"


@pytest.mark.parametrize(
    ("arguments", "code", "traced"),
    [
        ([], 1, False),
        slow(["--max-syncs", "1"], 4, False),
        (["--full-trace"], 1, True),
        slow(["--tb=short", "--max-syncs", "1"], 4, True),
    ],
)
def test_a_loop_that_fails_is_one_line_and_ends_the_run(bench, tmp_path, arguments, code, traced):
    pair = [*of_toys("plain", "failing"), *SHORT]
    done = bench(*pair, "--results", tmp_path, "-k", "syncs or speed or survival", *arguments)
    printed = done.stdout + done.stderr
    assert done.returncode == code, printed
    # Where CI is set, pytest does not cut the lines of its short summary.
    said = [line for line in printed.splitlines() if FAILS in line and not line.startswith(("FAILED ", "ERROR "))]
    assert len(said) == 1
    assert ('raise RuntimeError("out of something")' in printed) == traced
    assert "loops with faults" not in done.stderr  # which would have come next
    assert "gate: invalid: there is no record to judge" in printed or code == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_loop_that_trains_too_few_batches_is_one_line(bench, tmp_path):
    pair = [*of_toys("plain", "stopping"), *SHORT]
    done = bench(*pair, "--results", tmp_path, "-k", "syncs")
    assert done.returncode == 2
    assert "loop 'toys:stopping' (after): history 'loss' has grown by 5 in 100 batches; run(" in done.stdout


@pytest.mark.slow
def test_a_factory_that_fails_is_traced_when_asked_for(bench, tmp_path):
    broken = [*of_toys("broken", "plain"), "--results", tmp_path, "-k", "speed"]
    one_line, traced = bench(*broken), bench(*broken, "--full-trace")
    assert (one_line.returncode, traced.returncode) == (2, 2)
    for printed in (one_line.stdout, traced.stdout):
        assert "factory 'toys:broken' (before): failed with KeyError: 'licence', at tests/toys.py:" in printed
    assert 'return {}["licence"]' not in one_line.stdout
    assert 'return {}["licence"]' in traced.stdout


@pytest.mark.slow
def test_a_loop_that_did_not_train_is_invalid(bench, tmp_path):
    pair = [*of_toys("plain", "lazy"), *SHORT]
    done = bench(*pair, "--results", tmp_path, "-k", "speed")
    assert done.returncode == 4
    assert "invalid: after: no weight has moved" in done.stdout
    (path,) = tmp_path.glob("*.json")
    assert Record.read(path).problems == ("after: no weight has moved",)


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["--max-syncs", "0.1", "--max-slowdown", "900%"], 1, "gate: failed: after makes 1.01 host syncs a batch"),
        slow(["--max-syncs", "2", "--max-slowdown", "900%"], 0, "gate: passed: after takes"),
        slow(["--max-syncs", "2", "--max-slowdown", "900%", "-k", "speed"], 4, "were not counted"),
        slow(["--min-speedup", "50", "--max-slowdown", "900%"], 1, "limit 50×"),
        slow(
            ["--min-speedup", "1", "--max-slowdown", "900%", "--after", "toys:plain"],
            3,
            "gate: inconclusive: before/after",
        ),
        slow(
            ["--max-slowdown", "900%", "--after", "toys:dying"],
            4,
            "gate: invalid: the record: after: history 'loss' is not",
        ),
        slow(
            ["--max-slowdown", "900%", "--before", "toys:dying"],
            4,
            "invalid: the record: before: history 'loss' is not",
        ),
    ],
)
def test_the_gates_answer_is_the_exit_code(bench, tmp_path, arguments, code, line):
    pair = [*of_toys("plain", "reading"), *SHORT]
    arguments = arguments if "-k" in arguments else [*arguments, "-k", "speed or syncs"]
    done = bench(*pair, "--results", tmp_path, *arguments)
    assert done.returncode == code, done.stdout
    assert line in done.stdout
    assert len([*tmp_path.glob("*.json")]) == 1


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ({"max_slowdown": "5%"}, pytest.ExitCode.OK, 4),
        ({"max_syncs": "1"}, pytest.ExitCode.TESTS_FAILED, 4),
        ({"min_speedup": "2"}, pytest.ExitCode.NO_TESTS_COLLECTED, 4),
        ({"max_slowdown": "5%"}, pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERRUPTED),
        ({"max_slowdown": "5%"}, pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.USAGE_ERROR),
        ({"max_slowdown": "5%", "collectonly": True}, pytest.ExitCode.OK, pytest.ExitCode.OK),
        ({}, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.TESTS_FAILED),
    ],
)
def test_without_a_record_a_gate_has_one_exit_code(given, status, code):
    from loop_bench.cli import session  # not sooner: pytest is to rewrite it where it is a plugin

    config, lines = runs.config(**given), []
    ended = types.SimpleNamespace(config=config, exitstatus=status, testsfailed=1)
    session.pytest_sessionfinish(ended, status)
    session.pytest_terminal_summary(types.SimpleNamespace(write_line=lines.append), config)
    assert ended.exitstatus == code
    assert lines == ["gate: invalid: there is no record to judge"] * (code != status)


@pytest.mark.parametrize("wanted", [False, True])
def test_processes_are_begun_before_tensorflow_and_waited_for_before_anything_is_timed(monkeypatch, wanted):
    from loop_bench.cli import session
    from loop_bench.experiments.run import measurement

    order = []
    config = runs.config(preset="tiny")
    config.stash[session._BEFORE_TESTS] = 1.0
    config.stash[session._OUTLOOK] = types.SimpleNamespace(expects=lambda *stages: wanted)
    genuine, leaving = measurement.Measurement, []
    monkeypatch.setattr(atexit, "register", leaving.append)
    monkeypatch.setattr(measurement, "Measurement", lambda *what: order.append("loaded") or genuine(*what))

    def processes():
        order.append("begun")
        return types.SimpleNamespace(wait_until_ready=lambda: order.append("ready"))

    made = session.begin(config, processes)
    assert order == (["begun", "loaded", "ready"] if wanted else ["loaded"])
    assert 1.0 < made.pace.start <= made.stages.seconds["start"]
    assert leaving == [gc.freeze, gc.collect]


@pytest.mark.slow
@pytest.mark.parametrize("nothing", [["--benchmark-skip"], ["--after", "toys:failing"], ["--deselect", "bench"]])
def test_a_gate_with_nothing_to_judge_does_not_pass(python, tmp_path, nothing):
    pair = [*of_toys("plain", "plain"), *SHORT, *nothing]
    command = [part for part in RUN if part != "--benchmark-only" or "--benchmark-skip" not in nothing]
    done = python(*command, *pair, "--results", tmp_path, "-k", "speed", "--max-slowdown", "5%")
    assert done.returncode == 4, done.stdout
    assert "gate: invalid: there is no record to judge" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_broken_reference_is_invalid_before_anything_slow(bench, tmp_path):
    (tmp_path / "old.json").write_text('{"schema_version": 1}')
    done = bench(*TOYS, "--reference", tmp_path / "old.json", "--results", tmp_path / "runs")
    assert done.returncode == 4
    assert f"is of schema 1, and this version reads {SCHEMA}" in done.stdout + done.stderr
    assert "timing" not in done.stderr


@pytest.mark.slow
def test_without_a_number_of_rounds_the_time_ends_them(bench, tmp_path):
    pair = [*TOYS[:4], "--batches", "3", "--preset", "any"]
    done = bench(*pair, "--results", tmp_path, "-k", "speed", "--precision", "0.001%", "--max-time", "1")
    assert done.returncode == 0, done.stdout
    assert "until 1 s were over" in done.stdout
    (path,) = tmp_path.glob("*.json")
    record = Record.read(path)
    assert record.rounds_ended == "out of time"
    assert 1 <= record.rounds_seconds < 10


@pytest.mark.slow
@pytest.mark.parametrize(
    "pair",
    [
        ("loop_bench.examples.keras_fit:reading", "loop_bench.examples.keras_fit:keeping"),
        ("loop_bench.examples.images:on_host", "loop_bench.examples.images:on_device"),
    ],
)
def test_someone_elses_pair_in_someone_elses_project(python, tmp_path, pair):
    arguments = ["--benchmark-only", "--before", pair[0], "--after", pair[1], "--rounds", "10", "--batches", "5"]
    arguments += ["--preset", "any", "-k", "speed or syncs"]
    done = python("-m", "pytest", "--pyargs", "loop_bench", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (tmp_path / "results" / "runs").glob("*.json")
    record = Record.read(path)
    assert record.problems == ()
    assert len(record.rounds) == 10


@pytest.mark.slow
def test_profiled_rounds_are_not_recorded(bench, tmp_path):
    done = bench(*TOYS, "--preset", "any", "--results", tmp_path, "-k", "speed", "--benchmark-cprofile=tottime")
    assert done.returncode == 0, done.stdout
    (path,) = tmp_path.glob("*.json")
    assert len(Record.read(path).rounds) == 12
    assert "clock.py" in done.stdout  # and it is the loop that was profiled


@pytest.mark.slow
def test_warnings_of_the_loops_are_no_errors(bench, tmp_path):
    pair = [*of_toys("plain", "warning"), *SHORT]
    done = bench(*pair, "--results", tmp_path, "-k", "speed")
    assert done.returncode == 0, done.stdout
    assert "an old way of training" in done.stdout


@pytest.mark.slow
def test_loops_without_a_tape_are_compared_in_everything_else(bench, tmp_path):
    pair = [*of_toys("plain", "tapeless"), *SHORT]
    done = bench(*pair, "--results", tmp_path)
    assert done.returncode == 1, done.stdout
    said = "error: survival: none of the 3 runs of after succeeded: not tested: "
    (line,) = [line for line in done.stdout.splitlines() if line.startswith(said)]
    assert line.endswith("; --survival none leaves it out")
    (path,) = tmp_path.glob("*.json")
    record = Record.read(path)
    assert len(record.rounds) == 12
    assert {survival.outcome for survival in record.arms["after"].survivals} == {"not tested"}
    assert "poisoned weights" in {survival.outcome for survival in record.arms["before"].survivals}


@pytest.mark.parametrize(("gate", "code", "begins"), [([], 1, "error"), slow(["--max-syncs", "9"], 4, "gate: invalid")])
def test_faults_that_could_not_be_tried_are_an_error_and_no_loss_of_the_record(bench, tmp_path, gate, code, begins):
    pair = [*of_toys("tapeless", "tapeless"), *SHORT]
    done = bench(*pair, "--results", tmp_path, "-k", "survival or sweep", *gate)
    assert done.returncode == code, done.stdout
    said = [line for line in done.stdout.splitlines() if line.startswith(f"{begins}: ")]
    assert any("survival: none of the 6 runs succeeded: not tested: " in line for line in said), said
    (path,) = tmp_path.glob("*.json")
    assert len(Record.read(path).arms["after"].survivals) == 3


@pytest.mark.parametrize(
    ("failures", "dead", "written"), [(1, None, True), (2, None, False), (1, LoopError("run()", OSError()), False)]
)
def test_with_a_failure_of_another_kind_there_is_no_record(tmp_path, failures, dead, written):
    from loop_bench.cli import session

    config = runs.config(results=str(tmp_path))
    config.stash[session._MEASUREMENT] = types.SimpleNamespace(record=records.record)
    config.stash[session._FLAWS] = ["survival: none of the 3 runs succeeded: no tape"]
    config.stash[session._FAILED] = dead
    ended = types.SimpleNamespace(config=config, exitstatus=1, testsfailed=failures)
    session.pytest_sessionfinish(ended, pytest.ExitCode.TESTS_FAILED)
    assert (ended.exitstatus, bool([*tmp_path.glob("*.json")])) == (1, written)


def test_interrupted_from_the_keyboard(python, tmp_path):
    endless = ["--batches", 50, "--rounds", 100000, "--preset", "any", "-k", "speed"]
    with python.begun(*RUN, *TOYS[:4], *endless, "--results", tmp_path) as program:
        program.interrupt_after("timing")
        assert program.wait(60) == 2  # pytest's own code for it
        out = program.stdout()
    assert "KeyboardInterrupt" in out
    assert "no record and no table" in out
    assert list(tmp_path.iterdir()) == []


def test_help_does_not_wait_for_tensorflow():
    done, imported = programs.imports_of(*RUN, "--help")
    assert done.returncode == 0, done.stderr
    assert "--before=BEFORE" in done.stdout
    assert "factory of the loop before, as module:factory (default: loop_bench.baseline:make_loop;" in " ".join(
        done.stdout.split()
    )
    assert "loop_bench.experiments.registry" in imported
    assert "tensorflow" not in imported


@pytest.mark.slow
def test_profile_leaves_traces_and_says_where(bench, tmp_path):
    done = bench(*TOYS, "--preset", "any", "--profile", "--results", tmp_path, "-k", "profile")
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "profile-any"
    assert f"written: {folder / 'profile.json'}, and beside it: .md, .html" in done.stdout
    assert f"traces: tensorboard --logdir {folder}" in done.stdout
    made = {"profile.html", "profile.json", "profile.md"}
    assert {path.name for path in folder.iterdir()} == {"before", "after", *made}
    assert len([*folder.rglob("*.xplane.pb")]) == 2
    assert ProfileRecord.read(folder / "profile.json").settings.batches == 50
    assert any(line.startswith("before: tracing (about ") for line in done.stderr.splitlines())


@pytest.mark.slow
def test_without_profile_nothing_is_traced(bench, tmp_path):
    done = bench(*TOYS, "--preset", "any", "--results", tmp_path, "-k", "profile", "-rs")
    assert "1 skipped" in done.stdout
    assert "--profile traces a stretch of each loop" in done.stdout
    assert not [*tmp_path.rglob("profile*")]


@pytest.mark.slow
def test_utilisation_can_be_left_out(bench, tmp_path):
    done = bench(*TOYS[:-1], "0", "--preset", "any", "--results", tmp_path, "-k", "utilisation", "-rs")
    assert "1 skipped" in done.stdout
    assert "--utilisation 0" in done.stdout
    assert "starting TensorFlow" not in done.stderr
    assert list(tmp_path.iterdir()) == []


LADDER = [*TOYS, "--preset", "any", "-k", "test_ladder"]


@pytest.mark.slow
def test_the_ladder_is_climbed_when_asked_for(bench, tmp_path):
    done = bench(*LADDER, "--ladder", "--results", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    for text in ("One change after the other", "everything", "12 rounds of 3 batches a rung", "written:"):
        assert text in done.stdout
    record = LadderRecord.read(tmp_path / "ladder-any" / "ladder.json")
    assert [found.host_syncs.reads_per_batch for found in record.findings.values()] == [1.01, 0.01]
    assert (len(record.rounds), record.problems, record.stopped) == (12, {}, {})
    assert "examining each rung in a process of its own (" in done.stderr
    again = bench(*LADDER, "--ladder", "--results", tmp_path, "--rounds", "2")
    assert "2 rounds of 3 batches a rung" in again.stdout
    other = LadderRecord.read(tmp_path / "ladder-any" / "ladder.json")
    assert other.findings == record.findings  # of the same processes


@pytest.mark.slow
def test_the_ladder_is_skipped_with_its_reason_otherwise(bench, tmp_path):
    done = bench(*LADDER, "-rs", "--results", tmp_path)
    assert done.returncode == 0, done.stdout
    assert "takes long: --ladder was not given" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_environments_of_arms_are_read_without_tensorflow(monkeypatch):
    """Processes of trials, which import it meanwhile, are begun later."""
    from loop_bench.cli import session

    monkeypatch.setattr("loop_bench.builtin.default_preset", lambda: pytest.fail("starts TensorFlow"))
    with session.residing(runs.config()) as residences:
        assert residences is None

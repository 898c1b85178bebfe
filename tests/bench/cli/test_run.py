import json

import pytest
import runs

from loop_bench.cli import options, pytest_options

# What another test has imported in this process before says nothing of a command line.
IGNORED = ("-W", "ignore:Module already imported so cannot be rewritten")

GIVEN = {
    "--preset": "tiny", "--batches": "3", "--precision": "5%", "--max-time": "60", "--rounds": "12", "--seed": "2",
    "--script": __file__, "--columns": "text=Line", "--delimiter": ";", "--encoding": "latin-1", "--replicas": "2",
    "--before": "a:b",
    "--after": "c:d", "--against": "main", "--before-revision": "v1", "--before-python": ".venv/bin/python",
    "--before-env": "A=1", "--before-folder": "old", "--after-revision": "v2", "--after-python": "python3",
    "--after-env": "B=2", "--after-folder": "new", "--isolate": None, "--processes": "3", "--link": "data",
    "--survival": "none", "--utilisation": "0", "--ladder": None, "--sweep": "batch=8,16",
    "--profile": None, "--convergence": "3", "--on": "local:2", "--require-gpu": None, "--results": "runs",
    "--reference": "results", "--max-slowdown": "7%", "--max-syncs": "0.5", "--min-speedup": "1.2",
    "--max-retraces": "0", "--full-trace": None,
}  # fmt: skip
"""Each option of the run, with a value that is not its default; None: a flag."""

BY_AGAINST = {"against": "main", "before": "loop_bench.seqgan:make_loop"}
"""Options that --against changes: before is the factory of after."""

pytest_plugins = ["pytester"]


@pytest.fixture
def line(monkeypatch, run):
    """The command line that pytest is given for a command line of ours, without the folder for pytest-benchmark."""

    def line(*arguments, command="run"):
        lines = []
        monkeypatch.setattr(pytest, "main", lambda given: lines.append(given) or pytest.ExitCode.OK)
        code, out, err = run(command, *arguments)
        assert (code, out, err) == (0, "", "")
        (found,) = lines
        return [each for each in found if not each.startswith("--benchmark-storage=file://")]

    return line


def values(pytester, arguments):
    """The harness's reading of a pytest command line."""
    config = pytester.parseconfig(*IGNORED, *arguments)
    return {**pytest_options.asked(config), "full_trace": config.getoption("fulltrace")}


def test_every_option_means_the_same(line, pytester):
    assert {*GIVEN} == {each.name for each in (*options.of_run(), *options.GATE)} | {"--full-trace"}
    given = [word for option in GIVEN.items() for word in option if word]
    direct = ["--pyargs", "loop_bench", "--benchmark-only", *given]
    asked, default = values(pytester, line(*given)), values(pytester, line())
    assert asked == values(pytester, direct)
    assert {key for key in asked if asked[key] == default[key]} == set()


def test_an_option_may_be_repeated(line, pytester):
    asked = values(pytester, line("--sweep", "batch=8,16", "--sweep", "tokens=10,20", "--before-env", "A=1"))
    assert (asked["sweep"], asked["before_env"]) == (("batch=8,16", "tokens=10,20"), ("A=1",))


def test_against_is_a_run_with_its_revision(line, pytester):
    asked = values(pytester, line("main", "--link", "a", "--link", "b", "--max-syncs", "1", command="against"))
    assert asked == {**values(pytester, line()), **BY_AGAINST, "link": ("a", "b"), "max_syncs": 1.0}
    assert asked == values(pytester, line("--against", "main", "--link", "a", "--link", "b", "--max-syncs", "1"))


def test_against_without_a_revision_is_refused(run):
    code, _, err = run("against")
    assert code == 2
    assert "Missing argument 'REVISION'" in err


@pytest.mark.parametrize("arguments", [["--no-such"], ["--benchmark-json=x"], ["-k", "speed"], ["bench/"]])
def test_what_is_no_option_of_it_is_refused(run, monkeypatch, arguments):
    monkeypatch.setattr(pytest, "main", lambda given: pytest.fail("it has begun"))
    code, out, err = run("run", *arguments)
    assert (code, out) == (2, "")
    assert arguments[0].partition("=")[0] in err


def test_help_teaches(run):
    code, out, _ = run("run", "--help")
    assert code == 0
    shown = " ".join(out.split())
    for text in ("3 a limit was given, and the run cannot tell", "Examples", "--max-syncs", "module:factory"):
        assert text.lower() in shown.lower()
    assert [name for name in runs.declared() if name not in out] == []


def test_help_of_against_teaches(run):
    code, out, _ = run("against", "--help")
    assert code == 0
    shown = " ".join(out.split())
    for text in ("REVISION", "uncommitted changes", "--link PATH links them there", "--before MODULE:FACTORY"):
        assert text in shown
    assert [name for name in runs.declared() if name not in out] == ["--against"]  # it is the argument


@pytest.fixture
def project(tmp_path):
    """Someone's project, whose tests have a configuration with which a run would fail."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such\npython_files = check_*.py\n")
    (tmp_path / "conftest.py").write_text("def pytest_addoption(parser):\n    parser.addoption('--seed')\n")
    return tmp_path


def test_a_whole_run_in_another_project(python, project):
    short = ["--batches", "3", "--rounds", "12", "--survival", "none", "--utilisation", "0", "--results", "runs"]
    toys = ["--before", "toys:reading", "--after", "toys:guarded", "--preset", "any"]
    done = python("-m", "loop_bench", "run", *toys, *short, "--max-syncs", "0.001", cwd=project)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "gate: failed: " in done.stdout
    assert "0.01 host syncs a batch (limit 0.001)" in done.stdout
    (record,) = (project / "runs").glob("*.json")
    assert json.loads(record.read_text())["settings"]["after"] == "toys:guarded"
    assert {path.name for path in project.iterdir()} == {"pytest.ini", "conftest.py", "runs"}


def test_what_is_wrong_is_said_without_a_traceback(python, project):
    done = python("-m", "loop_bench", "run", "--preset", "huge", cwd=project)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "preset 'huge' is unknown; the presets are tiny" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr

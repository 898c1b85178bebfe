import contextlib

import pytest
from convergences import LOOPS, convergence_record, course
from ladders import ladder_record
from records import record, survival
from survivals import survival_record
from sweeps import died, measured, sweep_record
from traces import profile_record

from loop_bench.jobs.gather import in_processes

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def survived(monkeypatch):
    """Replaces the run of loops; collects the options that were given."""
    from loop_bench.experiments.survival import experiment

    asked = {}

    def pretend(plan, folder, at_a_time, shown, tell, run):
        asked.update(plan=plan, folder=folder, at_a_time=at_a_time, run=run)
        for trial in plan.trials():
            tell(trial.title)
            if asked.get("interrupt"):
                raise KeyboardInterrupt
        return survival_record(**asked.get("record", {}))

    monkeypatch.setattr(experiment, "survive", pretend)
    return asked


def test_survive_shows_and_leaves_its_tables(run, survived, tmp_path):
    code, out, err = run("survive", "--out", tmp_path / "s", "--seeds", 2, "--workers", 3, "--time-limit", 7)
    assert code == 0
    for text in ("4 of 4 alive", "The ladder of protections", "without a fault", "survival-by-magnitude"):
        assert text in out
    assert sorted(path.suffix for path in (tmp_path / "s").iterdir()) == [
        ".html",
        ".json",
        ".md",
        ".png",
        ".png",
        ".svg",
        ".svg",
    ]
    plan = survived["plan"]
    assert (plan.seeds, plan.time_limit, survived["at_a_time"], plan.preset) == ((0, 1), 7.0, 3, "tiny")
    assert len(plan.loops) == 6
    assert err.splitlines()[-1].startswith(f"{len(plan.trials())} of {len(plan.trials())} runs")


def test_survive_takes_its_trials_where_it_is_told(run, survived, tmp_path, monkeypatch):
    """The experiment gets the entered cluster; without --on, processes on this machine."""
    from loop_bench.cluster import place

    monkeypatch.setattr(place, "place", lambda on: contextlib.nullcontext(f"on {on}"))
    assert run("survive", "--out", tmp_path, "--on", "local:2")[0] == 0
    assert survived["run"] == "on local:2"
    assert run("survive", "--out", tmp_path)[0] == 0
    assert survived["run"] is in_processes


def test_survive_with_faults_of_ones_own(run, survived, tmp_path):
    code, *_ = run("survive", "--out", tmp_path, "--fault", "scale=1e4,batch=30", "--fault", "nan")
    assert code == 0
    assert {name: loop.faults for name, loop in survived["plan"].loops.items()} == {
        "before": ("scale=10000,batch=30", "nan"),
        "after": ("scale=10000,batch=30", "nan"),
    }


def test_survive_without_a_tested_run_ends_with_the_cause(run, survived, tmp_path):
    untested = {loop: (survival("not tested", reason="no tape"),) for loop in survival_record().plan.loops}
    survived["record"] = {"survivals": untested, "undisturbed": {}}
    code, out, err = run("survive", "--out", tmp_path, "--fault", "nan", "--seeds", 1)
    assert code == 1
    assert "Not tested, and why" in out
    assert err.splitlines()[-1] == "error: none of the 3 runs succeeded: not tested: no tape"
    assert "no tape" in (tmp_path / "survival.md").read_text()
    assert "no tape" in (tmp_path / "survival.html").read_text()


def test_survive_interrupted(run, survived, tmp_path):
    survived["interrupt"] = True
    code, _, err = run("survive", "--out", tmp_path, "--fault", "nan", "--seeds", 1)
    assert code == 130
    assert "the same command resumes it (3 of 4 left)" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--fault", "zero"], "fault 'zero': fault kind 'zero'"),
        (["--preset", "huge"], "preset 'huge' is unknown"),
        (["--script", "none.csv"], "script none.csv: no such file"),
        (["--on", "127.0.0.1:1"], "--on tcp://127.0.0.1:1: nothing answers there (Connection refused)"),
        (
            ["--on", "local:2", "--workers", "2"],
            "--workers 2: only for processes on this machine, not for --on local:2",
        ),
    ],
)
def test_survive_refuses_in_one_line_and_before_anything_slow(run, survived, arguments, says):
    code, _, err = run("survive", *arguments)
    assert code == 2
    assert says in err
    assert len(err.splitlines()) == 1
    assert not survived


@pytest.fixture
def converged(monkeypatch):
    """Replaces the run of loops; collects the options that were given."""
    from loop_bench.experiments.convergence import experiment

    asked = {}

    def pretend(plan, folder, at_a_time, tell, run):
        asked.update(plan=plan, folder=folder, at_a_time=at_a_time, run=run)
        for trial in plan.trials():
            tell(trial.title)
            if asked.get("interrupt"):
                raise KeyboardInterrupt
        return convergence_record(courses=asked["courses"]) if "courses" in asked else convergence_record()

    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    monkeypatch.setattr(experiment, "converge", pretend)
    return asked


def test_converge_shows_and_leaves_its_tables(run, converged, tmp_path):
    limits = ("--seeds", 2, "--seed", 5, "--epochs", 3, "--every", 7, "--workers", 3, "--time-limit", 9)
    code, out, err = run("converge", "--out", tmp_path / "c", *limits)
    assert code == 0
    for text in ("does annealing help?", "better: -1", "NLL (nats a token)", "convergence-quality-over-batches"):
        assert text in " ".join(out.split())
    assert sorted(path.suffix for path in (tmp_path / "c").iterdir()) == [".html", ".json", ".md", ".png", ".svg"]
    plan = converged["plan"]
    assert (plan.seeds, plan.epochs, plan.every, plan.time_limit, converged["at_a_time"]) == ((5, 6), 3, 7, 9.0, 3)
    assert (len(plan.loops), plan.preset) == (3, "tiny")
    assert err.splitlines()[-1] == "6 of 6 runs: after, fixed temperature, seed 6"


def test_converge_goes_into_a_folder_of_its_preset(run, converged, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("converge", "--seeds", 1)[0] == 0
    assert str(converged["folder"]) == "results/runs/convergence-tiny"


def test_converge_without_a_result_has_an_exit_code(run, converged, tmp_path):
    converged["courses"] = {
        loop: tuple(course(loop, seed, ended="crashed", why="boom", moments=()) for seed in range(3)) for loop in LOOPS
    }
    code, out, err = run("converge", "--out", tmp_path, "--seeds", 1)
    assert code == 1
    assert "crashed: boom" in out
    assert err.splitlines()[-1].startswith("error: none of the 9 runs succeeded: crashed: boom")


def test_converge_interrupted(run, converged, tmp_path):
    converged["interrupt"] = True
    code, _, err = run("converge", "--out", tmp_path, "--seeds", 1)
    assert code == 130
    assert "the same command resumes it (2 of 3 left)" in err


def test_converge_help_teaches(run):
    code, out, _ = run("converge", "--help")
    assert code == 0
    for text in ("compare their quality", "evaluate()", "Ctrl-C", "Examples", "--every"):
        assert text in " ".join(out.split())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--preset", "huge"], "preset 'huge' is unknown"), (["--script", "none.csv"], "script none.csv: no such file")],
)
def test_converge_refuses_in_one_line_and_before_anything_slow(run, converged, arguments, says):
    code, _, err = run("converge", *arguments)
    assert (code, len(err.splitlines())) == (2, 1)
    assert says in err
    assert not converged


@pytest.fixture
def profiled(monkeypatch):
    """Replaces the tracing of loops; collects the options that were given."""
    from loop_bench.experiments.profile import trial as experiment

    asked = {}

    def pretend(settings, folder, tell, every_op):
        asked.update(settings=settings, folder=folder, every_op=every_op)
        tell("before: tracing", 0.25)
        if asked.get("interrupt"):
            raise KeyboardInterrupt
        return profile_record()

    monkeypatch.setattr(experiment, "profile", pretend)
    return asked


def test_profile_shows_and_leaves_its_tables(run, profiled, tmp_path):
    code, out, err = run("profile", "--preset", "tiny", "--out", tmp_path / "p", "--seed", 4, "--batches", 7)
    assert code == 0
    for text in ("Where the time goes", "After: the ops that take most", "no op in flight", "tensorboard --logdir"):
        assert text in out
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == ["profile.html", "profile.json", "profile.md"]
    settings = profiled["settings"]
    assert (settings.preset, settings.seed, settings.batches, profiled["every_op"]) == ("tiny", 4, 7, False)
    assert (settings.before, settings.after) == ("loop_bench.baseline:make_loop", "loop_bench.seqgan:make_loop")
    assert "before: tracing (" in err


def test_profile_goes_into_a_folder_of_its_preset(run, profiled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, *_ = run("profile", "--preset", "tiny", "--every-op")
    assert code == 0
    assert (tmp_path / "results" / "runs" / "profile-tiny" / "profile.md").exists()
    assert profiled["every_op"]
    assert profiled["settings"].batches == 50


def test_profile_interrupted(run, profiled, tmp_path):
    profiled["interrupt"] = True
    code, _, err = run("profile", "--preset", "tiny", "--out", tmp_path / "p")
    assert code == 130
    assert "interrupted; complete traces are kept" in err
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--preset", "huge"], "preset 'huge' is unknown"), (["--script", "none.csv"], "script none.csv: no such file")],
)
def test_profile_refuses_in_one_line_and_before_anything_slow(run, profiled, arguments, says):
    code, _, err = run("profile", *arguments)
    assert code == 2
    assert says in err
    assert len(err.splitlines()) == 1
    assert not profiled


@pytest.fixture
def swept(monkeypatch):
    """Replaces the run of loops; collects the options that were given."""
    from loop_bench.experiments.sweep import experiment

    asked = {"dies": False}

    def pretend(plan, folder, tell, run):
        asked.update(plan=plan, folder=folder)
        for title in plan.titles().values():
            tell(title)
            if asked.get("interrupt"):
                raise KeyboardInterrupt
        found = [died(point) if asked["dies"] else measured(point) for point in plan.distinct().values()]
        return sweep_record().model_copy(update={"sweep": plan, "measured": {each.point.key: each for each in found}})

    monkeypatch.setattr(experiment, "sweep", pretend)
    return asked


SWEEP = ("sweep", "--preset", "tiny", "--sweep", "batch=8,16", "--axis", "tokens=10,20")


def test_sweep_shows_and_leaves_its_tables(run, swept, tmp_path):
    limits = ("--max-time", 90, "--time-limit", 70, "--batches", 3, "--precision", "5%", "--seed", 2)
    code, out, err = run(*SWEEP, "--out", tmp_path / "s", *limits)
    assert code == 0
    for text in ("Cost as batch grows", "Cost as tokens grows", "16 (preset)", "2.0", "tokens/s", "sweep-costs"):
        assert text in out
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == [
        "sweep-costs.png",
        "sweep-costs.svg",
        "sweep.html",
        "sweep.json",
        "sweep.md",
    ]
    plan = swept["plan"]
    assert list(plan.titles().values()) == ["batch 8", "batch 16 = tokens 10", "tokens 20"]
    assert {(point.settings.max_time, point.time_limit) for point in plan.distinct().values()} == {(30.0, 70.0)}
    assert (plan.settings.batches, plan.settings.precision, plan.settings.seed) == (3, 0.05, 2)
    assert err.splitlines()[-1] == "3 of 3 points: tokens 20"


def test_sweep_interrupted(run, swept, tmp_path):
    swept["interrupt"] = True
    code, _, err = run(*SWEEP, "--out", tmp_path)
    assert code == 130
    assert "the same command resumes it (2 of 3 left)" in err


def test_sweep_without_a_result_has_an_exit_code(run, swept, tmp_path):
    swept["dies"] = True
    code, out, err = run(*SWEEP, "--out", tmp_path)
    assert code == 1
    assert err.splitlines()[-1].startswith("error: none of the 3 points succeeded: crashed: killed by")
    assert "crashed: killed by SIGKILL" in " ".join(out.split())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "no --sweep: name an axis and its values"),
        (["--sweep", "bacth=8"], "axis 'bacth' is unknown (did you mean batch?)"),
        (["--axis", "batch=8,8"], "--sweep 'batch=8,8': 8 is given twice"),
        (["--axis", "tokens=1", "--preset", "tiny"], "sequence_length=1 must be"),
        (["--axis", "batch=8", "--preset", "huge"], "preset 'huge' is unknown"),
        (["--axis", "batch=8", "--script", "none.csv"], "script none.csv: no such file"),
        (["--axis", "batch=8", "--precision", "3"], "--precision '3': must be a percentage"),
    ],
)
def test_sweep_refuses_in_one_line_and_before_anything_slow(run, swept, arguments, says):
    code, _, err = run("sweep", *arguments)
    assert code == 2
    assert says in err
    assert len(err.splitlines()) == 1
    assert "plan" not in swept


@pytest.fixture
def climbed(monkeypatch):
    """Replaces the run of loops; collects the options that were given."""
    from loop_bench.experiments.ladder import experiment

    asked = {}

    def pretend(rungs, limits, folder, tell, run):
        asked.update(rungs=rungs, limits=limits, folder=folder)
        tell("timing the rungs in turns", ": round 1", 1.0)
        if asked.get("interrupt"):
            raise KeyboardInterrupt
        return ladder_record()

    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    monkeypatch.setattr(experiment, "climb", pretend)
    return asked


def test_ladder_shows_and_leaves_its_tables(run, climbed, tmp_path):
    options = ["--preset", "tiny", "--rounds", 12, "--batches", 4, "--seed", 5]
    code, out, err = run("ladder", "--out", tmp_path / "l", *options)
    assert code == 0
    for text in ("One change after the other", "without one of its changes", "1.82× faster", "ladder-waterfall"):
        assert text in out
    assert sorted(path.suffix for path in (tmp_path / "l").iterdir()) == [".html", ".json", ".md", ".png", ".svg"]
    rungs = climbed["rungs"]
    assert (rungs.preset, rungs.seed, rungs.batches, climbed["limits"].rounds) == ("tiny", 5, 4, 12)
    assert "timing the rungs in turns (about" in err


def test_ladder_resumes_in_the_folder_of_its_preset(run, climbed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("ladder", "--preset", "tiny", "--max-time", 7)[0] == 0
    assert str(climbed["folder"]) == "results/runs/ladder-tiny"
    assert (climbed["limits"].rounds, climbed["limits"].max_time) == (None, 7.0)


def test_ladder_interrupted(run, climbed, tmp_path):
    climbed["interrupt"] = True
    code, out, err = run("ladder", "--out", tmp_path, "--preset", "tiny")
    assert (code, out) == (130, "")
    assert "the same command resumes after the last rung" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--preset", "huge"], "preset 'huge' is unknown"),
        (["--script", "none.csv"], "script none.csv: no such file"),
    ],
)
def test_ladder_refuses_in_one_line_and_before_anything_slow(run, climbed, arguments, says):
    code, _, err = run("ladder", *arguments)
    assert (code, len(err.splitlines())) == (2, 1)
    assert says in err
    assert "rungs" not in climbed


def test_ladder_help_teaches(run):
    code, out, _ = run("ladder", "--help")
    assert code == 0
    for text in (
        "what each change between the loops contributes",
        "Ctrl-C",
        "Examples",
        "--max-time",
        "no measurable difference",
    ):
        assert text in " ".join(out.split())


@pytest.fixture
def agreed(monkeypatch):
    """Replaces the comparison of loops; collects the options that were given."""
    from loop_bench.experiments.equivalence import check as agreement
    from loop_bench.experiments.equivalence.record import Equivalence

    asked = {"equal": True}

    def pretend(settings, candidates, batches, tell):
        asked.update(settings=settings, candidates=candidates, batches=batches)
        if asked.get("interrupt"):
            raise KeyboardInterrupt
        tell("after")
        found = Equivalence(batches=batches, options={}, equal=asked["equal"], reason="why", bit_for_bit=asked["equal"])
        return agreement.AgreementRecord(
            created=record().created, environment=record().environment, settings=settings, found={"after": found}
        )

    monkeypatch.setattr(agreement, "agreement", pretend)
    return asked


@pytest.mark.parametrize(("equal", "code", "says"), [(True, 0, "bit for bit"), (False, 4, "no: why")])
def test_equivalence_says_it_with_its_exit_code(run, agreed, tmp_path, equal, code, says):
    agreed["equal"] = equal
    left, out, err = run("equivalence", "--preset", "tiny", "--batches", 60, "--seed", 2, "--out", tmp_path)
    assert left == code
    assert says in out
    assert "1 of 1 loops: after" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "equivalence.html",
        "equivalence.json",
        "equivalence.md",
    ]
    assert (agreed["settings"].seed, len(agreed["candidates"]), agreed["batches"]) == (2, 1, 60)


@pytest.mark.parametrize(
    ("pair", "code", "says"),
    [
        (["--before", "toys:broken"], 2, "error: factory 'toys:broken' (before): failed with KeyError: 'licence', at "),
        (["--after", "toys:failing"], 1, "error: loop 'toys:failing' (after): run() failed with RuntimeError: out of "),
    ],
)
def test_a_loop_that_fails_is_one_line_without_full_trace(run, tmp_path, pair, code, says):
    plain = ["--before", "toys:plain", "--after", "toys:plain", "--preset", "any", "--batches", "10"]
    left, _, err = run("equivalence", *plain, *pair)
    assert (left, "Traceback" in err) == (code, False)
    assert [line for line in err.splitlines() if line.startswith(says)]
    left, _, err = run("equivalence", *plain, *pair, "--full-trace")
    assert (left, err.startswith("Traceback (most recent call last):")) == (code, True)
    assert err.splitlines()[-1].startswith(says)


def test_a_trial_that_is_refused_in_its_process_is_traced_from_there(run, tmp_path):
    asked = ["survive", "--before", "toys:broken", "--after", "toys:plain", "--preset", "any", "--fault", "nan"]
    left, _, err = run(*asked, "--seeds", "1", "--out", tmp_path, "--full-trace")
    assert left == 2
    assert 'return {}["licence"]' in err
    assert err.splitlines()[-1].startswith("error: factory 'toys:broken': failed with KeyError: 'licence', at ")


def test_equivalence_writes_only_where_it_is_told_to(run, agreed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("equivalence", "--preset", "tiny", "--every-rung")
    assert (code, len(agreed["candidates"])) == (0, 21)
    assert "written" not in out
    assert list(tmp_path.iterdir()) == []


def test_equivalence_interrupted(run, agreed):
    agreed["interrupt"] = True
    code, _, err = run("equivalence", "--preset", "tiny")
    assert code == 130
    assert "interrupted; nothing was written" in err


def test_equivalence_refuses_in_one_line_and_before_anything_slow(run, agreed):
    code, _, err = run("equivalence", "--preset", "huge")
    assert code == 2
    assert "preset 'huge' is unknown" in err
    assert len(err.splitlines()) == 1

import pytest
from ladders import dead, finding, ladder, ladder_record
from parts import tables
from records import ENVIRONMENT
from trials import Door, FarDoor, died

from loop_bench.experiments import registry
from loop_bench.experiments.ladder import experiment as module
from loop_bench.experiments.ladder.record import LadderLimits, Turn
from loop_bench.experiments.ladder.rounds import RoundsTrial, TimedRungs
from loop_bench.jobs.machines import Machine
from loop_bench.report import files
from loop_bench.settings import NULL


@pytest.fixture
def found():
    """Results of trials by rung; a test may change them."""
    return {rung.name: finding() for rung in ladder().rungs}


@pytest.fixture
def door(found):
    return Door(lambda trial: died(trial) if (its := found[trial.title]).died else its)


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(module, "environment", lambda: ENVIRONMENT)


def test_looks_at_each_rung_and_times_all_of_them(found, door, tmp_path):
    found["fused step"] = dead("crashed: of something")
    told, limits, made = [], LadderLimits(rounds=4), ladder(batches=2)
    record = module.climb(made, limits, tmp_path, lambda *each: told.append(each), door)
    assert (record.ladder, record.findings, record.limits) == (made, found, limits)
    assert (len(record.rounds), record.rounds_ended) == (4, "as many as asked for")
    assert {*record.rounds[0].seconds} == {*found, NULL} - {"fused step"}
    assert record.stopped == {"fused step": "crashed: of something"}
    assert record.problems == {}
    assert record.rounds_seconds > sum(sum(done.seconds.values()) for done in record.rounds)
    assert record.environment["state"]["load_average"]
    weight = sum(each[-1] for each in told)
    assert 0.9 * module.seconds(made, limits) < weight <= module.seconds(made, limits) * 1.001
    assert [*dict.fromkeys(each[0].partition(":")[0] for each in told)] == [
        "examining each rung in a process of its own",
        "building all rungs",
        "timing the rungs in turns",
    ]


@pytest.fixture
def far(found):
    """A place on another machine, and the results of the rounds there; a test may change them."""
    names = (*found, NULL)
    turns = (Turn(order=names, seconds=dict.fromkeys(names, 1.0)),) * 4
    timed = TimedRungs(
        rounds=turns, ended="as many as asked for", seconds=9.0, stopped={}, problems={}, state={"gpus": []}
    )
    machine = Machine(host="far", environment={**ENVIRONMENT, "cores": 96})
    return FarDoor(lambda trial: timed if isinstance(trial, RoundsTrial) else found[trial.title], machine)


def test_on_other_machines_the_rounds_are_a_trial_too(found, far, tmp_path):
    told, limits, made = [], LadderLimits(rounds=4), ladder(batches=2)
    record = module.climb(made, limits, tmp_path, lambda *each: told.append(each), far)
    assert [type(trial).__name__ for trial in far.asked] == ["RungTrial"] * len(found) + ["RoundsTrial"]
    assert far.known == [None, None]
    assert (len(record.rounds), record.rounds_seconds, record.rounds_ended) == (4, 9.0, "as many as asked for")
    assert (record.environment["cores"], record.environment["state"]) == (96, {"gpus": []})
    (ran,) = record.ran_on
    assert (ran.machine.host, ran.trials) == ("far", (*found, "the rounds of all rungs"))
    assert sum(each[-1] for each in told) == pytest.approx(module.seconds(made, limits))
    assert "machines that the trials ran on" in tables(registry.report(record))
    far.asked.clear()
    module.climb(made, limits, tmp_path, run=far)
    assert far.asked == []
    module.LadderExperiment().tidy(tmp_path)
    module.climb(made, limits, tmp_path, run=far)
    assert [trial.title for trial in far.asked] == ["the rounds of all rungs"]


def test_rounds_that_die_on_another_machine_leave_no_rung_timed(found, far, tmp_path):
    answer = far.answer
    far.answer = lambda trial: died(trial) if isinstance(trial, RoundsTrial) else answer(trial)
    record = module.climb(ladder(), LadderLimits(rounds=4), tmp_path, run=far)
    assert (record.rounds, record.rounds_ended) == ((), None)
    assert set(record.stopped.values()) == {"crashed: of something (while the rungs were timed)"}
    assert module.LadderExperiment().flaw(record)


def test_the_time_ends_the_rounds(door, tmp_path):
    record = module.climb(ladder(batches=1), LadderLimits(max_time=0.05), tmp_path, run=door)
    assert record.rounds_ended == "out of time"


def test_with_no_loop_left_nothing_is_timed(found, door, tmp_path):
    found.update(dict.fromkeys(found, dead("crashed: of something")))
    record = module.climb(ladder(), LadderLimits(rounds=4), tmp_path, run=door)
    assert (record.rounds, record.rounds_ended) == ((), None)
    files.leave(record, registry.report, tmp_path / "out")
    names = ["ladder.html", "ladder.json", "ladder.md"]  # and no picture
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names


@pytest.mark.parametrize(
    ("stopped", "says"),
    [
        ({"baseline": "dead"}, ""),  # the second step is held against the first
        ({"one": "dead"}, "none of the 2 changes succeeded: dead"),
        ({"two": "dead", NULL: "dead"}, ""),
        ({"baseline": "dead", "two": "hung"}, "none of the 2 changes succeeded, 1 of them for this cause: dead"),
    ],
)
def test_a_change_is_timed_if_its_rung_and_its_reference_are(stopped, says):
    made = ladder(groups={"baseline": "baseline", "one": "step", "two": "step"})
    record = ladder_record().model_copy(update={"ladder": made, "stopped": stopped})
    assert module.LadderExperiment().flaw(record) == says


@pytest.mark.slow
def test_rungs_are_examined_in_processes_of_their_own(tmp_path):
    """One process completes, one is killed."""
    made = ladder(groups={"baseline": "baseline", "killed": "step"}, batches=1)
    killed = made.full.model_copy(update={"factory": "ladders:killed"})
    made = made.model_copy(update={"rungs": (made.baseline, killed)})
    found = module.climb(made, LadderLimits(rounds=1), tmp_path).findings
    assert found["baseline"].died == ""
    assert found["baseline"].host_syncs.reads_per_batch == 0.01
    assert found["killed"].died == "crashed: killed by SIGSEGV"

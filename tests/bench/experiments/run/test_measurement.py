import tempfile

import numpy as np
import pytest
import tensorflow as tf
import toys
from repositories import is_clean, repository
from survivals import survival_record
from telemetries import on_cpu

from loop_bench.arms.process import ArmProcess
from loop_bench.arms.residences import Residences
from loop_bench.errors import UsageError
from loop_bench.experiments.run import measurement as measuring
from loop_bench.experiments.run.measurement import Measurement
from loop_bench.experiments.run.record import Record
from loop_bench.experiments.run.stages import Stage
from loop_bench.experiments.survival.plan import Faults, survival_plan
from loop_bench.experiments.telemetry.record import Telemetry
from loop_bench.home import Home
from loop_bench.jobs import pool
from loop_bench.jobs.gather import in_processes, inline
from loop_bench.loop import as_made
from loop_bench.settings import ARMS, TIMED, Settings
from loop_bench.timing.samples import Start


def make(before="toys:reading", after="toys:guarded"):
    return Measurement(Settings(before=before, after=after, preset="tiny", seed=2, batches=3, rounds=4))


def timed_loop(measurement, name):
    """The loop that is timed under a name, as its factory made it."""
    return as_made(measurement.timed.timers[name].__self__._loop)


@pytest.mark.parametrize("run", [inline, pytest.param(in_processes, marks=pytest.mark.slow)])
def test_gathers_everything_into_a_record(tmp_path, run):
    measurement = make()
    for arm in ("before", "after"):
        measurement.count_host_syncs(arm, 10)
    measurement.time_rounds()
    measurement.check_work()
    plan = survival_plan(measurement.settings, Faults()).only(("nan",), ARMS)
    told = []
    assert measurement.survive(plan, tmp_path, (), told.append, run).plan == plan
    assert len(told) == 4  # with the fault and without, each loop
    record = measurement.record()
    before, after = record.arms["before"], record.arms["after"]
    assert (before.factory, after.factory) == ("toys:reading", "toys:guarded")
    assert len(record.rounds) == 4
    # The first batch, those that were counted, a block that warms up, and the rounds.
    assert len(before.history["loss"]) == len(after.history["loss"]) == 1 + 10 + 3 + 4 * 3
    assert before.host_syncs.reads_per_batch == 1.1
    assert after.host_syncs.reads_per_batch == 0.1
    assert (before.survivals[0].outcome, after.survivals[0].outcome) == ("poisoned weights", "skipped")
    assert (len(before.starts), len(after.starts)) == (2, 1)  # before is its own null arm, too
    assert record.survival_preset == "tiny"
    assert {*record.stages} == {Stage.BUILD, Stage.SYNCS, Stage.ROUNDS, Stage.SURVIVAL}
    assert record.stages[Stage.ROUNDS] > record.rounds_seconds
    assert measurement.pace.first_batch["after"] == after.starts[0].seconds
    assert 0 < measurement.pace.batch["before"] < 1
    assert (record.rounds_ended, record.problems) == ("as many as asked for", ())
    assert record.rounds_seconds > sum(sum(done.seconds.values()) for done in record.rounds)
    assert 0 < before.touch_seconds < 1
    assert record.environment["versions"]["tensorflow"]
    assert len(record.environment["state"]["load_average"]) == 3


def test_loops_that_have_faults_are_in_processes_of_their_own(monkeypatch, tmp_path):
    asked, seen, told = [], survival_record(), []
    monkeypatch.setattr(measuring, "survive", lambda *arguments: asked.append(arguments) or seen)
    measurement = make()
    assert measurement.survive(seen.plan, tmp_path, ("nan",), told.append) == seen
    assert asked == [(seen.plan, tmp_path, pool.workers(), ("nan",), told.append, in_processes)]
    assert {arm: found.survivals for arm, found in measurement.record().arms.items()} == {
        arm: seen.survivals[arm] for arm in ARMS
    }


def test_what_was_watched_is_in_the_record(monkeypatch, tmp_path):
    begun = Start(build_seconds=1.0, first_batch_seconds=2.0)
    asked, seen = [], {"before": on_cpu(start=begun), "after": Telemetry(died="of something")}
    monkeypatch.setattr(measuring.telemetry, "watch", lambda *arguments: asked.append(arguments) or seen)
    measurement, told = make(), []
    assert measurement.watch(2.5, tmp_path, told.append) == seen
    assert asked == [(measurement.settings, 2.5, tmp_path, told.append, in_processes)]
    arms = measurement.record().arms
    assert {arm: found.telemetry for arm, found in arms.items()} == seen
    assert [arms[arm].starts for arm in ARMS] == [(begun,), ()]


def test_host_syncs_after_the_rounds_are_those_of_a_fresh_loop():
    measurement = make()
    measurement.time_rounds()
    for _ in range(2):
        assert measurement.count_host_syncs("before", 10).reads_per_batch == 1.1
    assert len(timed_loop(measurement, "before").losses) == 1 + 3 + 4 * 3
    measurement.check_work()
    assert measurement.record().problems == ()


def test_the_rounds_can_be_given_less_time():
    measurement = make()
    measurement.limit_rounds(7.0)
    assert measurement.record().settings.max_time == 7.0


def test_record_of_a_part_says_only_that_part():
    record = make().record()
    assert record.rounds == ()
    assert record.arms["before"].host_syncs is None
    assert record.arms["before"].starts == ()


def test_loop_that_does_no_work_is_found_out():
    measurement = make(after="toys:lazy")
    measurement.time_rounds()
    measurement.check_work()
    assert measurement.record().problems == ("after: no weight has moved",)


@pytest.fixture(scope="module")
def timed():
    """One whose rounds are over, and what it told."""
    measurement, told = make(), []
    measurement.time_rounds(lambda number, share: told.append((number, share)))
    return measurement, told


def test_the_null_arm_must_have_worked_too(timed, monkeypatch):
    measurement, _ = timed
    monkeypatch.setattr(timed_loop(measurement, "null"), "losses", [])
    measurement.check_work()
    assert measurement.record().problems == ("null: history 'loss' has 0 values for 16 batches",)


def test_unequal_samples_are_found_out(monkeypatch):
    monkeypatch.setattr(toys.Quadratic, "describe", lambda loop: {"samples": 64 * len(loop.losses)}, raising=False)
    monkeypatch.setattr(toys.Guarded, "describe", lambda loop: {"samples": 32 * len(loop.losses)}, raising=False)
    measurement = make()
    measurement.time_rounds()
    measurement.check_work()
    assert measurement.record().problems == ("before trains on 64 samples a batch, after on 32",)


def test_tells_how_far_it_is(timed):
    _, told = timed
    assert told == [(0, 0.0), (1, 0.25), (2, 0.5), (3, 0.75)]


def test_what_a_process_does_once_counts_for_neither(monkeypatch):
    built = []
    monkeypatch.setattr(toys, "plain", lambda spec: built.append("before") or toys.Quadratic())
    monkeypatch.setattr(toys, "guarded", lambda spec: built.append("after") or toys.Guarded())
    measurement = make("toys:plain")
    measurement.count_host_syncs("before", 2)
    measurement.count_host_syncs("after", 2)
    assert built == ["before", "after", "before", "after"]
    assert [len(arm.starts) for arm in measurement.record().arms.values()] == [1, 1]


def test_wrong_factory():
    with pytest.raises(UsageError, match="toys has no nothing"):
        make(after="toys:nothing")


OWN = """
import os
import toys

class Own(toys.Guarded):
    def describe(self):
        return {"file": __file__, "kind": os.environ.get("KIND"), "samples": 8 * len(self.losses)}

def make(spec):
    return Own(spec.seed)
"""

DIES_ONCE = """
def make(spec):
    try:
        open(os.environ["MARK"], "x").close()
    except FileExistsError:
        return Own(spec.seed)
    os.environ["DIES"] = "1"
    return Own(spec.seed)

class Own(toys.Guarded):
    def run(self, batches):
        super().run(batches)
        if "DIES" in os.environ:
            self.weight.assign([float("nan")] * 4)
"""
"""Put after it: in one process only, the first, weights become not a number."""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A repository with a loop; the current folder. Temporary folders are in one of their own."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    found = repository(tmp_path / "project", own__py=OWN)
    monkeypatch.chdir(found)
    return found


def living(environment):
    """The environments of two loops, before at the last commit, and the settings of their run."""
    homes = {"before": Home(revision="HEAD"), "after": Home(environment=environment)}
    both = dict.fromkeys(ARMS, "own:make")
    settings = Settings(**both, preset="any", seed=2, batches=3, rounds=6, homes=homes, processes=2)
    return Residences(homes, both), settings


@pytest.mark.slow
def test_the_null_arm_does_all_that_the_loop_before_does(project, monkeypatch):
    """Anything that only one process does, even reading its weights, can change its speed for good."""
    called, genuine = {}, ArmProcess.ask

    def ask(process, do, where, **what):
        if do == "call" and what["method"] != "traced":  # which comes after the rounds
            called.setdefault(process.name, []).append((what["method"], what["arguments"]))
        return genuine(process, do, where, **what)

    monkeypatch.setattr(ArmProcess, "ask", ask)
    residences, settings = living({})
    with residences:
        measurement = Measurement(settings, residences)
        for arm in ARMS:
            measurement.count_host_syncs(arm, 10)
        measurement.time_rounds()
    # A block in each process warms the loop up.
    assert called["before"].count(("train", (settings.batches,))) == settings.rounds + settings.processes
    assert [method for method, _ in called["before"]].count("count") == 1
    assert called["the null arm"] == called["before"]


@pytest.mark.slow
def test_loops_in_other_processes_are_measured_like_local_ones(project, tmp_path):
    (project / "own.py").write_text(f"{OWN}# changed\n")
    (residences, settings), told = living({"KIND": "after"}), []
    with residences:
        measurement = Measurement(settings, residences)
        pids = {name: residences.process(name).pid for name in TIMED}
        for arm in ARMS:
            measurement.count_host_syncs(arm, 10)
        assert measurement.check_equivalence({}).bit_for_bit
        measurement.time_rounds(lambda number, share: told.append((number, share)))
        measurement.check_work()
        assert not {*pids.values()} & {residences.process(name).pid for name in TIMED}
    record = measurement.record()
    assert Record.model_validate_json(record.model_dump_json()) == record
    assert [done.group for done in record.rounds] == [0, 0, 0, 1, 1, 1]
    assert [number for number, _ in told] == [0, 1, 2, 3, 4, 5]
    assert [share for _, share in told] == pytest.approx([0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6])
    assert (record.problems, record.rounds_ended) == ((), "as many as asked for")
    assert "bit for bit the same" in record.equivalence.reason
    before, after = (record.arms[arm] for arm in ARMS)
    assert before.described_first["file"] != after.described_first["file"] == str(project / "own.py")
    assert (before.described_first["kind"], after.described_first["kind"]) == (None, "after")
    assert before.host_syncs.reads_per_batch == after.host_syncs.reads_per_batch == 0.1
    assert before.host_syncs.sites[0].file.endswith("toys.py")
    # Of the last group: the first batch, a block that warms up, and three rounds.
    assert len(before.history["loss"]) == len(after.history["loss"]) == 1 + 3 + 3 * 3
    assert (before.residence.code.startswith("HEAD ("), before.residence.dirty) == (True, False)
    assert (after.residence.revision, after.residence.dirty) == (None, True)
    assert after.residence.environment == {"KIND": "after"}
    assert before.residence.commit == after.residence.commit
    assert before.residence.versions["tensorflow"] == tf.__version__
    assert {*record.idle} == {*TIMED}
    assert all(0 <= share < 2 for share in record.idle.values())
    assert (len(before.starts), len(after.starts)) == (2, 1)
    assert before.traced == after.traced == ()
    assert 0 < before.touch_seconds < 1
    assert Stage.START not in record.stages  # the session counts it, with what comes before
    assert is_clean(project, tmp_path / "temporary")


@pytest.mark.slow
def test_problems_of_an_earlier_group_are_kept(project, tmp_path):
    (project / "own.py").write_text(OWN + DIES_ONCE)
    residences, settings = living({"MARK": str(tmp_path / "mark")})
    with residences:
        measurement = Measurement(settings.model_copy(update={"rounds": 5}), residences)
        measurement.time_rounds()
        measurement.check_work()
    record = measurement.record()
    assert [done.group for done in record.rounds] == [0, 0, 0, 1, 1]  # exactly so many
    assert record.problems
    assert all(problem.startswith("after: ") and "finite" in problem for problem in record.problems)
    assert np.all(np.isfinite(record.arms["after"].history["loss"]))  # that of the last group

import pytest
import toys
import trials
from ladders import finding, ladder

from loop_bench.errors import UsageError
from loop_bench.experiments.ladder import trial
from loop_bench.experiments.ladder import trial as module
from loop_bench.experiments.ladder.plan import Rung
from loop_bench.experiments.ladder.record import Finding
from loop_bench.experiments.ladder.trial import BATCHES, RungTrial, examine
from loop_bench.jobs.trial import attempt
from loop_bench.loop import LoopSpec


def of(number=1, **changes):
    made = ladder(**changes)
    return RungTrial.of(made, made.rungs[number])


def test_whatever_makes_a_difference_makes_another_key():
    made = [of(), of(2), of(seed=4), of(preset="paper"), of(factory="toys:guarded")]
    assert len({each.key for each in made}) == len(made)
    assert of(batches=99).key == of().key  # of the rounds, which it has nothing to do with
    assert of().model_copy(update={"time_limit": 1.0}).key == of().key


def test_the_order_of_options_makes_no_difference():
    one = of().rung.model_copy(update={"options": {"a": 1, "b": 2}, "equivalent_options": {"c": 1, "d": 2}})
    other = one.model_copy(update={"options": {"b": 2, "a": 1}, "equivalent_options": {"d": 2, "c": 1}})
    assert of().model_copy(update={"rung": one}).key == of().model_copy(update={"rung": other}).key


def test_a_person_knows_it_by_its_rung():
    assert (of().title, of().time_limit) == ("deferred metrics", 1200.0)
    assert len(of().loops) == 2


def test_examines_its_rung(monkeypatch):
    asked = []
    name = "loop_bench.experiments.ladder.trial.examine"
    monkeypatch.setattr(name, lambda rung, baseline, spec: (asked.append((rung, baseline, spec.seed)), finding())[1])
    assert module.finding(attempt(of())) == finding()
    assert asked == [(of().rung, of().baseline, of().seed)]


def test_a_rung_that_is_not_to_be_had_is_no_result():
    with pytest.raises(UsageError, match="no_such_module"):
        attempt(of(factory="no_such_module:make"))


def test_of_a_process_that_died():
    result = trials.died(of(), "crashed", "killed by SIGSEGV")
    assert module.finding(result) == Finding(died="crashed: killed by SIGSEGV")


BASELINE = Rung(name="baseline", factory="toys:plain", group="baseline")
SPEC = LoopSpec("tiny", 3)


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(trial, "warm_up", lambda *builds: None)
    monkeypatch.setattr(trial, "BATCHES", 20)


def rung(factory, **changes):
    return Rung(**{"name": "r", "factory": factory, "group": "step", "equivalent_options": {}, **changes})


def test_enough_batches_for_what_happens_once_in_ten():
    assert BATCHES == 100


def test_of_a_loop_that_reads_each_batch():
    found = examine(rung("toys:reading"), BASELINE, SPEC)
    assert found.host_syncs.reads_per_batch == 1.05  # and the history
    assert found.start.seconds > 0
    assert found.memory.of == "resident set"
    assert (found.equivalence.equal, found.died) == (True, "")
    assert "bit for bit" in found.equivalence.reason


def test_of_one_that_computes_something_else():
    found = examine(rung("toys:lazy"), BASELINE, SPEC).equivalence
    assert not found.equal
    assert "from the same state" in found.reason


def test_the_baseline_is_not_compared_with_itself():
    assert examine(BASELINE, BASELINE, SPEC).equivalence is None
    assert examine(rung("toys:reading", equivalent_options=None), BASELINE, SPEC).equivalence is None


def test_options_are_those_of_the_rung_and_of_equivalence_only_there(monkeypatch):
    built = []
    monkeypatch.setattr(toys, "guarded", lambda spec: (built.append(spec), toys.Guarded(spec.seed))[1])
    monkeypatch.setattr(toys, "plain", lambda spec: (built.append(spec), toys.Quadratic(spec.seed))[1])
    before = BASELINE.model_copy(update={"options": {"script": "a"}})
    examine(rung("toys:guarded", options={"window": 1, "clip": 5}, equivalent_options={"clip": 9}), before, SPEC)
    assert [dict(spec.options) for spec in built] == [
        {"window": 1, "clip": 5},
        {"script": "a", "clip": 9},
        {"window": 1, "clip": 9},
    ]
    assert {(spec.preset, spec.seed) for spec in built} == {("tiny", 3)}


def test_a_wrong_factory_is_the_users():
    with pytest.raises(UsageError, match="toys has no nope"):
        examine(rung("toys:nope"), ladder().baseline, SPEC)

import pytest
import trials
from ladders import finding, ladder

from bench.errors import UsageError
from bench.experiments.ladder import trial as module
from bench.experiments.ladder.record import Finding
from bench.experiments.ladder.trial import RungTrial
from bench.jobs.trial import attempt


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
    name = "bench.experiments.ladder.examination.examine"
    monkeypatch.setattr(name, lambda rung, baseline, spec: (asked.append((rung, baseline, spec.seed)), finding())[1])
    assert module.finding(attempt(of())) == finding()
    assert asked == [(of().rung, of().baseline, of().seed)]


def test_a_rung_that_is_not_to_be_had_is_no_result():
    with pytest.raises(UsageError, match="no_such_module"):
        attempt(of(factory="no_such_module:make"))


def test_of_a_process_that_died():
    result = trials.died(of(), "crashed", "killed by SIGSEGV")
    assert module.finding(result) == Finding(died="crashed: killed by SIGSEGV")
